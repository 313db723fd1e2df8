import t from 'tap'
import { eventually, single } from './support/agents.js'

t.test('DISTRIBUTE: one flow to several, each with a place of its own', async t => {
  const a = await single(t)
  const user = await a.login(t)
  for (const name of ['src', 'a', 'b', 'c']) await user.ok(`CREATE FLOW ${name}.flows.unix.test`)
  const flows = (...names: string[]) => names.map(n => `${n}.flows.unix.test`).join(' ')
  await user.write(flows('src'), 'before')
  const { text } = await user.ok(`DISTRIBUTE ${flows('src')} TO ${flows('a', 'b')} FROM earliest`)
  const id = /[a-z2-7]{26}/.exec(text)![0]
  await user.write(flows('src'), 'one', 'two')
  const seen = (name: string, n: number) => user.follow(flows(name), n, { from: { at: 'earliest' } })
  t.same(await seen('a', 3), ['before', 'one', 'two'])
  t.same(await seen('b', 3), ['before', 'one', 'two'])
  t.match((await user.ok(`DESCRIBE PROCESSOR ${id}`)).lines.join(' '), /type=distributor phase=running/)

  await t.test('what makes no sense is refused in words', async t => {
    t.match(await user.say(`DISTRIBUTE ${flows('src')} TO ${flows('a', 'a')}`), { symbol: 'BADVALUE' })
    t.match(await user.say(`DISTRIBUTE ${flows('a')} TO ${flows('c', 'src')}`), { symbol: 'LOOP' })
    t.match(await user.say(`DISTRIBUTE ${flows('src')} TO ${flows('nothing')}`), { symbol: 'NOTFOUND' })
    t.match(await user.say(`UPDATE PROCESSOR ${id} RULE x`), { symbol: 'NOTSUPPORTED' })
  })

  await t.test('sinks come and go while it runs; the one that stays repeats nothing', async t => {
    await user.ok(`UPDATE PROCESSOR ${id} TO ${flows('a', 'c')}`)
    const run = a.kernel.processors.status(id)?.epoch
    await user.write(flows('src'), 'three')
    t.same(await seen('c', 4), ['before', 'one', 'two', 'three'], 'a new one begins where FROM says')
    t.same(await seen('a', 4), ['before', 'one', 'two', 'three'])
    t.same(await user.read(flows('b')), ['before', 'one', 'two'])
    t.equal(a.kernel.processors.status(id)?.epoch, run, 'it is the same run')
  })

  await t.test('paused, nothing moves; resumed, all go on', async t => {
    await user.ok(`PAUSE PROCESSOR ${id}`)
    await user.write(flows('src'), 'four')
    t.equal((await user.read(flows('a'))).length, 4)
    await user.ok(`RESUME PROCESSOR ${id}`)
    t.same((await seen('a', 5)).at(-1), 'four')
    t.same((await seen('c', 5)).at(-1), 'four')
  })

  await t.test('stopped and resumed, it goes on from its places', async t => {
    await user.ok(`STOP PROCESSOR ${id}`)
    await user.write(flows('src'), 'five')
    await user.ok(`RESUME PROCESSOR ${id}`)
    t.same((await seen('a', 6)).at(-1), 'five')
    t.same((await seen('c', 6)).at(-1), 'five')
    await eventually(a, () => (a.kernel.processors.phaseOf(id) === 'running' ? true : undefined), 'running')
    await user.ok(`DELETE PROCESSOR ${id}`)
    t.equal(a.kernel.resources.count('Processor'), 0)
  })
})
