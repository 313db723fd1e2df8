import t from 'tap'
import { folder, freePort, single, TestAgent } from './support/agents.js'

const NS = 'team.unix.test'
const QUOTA = { code: 429, symbol: 'QUOTA', text: /^900 the namespace, or one above it, holds as many flows/ }

t.test('flows count against the quota of their namespace, whoever makes them', async t => {
  const a = await single(t)
  await a.addUser('bob', 'bob')
  const owner = await a.login(t)
  const bob = await a.login(t, 'bob', 'bob')
  await owner.ok(`CREATE NAMESPACE ${NS} QUOTA flows=3`)
  await owner.ok(`GRANT manage ON NAMESPACE ${NS} TO bob@unix.test`)

  await t.test('of many at once exactly as many as there is room for', async t => {
    const sessions = await Promise.all(Array.from({ length: 8 }, () => a.login(t, 'bob', 'bob')))
    const said = await Promise.all(sessions.map((s, i) => s.say(`CREATE FLOW f${i}.${NS}`)))
    t.equal(said.filter(r => r.kind === 'ok').length, 3)
    for (const r of said.filter(r => r.kind === 'error')) t.match(r, QUOTA)
    t.equal((await bob.ok(`GET FLOWS ${NS}`)).lines.length, 3)
  })

  await t.test('SUBSCRIBE makes none beyond it', async t => {
    await owner.ok('CREATE FLOW time.flows.unix.test VISIBILITY public')
    t.match(await bob.say(`SUBSCRIBE time.flows.unix.test LOCAL copy.${NS}`), QUOTA)
    t.equal(a.kernel.resources.by('Subscription', 'local', `copy.${NS}`).length, 0)
  })

  await t.test('a namespace below is no way round it', async t => {
    await bob.ok(`CREATE NAMESPACE deep.${NS}`)
    t.match(await bob.say(`CREATE FLOW x.deep.${NS}`), QUOTA)
    const [first] = (await bob.ok(`GET FLOWS ${NS}`)).lines
    await bob.ok(`DELETE FLOW ${first!.slice('flow='.length)}`)
    await bob.ok(`CREATE FLOW x.deep.${NS}`)
    t.match(await bob.say(`CREATE FLOW y.${NS}`), QUOTA, 'and counts above')
  })

  await t.test('who is bound by it cannot lift it', async t => {
    t.match(await bob.say(`UPDATE NAMESPACE ${NS} QUOTA flows=9`), { symbol: 'DENIED' })
    await bob.ok(`UPDATE NAMESPACE ${NS} TITLE ours`)
    await bob.ok(`UPDATE NAMESPACE deep.${NS} QUOTA flows=1`)
    await owner.ok(`UPDATE NAMESPACE ${NS} QUOTA flows=4`)
    t.match(await bob.say(`CREATE FLOW y.deep.${NS}`), QUOTA, "the lower one's own")
    await bob.ok(`CREATE FLOW y.${NS}`)
  })
})

t.test('a quota holds after a restart, and one that was lowered takes nothing away', async t => {
  const data = await folder(t)
  const where = {
    domain: 'unix.test',
    data: `${data}/a`,
    port: 0,
    dnsPort: await freePort(),
    ca: `${data}/ca`,
    neighbours: {},
  }
  const first = await new TestAgent(where).start()
  const before = await first.login(t)
  await before.ok(`CREATE NAMESPACE ${NS} QUOTA flows=2`)
  for (const name of ['a', 'b']) await before.ok(`CREATE FLOW ${name}.${NS}`)
  await first.close()
  const second = await new TestAgent(where).start()
  t.teardown(() => second.close())
  const owner = await second.login(t)
  t.match(await owner.say(`CREATE FLOW c.${NS}`), QUOTA)
  await owner.ok(`UPDATE NAMESPACE ${NS} QUOTA flows=1`)
  t.equal((await owner.ok(`GET FLOWS ${NS}`)).lines.length, 2)
  await owner.ok(`DELETE FLOW a.${NS}`)
  t.match(await owner.say(`CREATE FLOW c.${NS}`), QUOTA)
  await owner.ok(`DELETE FLOW b.${NS}`)
  await owner.ok(`CREATE FLOW c.${NS}`)
})
