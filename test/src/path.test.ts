import t from 'tap'
import { eventually, pair } from './support/agents.js'

t.test('a flow of another organisation, found by its name alone', async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  const user = await b.login(t)
  await owner.ok('CREATE FLOW time.flows.unix.test VISIBILITY public')
  const sub = await user.ok('SUBSCRIBE time.flows.unix.test LOCAL time.flows.emiliano.test')
  t.match(sub.lines[0], /^time\.flows\.emiliano\.test SUBSCRIBED TO [a-z2-7]{26}\.time\.flows\.unix\.test$/)
  await owner.write('time.flows.unix.test', 'one', '{"n":2}', 'three')
  t.same(await user.follow('time.flows.emiliano.test', 3, { from: { at: 'earliest' } }), ['one', { n: 2 }, 'three'])

  await t.test('pause keeps the position, resume goes on', async t => {
    await user.ok('PAUSE FLOW time.flows.emiliano.test')
    await owner.write('time.flows.unix.test', 'four')
    t.match((await user.ok('GET SUBSCRIPTIONS')).lines[0], /phase=paused/)
    t.same(await user.read('time.flows.emiliano.test'), ['one', { n: 2 }, 'three'])
    await user.ok('RESUME FLOW time.flows.emiliano.test')
    t.same((await user.follow('time.flows.emiliano.test', 4, { from: { at: 'earliest' } })).at(-1), 'four')
  })

  await t.test('stop tears the processor down and tells the provider', async t => {
    await user.ok('STOP FLOW time.flows.emiliano.test')
    t.equal(b.kernel.resources.count('Processor'), 0)
    t.match((await owner.ok('GET SUBSCRIBERS time.flows.unix.test')).lines[0], /phase=stopped/)
    await owner.write('time.flows.unix.test', 'five')
    await user.ok('RESUME FLOW time.flows.emiliano.test')
    t.same((await user.follow('time.flows.emiliano.test', 5, { from: { at: 'earliest' } })).at(-1), 'five')
  })

  await t.test('the owner cuts the subscriber off: it shows, and nothing passes', async t => {
    const [id] = /[a-z2-7]{26}/.exec(sub.lines[0]!)!
    await owner.ok(`REMOVE SUBSCRIBER time.flows.unix.test ${id}`)
    await eventually(
      b,
      () => (b.kernel.resources.get('Subscription', id)?.status.phase === 'revoked' ? true : undefined),
      'revoked',
    )
    t.match((await user.ok(`DESCRIBE SUBSCRIPTION ${id}`)).lines.join('\n'), /phase=revoked[\s\S]*receipt=REVOKED/)
    await owner.write('time.flows.unix.test', 'six')
    t.equal((await user.read('time.flows.emiliano.test')).length, 5)
    t.match(
      await user.say('SUBSCRIBE time.flows.unix.test LOCAL time.flows.emiliano.test'),
      { symbol: 'NOTFOUND' },
      'who was removed is barred',
    )
  })

  await t.test('unsubscribe leaves the local flow and its events', async t => {
    await user.ok('UNSUBSCRIBE time.flows.emiliano.test')
    t.equal(b.kernel.resources.count('Subscription'), 0)
    t.equal((await user.read('time.flows.emiliano.test')).length, 5)
  })
})
