import { randomBytes } from 'node:crypto'
import { formatCommand, mintId } from '@fnaa/protocol'
import t from 'tap'
import { eventually, pair, places, TestAgent } from './support/agents.js'
import { DAY, MINUTE, TurnableClock } from './support/clock.js'

const FLOW = 'time.flows.unix.test'
const LOCAL = 'time.flows.emiliano.test'
const idOf = (line: string | undefined) => /[a-z2-7]{26}/.exec(line ?? '')![0]
const newId = () => mintId(randomBytes(16))

async function asAgent(b: TestAgent, line: string) {
  const c = { signal: AbortSignal.timeout(20_000) }
  return b.kernel.peers.request(await b.kernel.peers.find(FLOW, c), line, c)
}

t.test('F3 two tries at once are one subscription', async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  const users = await Promise.all([b.login(t), b.login(t), b.login(t)])
  const replies = await Promise.all(users.map(u => u.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)))
  t.equal(new Set(replies.map(r => r.lines[0])).size, 1, 'the same answer')
  t.equal(b.kernel.resources.count('Subscription'), 1)
  t.equal(a.kernel.resources.by('Subscriber', 'flow', FLOW).length, 1)
  t.match(
    await users[0]!.say(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} FROM earliest`),
    { symbol: 'CONFLICT' },
    'with other options',
  )
  const both = newId()
  const line = formatCommand(
    'SUBSCRIBE',
    { flow: FLOW },
    { id: both, gen: 1, accept: ['fnap'], for: 'test@emiliano.test', format: 'json' },
  )
  const [one, two] = await Promise.all([asAgent(b, line), asAgent(b, line)])
  t.same(
    JSON.parse(one!.lines[0]!).credential,
    JSON.parse(two!.lines[0]!).credential,
    'two replicas: the same endpoint, the same credential',
  )
})

t.test('F4 UNSUBSCRIBE that overtakes SUBSCRIBE: stays unsubscribed', async t => {
  const { a, b } = await pair(t)
  await (await a.login(t)).ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  const id = newId()
  t.equal((await asAgent(b, formatCommand('UNSUBSCRIBE', { flow: FLOW }, { id, gen: 2 }))).kind, 'ok')
  const late = formatCommand('SUBSCRIBE', { flow: FLOW }, { id, gen: 1, accept: ['fnap'], for: 'test@emiliano.test' })
  t.match(await asAgent(b, late), { code: 410 })
  t.notOk(a.kernel.issued.of(a.kernel.resources.get('Subscriber', id)!.uid).length, 'nothing was issued')
})

t.test('F6 UNSUBSCRIBE repeated is 220; under any GEN', async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  const user = await b.login(t)
  const id = idOf((await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)).lines[0])
  await user.ok(`UNSUBSCRIBE ${id}`)
  t.equal((await user.ok(`UNSUBSCRIBE ${id}`)).kind, 'ok')
  for (const gen of [1, 7])
    t.equal((await asAgent(b, formatCommand('UNSUBSCRIBE', { flow: FLOW }, { id, gen }))).kind, 'ok')
  const s = a.kernel.resources.get('Subscriber', id)
  t.equal(s?.status.phase, 'gone')
  t.match(s?.status.cut, { sessions: String, credential: String })
})

t.test('a request: pending, the owner approves, NOTIFY, events', async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} REQUESTS yes`)
  const user = await b.login(t)
  const pending = await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} REASON "for the dashboard"`)
  t.equal(pending.kind, 'pending')
  const id = pending.id!
  t.equal(a.kernel.issued.of(a.kernel.resources.get('Subscriber', id)!.uid).length, 0, 'nothing is provisioned yet')
  const [request] = (await owner.ok('GET REQUESTS')).lines
  t.match(
    request,
    new RegExp(
      `^request=${id} flow=${FLOW} who=test@emiliano.test level=dns first-contact=yes key=\\S+ reason=for%20the%20dashboard since=`,
    ),
  )
  await owner.ok(`APPROVE ${id}`)
  await eventually(
    b,
    () => (b.kernel.resources.get('Subscription', id)?.status.phase === 'active' ? true : undefined),
    'active after NOTIFY',
  )
  await owner.write(FLOW, 'approved')
  t.same(await user.follow(LOCAL, 1, { from: { at: 'earliest' } }), ['approved'])
  t.match((await owner.ok(`GET GRANTS ON FLOW ${FLOW}`)).lines[0], /to=test@emiliano.test rights=read,subscribe/)
})

t.test('without NOTIFY a pending one is polled every minute', async t => {
  const clock = new TurnableClock()
  const { a, b } = await pair(t, { clock })
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} REQUESTS yes`)
  const user = await b.login(t)
  const { id } = await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)
  // The hint is lost: the grant is made, nobody is told.
  await owner.ok(`GRANT read,subscribe ON FLOW ${FLOW} TO test@emiliano.test`)
  t.equal(b.kernel.resources.get('Subscription', id!)?.status.phase, 'pending')
  clock.turn(2 * MINUTE)
  await eventually(
    b,
    () => (b.kernel.resources.get('Subscription', id!)?.status.phase === 'active' ? true : undefined),
    'active after a poll',
  )
})

t.test('F10 revoked while the subscriber is away: it shows the receipt and stops trying', async t => {
  const [wa, wb] = await places(t, ['unix.test', 'emiliano.test'])
  const a = await new TestAgent(wa!).start()
  t.teardown(() => a.close())
  let b = await new TestAgent(wb!).start()
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  const id = idOf((await (await b.login(t)).ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)).lines[0])
  await b.close()
  await owner.ok(`REMOVE SUBSCRIBER ${FLOW} ${id}`)
  b = await new TestAgent(wb!).start()
  t.teardown(() => b.close())
  const s = await eventually(
    b,
    () => {
      const found = b.kernel.resources.get('Subscription', id)
      return found?.status.phase === 'revoked' ? found : undefined
    },
    'revoked',
  )
  t.match(s.status.receipt, /^REVOKED the owner ended it at 20/)
  await eventually(b, () => (b.kernel.resources.count('Processor') === 0 ? true : undefined), 'its processor is gone')
})

t.test('F8 the subscriber disappears: the feed stops when the lease ends, a month later it is over', async t => {
  const clock = new TurnableClock()
  const { a, b } = await pair(t, { clock })
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  const id = idOf((await (await b.login(t)).ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)).lines[0])
  await b.close()
  const phase = (p: string) =>
    eventually(a, () => (a.kernel.resources.get('Subscriber', id)?.status.phase === p ? true : undefined), p)
  clock.turn(6 * DAY)
  t.equal(a.kernel.resources.get('Subscriber', id)?.status.phase, 'ready')
  clock.turn(1.1 * DAY)
  await phase('stopped')
  t.ok(
    await a.kernel.positions.get(a.kernel.resources.get('Subscriber', id)!.uid, { signal: AbortSignal.timeout(1000) }),
    'the position is kept',
  )
  clock.turn(31 * DAY)
  await phase('gone')
  clock.turn(61 * DAY)
  await eventually(a, () => (a.kernel.resources.get('Subscriber', id) ? undefined : true), 'forgotten')
})

t.test('a stopped subscription goes on renewing the lease, with STOP', async t => {
  const clock = new TurnableClock()
  const { a, b } = await pair(t, { clock })
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  const user = await b.login(t)
  const id = idOf((await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)).lines[0])
  await user.ok(`STOP SUBSCRIPTION ${id}`)
  const lease = () => Date.parse(a.kernel.resources.get('Subscriber', id)!.status.leaseUntil!)
  const before = lease()
  clock.turn(6 * DAY)
  await eventually(a, () => (lease() > before + 5 * DAY ? true : undefined), 'renewed')
  t.equal(a.kernel.resources.get('Subscriber', id)?.status.phase, 'stopped', 'renewing does not start it')
})

t.test("F7 the subscriber's disk restored from yesterday: both sides agree again", async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  const user = await b.login(t)
  const id = idOf((await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)).lines[0])
  await user.ok(`STOP SUBSCRIPTION ${id}`)
  await user.ok(`RESUME SUBSCRIPTION ${id}`)
  // As if the disk were of before the STOP: the wish of then is asked again.
  await b.kernel.resources.update(
    'Subscription',
    id,
    s => ({ spec: { ...s.spec, wish: 1 }, status: { ...s.status, agreed: 0 } }),
    { signal: AbortSignal.timeout(5000) },
  )
  await eventually(
    b,
    () => {
      const s = b.kernel.resources.get('Subscription', id)
      return s && s.spec.wish > 3 && s.status.agreed === s.spec.wish && s.status.phase === 'active' ? true : undefined
    },
    'over STALE to a higher generation',
  )
  await owner.write(FLOW, 'still here')
  t.same(await user.follow(LOCAL, 1, { from: { at: 'earliest' } }), ['still here'])
})

t.test('F15 two that close a loop are refused', async t => {
  const { a, b } = await pair(t)
  const [ua, ub] = [await a.login(t), await b.login(t)]
  await ua.ok('CREATE FLOW x.flows.unix.test VISIBILITY public')
  await ub.ok('CREATE FLOW y.flows.emiliano.test VISIBILITY public')
  await ub.ok('SUBSCRIBE x.flows.unix.test LOCAL y.flows.emiliano.test')
  t.match(await ua.say('SUBSCRIBE y.flows.emiliano.test LOCAL x.flows.unix.test'), { symbol: 'LOOP' })
  t.match(await ua.say('SUBSCRIBE x.flows.unix.test LOCAL x.flows.unix.test'), { symbol: 'LOOP' })
})

t.test('F15 created in the same second, and by PUBLISH', async t => {
  const { a, b } = await pair(t)
  const [ua, ub] = [await a.login(t), await b.login(t)]
  const each = async (line: (own: string) => string) => {
    for (const [u, domain] of [
      [ua, 'unix'],
      [ub, 'emiliano'],
    ] as const)
      await u.ok(line(domain))
  }
  for (const flow of ['x', 'y', 'z']) await each(own => `CREATE FLOW ${flow}.flows.${own}.test VISIBILITY public`)
  await ua.ok('GRANT write ON NAMESPACE flows.unix.test TO *@emiliano.test')
  await ub.ok('GRANT write ON NAMESPACE flows.emiliano.test TO *@unix.test')
  const live = () =>
    [a, b].flatMap(x => x.kernel.resources.list('Subscription')).filter(s => s.status.phase === 'active').length

  await t.test('A from B and B from A', async t => {
    const both = await Promise.all([
      ua.say('SUBSCRIBE x.flows.emiliano.test LOCAL x.flows.unix.test'),
      ub.say('SUBSCRIBE x.flows.unix.test LOCAL x.flows.emiliano.test'),
    ])
    t.ok(
      both.some(r => r.symbol === 'LOOP'),
      both.map(r => r.symbol ?? r.kind).join(),
    )
    t.ok(live() <= 1)
  })

  await t.test('A into B and B into A', async t => {
    await ua.ok('PUBLISH y.flows.unix.test TO y.flows.emiliano.test')
    t.match(await ub.say('PUBLISH y.flows.emiliano.test TO y.flows.unix.test'), { symbol: 'LOOP' })
  })

  await t.test('A into B and A from B; A from B and A into B', async t => {
    t.match(await ua.say('SUBSCRIBE y.flows.emiliano.test LOCAL y.flows.unix.test'), { symbol: 'LOOP' })
    await ua.ok('SUBSCRIBE z.flows.emiliano.test LOCAL z.flows.unix.test')
    t.match(await ua.say('PUBLISH z.flows.unix.test TO z.flows.emiliano.test'), { symbol: 'LOOP' })
  })
})

t.test('F15 of three, each of which knew a part', async t => {
  const where = await places(t, ['one.test', 'two.test', 'three.test'])
  const agents = where.map(w => new TestAgent(w))
  t.teardown(() => Promise.all(agents.map(a => a.close())))
  for (const a of agents) await a.start()
  const users = await Promise.all(agents.map(a => a.login(t)))
  const flow = (i: number) => `x.flows.${where[i % 3]!.domain}`
  for (const [i, u] of users.entries()) await u.ok(`CREATE FLOW ${flow(i)} VISIBILITY public`)
  // One has heard from two before two's own events came from three.
  for (const [i, u] of users.entries()) await u.say(`SUBSCRIBE ${flow(i + 1)} LOCAL ${flow(i)}`)
  const stopped = () =>
    agents.some(a => !a.kernel.resources.list('Subscription').some(s => s.status.phase === 'active'))
  await Promise.any(agents.map(a => eventually(a, () => stopped() || undefined, 'one of them stops')))
  t.ok(stopped(), 'and not at its next renewal')
})

t.test('F18 the source flow deleted and made again: 410, and a new subscription', async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  const user = await b.login(t)
  const id = idOf((await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)).lines[0])
  await owner.ok(`DELETE FLOW ${FLOW}`)
  const s = await eventually(
    b,
    () => {
      const found = b.kernel.resources.get('Subscription', id)
      return found?.status.phase === 'revoked' ? found : undefined
    },
    'ended',
  )
  t.match(s.status.error, /^GONE /)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  const again = idOf((await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)).lines[0])
  t.not(again, id)
})

t.test('PUBLISH is the same agreement the other way round', async t => {
  const { a, b } = await pair(t)
  const [owner, user] = [await a.login(t), await b.login(t)]
  await owner.ok('CREATE FLOW inbox.flows.unix.test')
  await owner.ok('GRANT write ON FLOW inbox.flows.unix.test TO *@emiliano.test')
  await user.ok('CREATE FLOW outbox.flows.emiliano.test')
  const reply = await user.ok('PUBLISH outbox.flows.emiliano.test TO inbox.flows.unix.test FROM earliest')
  t.match(reply.lines[0], /^outbox\.flows\.emiliano\.test PUBLISHED TO [a-z2-7]{26}\.inbox\.flows\.unix\.test$/)
  await user.write('outbox.flows.emiliano.test', 'from afar')
  t.same(await owner.follow('inbox.flows.unix.test', 1, { from: { at: 'earliest' } }), ['from afar'])
})

t.test("a request for a flow of one's own agent waits for its owner too; a refusal leaves nothing behind", async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  await a.addUser('bob', 'bobs password')
  const bob = await a.login(t, 'bob', 'bobs password')
  await owner.ok('CREATE NAMESPACE bob.unix.test')
  await owner.ok('GRANT manage ON NAMESPACE bob.unix.test TO bob@unix.test')
  await owner.ok(`CREATE FLOW ${FLOW} REQUESTS yes`)
  const pending = await bob.ok(`SUBSCRIBE ${FLOW} LOCAL time.bob.unix.test`)
  t.equal(pending.kind, 'pending')
  await owner.ok(`APPROVE ${pending.id}`)
  await eventually(
    a,
    () => (a.kernel.resources.get('Subscription', pending.id!)?.status.phase === 'active' ? true : undefined),
    'active',
  )
  await owner.write(FLOW, 'approved')
  t.same(await bob.follow('time.bob.unix.test', 1, { from: { at: 'earliest' } }), ['approved'])
  const user = await b.login(t)
  t.match(await user.say('SUBSCRIBE absent.flows.unix.test LOCAL absent.flows.emiliano.test'), { symbol: 'NOTFOUND' })
  t.same((await user.ok('GET FLOWS')).lines, [])
  t.same((await user.ok('GET SUBSCRIPTIONS')).lines, [])
})
