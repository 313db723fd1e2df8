import type { BrokerService, Call, SubscriptionStatus, Wire } from '@fnaa/core'
import { type Batch, isMarker } from '@fnaa/protocol'
import t from 'tap'
import type { Broker } from '../../core/dist/data/brokers.js'
import { type Client, eventually, pair, single, type Teardown, type TestAgent } from './support/agents.js'
import lettingBroker from './support/letting-broker.js'

const FLOW = 'time.flows.unix.test'
const LOCAL = 'time.flows.emiliano.test'
const CREATE = `CREATE FLOW ${FLOW} BROKER broker-letting VISIBILITY public`
const letting = {
  change: <C extends { plugins: readonly unknown[] }>(c: C): C => ({
    ...c,
    plugins: [...c.plugins, lettingBroker({})],
  }),
}
const idOf = (line: string | undefined) => /[a-z2-7]{26}/.exec(line ?? '')![0]
const c = () => ({ signal: AbortSignal.timeout(10_000) })

async function two(t: Teardown): Promise<{ a: TestAgent; b: TestAgent; owner: Client; user: Client }> {
  const { a, b } = await pair(t, letting)
  const owner = await a.login(t)
  const user = await b.login(t)
  await owner.ok(CREATE)
  return { a, b, owner, user }
}
const service = (a: TestAgent) => a.kernel.brokers.operated.get('broker-letting')!.service
const arrives = async (user: Client, n: number) => user.follow(LOCAL, n, { from: { at: 'earliest' } })

t.test('copy: a queue of its own, fed by the one Distributor, read with a login of its own', async t => {
  const { a, b, owner, user } = await two(t)
  await owner.write(FLOW, 'before')
  const id = idOf((await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} FROM earliest`)).lines[0])
  t.match(
    (await owner.ok(`GET SUBSCRIBERS ${FLOW}`)).lines[0],
    / mode=copy phase=ready lag-events=\d+/,
    'auto is a copy here',
  )
  t.ok(await service(a).describeQueue(`${id}.${FLOW}`, c()), 'the endpoint is a queue')
  await owner.write(FLOW, 'one', 'two')
  t.same(await arrives(user, 3), ['before', 'one', 'two'])
  t.match((await user.ok('GET SUBSCRIPTIONS')).lines[0], / mode=copy phase=active/)
  const [subscription] = b.kernel.resources.list('Subscription')
  t.match(subscription!.status.endpoint, { type: 'letting', queue: `${id}.${FLOW}` })

  await t.test('a second one shares the feed; a read-only login opens nothing else', async t => {
    await b.addUser('alice', 'secret')
    await user.ok('CREATE FLOW two.flows.emiliano.test')
    await user.ok(`SUBSCRIBE ${FLOW} LOCAL two.flows.emiliano.test MODE copy`)
    t.equal(a.kernel.resources.count('Processor'), 1)
    await owner.write(FLOW, 'three')
    t.same(await user.follow('two.flows.emiliano.test', 1, { from: { at: 'earliest' } }), ['three'])
    t.same((await arrives(user, 4)).at(-1), 'three')
    const known = a.kernel.resources.get('Subscriber', id)!
    const given = (await a.kernel.access.of(known.uid, c()))!
    const { default: driver } = (await import('./support/letting-driver.js')) as {
      default: import('@fnaa/core/plugin').Driver
    }
    const host = { log: a.kernel.log, dial: a.kernel.dial, foreign: true }
    const open = async (queue: string) => {
      const wire = await driver.open({ ...given.endpoint, queue }, given.credential, host, c())
      const source = await wire.source({ reader: 'x', epoch: 0, from: { at: 'earliest' } }, c())
      await source.close()
    }
    await open(`${id}.${FLOW}`)
    await t.rejects(open(FLOW), { code: 'FNA_ERR_DENIED' }, 'not the source')
    const other = a.kernel.resources.list('Subscriber').find(s => s.name !== id)!
    await t.rejects(open(`${other.name}.${FLOW}`), { code: 'FNA_ERR_DENIED' }, 'not another subscriber')
    await user.ok('UNSUBSCRIBE two.flows.emiliano.test')
    t.equal(await service(a).describeQueue(`${other.name}.${FLOW}`, c()), null, 'its queue goes with it')
    t.equal(a.kernel.resources.count('Processor'), 1, 'the feed goes on for the other')
  })

  await t.test('it is read at the broker, not through the agent; UPDATE FLOW changes it too', async t => {
    t.match(await owner.say(`UPDATE SUBSCRIBER ${FLOW} ${id} LIMIT events=1`), { symbol: 'NOTSUPPORTED' })
    await owner.ok(`UPDATE FLOW ${FLOW} RETENTION 3d`)
    await eventually(
      a,
      () =>
        a.kernel.resources.get('Subscriber', id)?.status.copied?.retentionMs === 3 * 86_400_000 ? true : undefined,
      'the copy keeps as long',
    )
    t.match(await service(a).describeQueue(`${id}.${FLOW}`, c()), { retentionMs: 3 * 86_400_000 })
    t.match(await user.say(`UPDATE SUBSCRIPTION ${id} MODE fnap`), { symbol: 'CONFLICT' })
  })

  await t.test('the owner cuts it off: access first, then feed, then queue, and it says when', async t => {
    await owner.ok(`REMOVE SUBSCRIBER ${FLOW} ${id}`)
    const { cut } = a.kernel.resources.get('Subscriber', id)!.status
    t.same(Object.keys(cut!), ['sessions', 'access', 'feed', 'queue', 'credential'])
    t.ok(cut!['access']! <= cut!['feed']! && cut!['feed']! <= cut!['queue']!)
    t.equal(await service(a).describeQueue(`${id}.${FLOW}`, c()), null)
    t.equal(a.kernel.resources.count('Processor'), 0, 'the last one takes the feed with it')
    await owner.write(FLOW, 'never')
    await eventually(
      b,
      () => (b.kernel.resources.get('Subscription', id)?.status.phase === 'revoked' ? true : undefined),
      'revoked',
    )
    t.equal((await user.read(LOCAL)).length, 4)
  })
})

t.test('copy: stopped and resumed, nothing is lost; restarted neither', async t => {
  const { a, owner, user } = await two(t)
  const id = idOf((await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE copy`)).lines[0])
  await owner.write(FLOW, 'one')
  t.same(await arrives(user, 1), ['one'])
  await user.ok(`STOP SUBSCRIPTION ${id}`)
  t.equal(a.kernel.resources.count('Processor'), 0, 'answered when the feed is off')
  await owner.write(FLOW, 'two')
  await user.ok(`RESUME SUBSCRIPTION ${id}`)
  t.same(await arrives(user, 2), ['one', 'two'])
  owner.connection.destroy()
  await user.ok(`UPDATE SUBSCRIPTION ${id} ROTATE`)
  const now = await a.login(t)
  await now.write(FLOW, 'three')
  // At least once: another login is another reader, which begins where the last report of the one before stood.
  let seen: unknown[] = []
  for (let n = 3; !seen.includes('three'); n++) seen = await arrives(user, n)
  t.same([...new Set(seen)], ['one', 'two', 'three'])
})

t.test('copy: active is what has shown that events can pass', async t => {
  const { a, b, owner, user } = await two(t)
  const { brokers } = a.kernel
  const openQueue = brokers.openQueue.bind(brokers)
  const lost: string[] = []
  // A broker that says it has written the marker, and has not.
  Object.assign(brokers, {
    openQueue: async (broker: Broker, queue: string, call: Call): Promise<Wire> => {
      const wire = await openQueue(broker, queue, call)
      if (!queue.endsWith(`.${FLOW}`)) return wire
      const sink = { write: async () => ({ cursor: String(lost.push(queue)) }), close: async () => undefined }
      return { ...wire, sink: async () => sink as never, close: () => wire.close() }
    },
  })
  const asked = user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE copy`)
  const open = () => b.kernel.processors.status(b.kernel.resources.list('Subscription')[0]?.name ?? '')?.positions
  while (!open()) await new Promise(resolve => setImmediate(resolve))
  t.equal(lost.length, 1)
  const phase = () => b.kernel.resources.list('Subscription')[0]!.status.phase
  const id = b.kernel.resources.list('Subscription')[0]!.name
  const second = await b.login(t)
  t.equal(phase(), 'starting', 'open at both ends, and nothing has come')
  await second.ok(`PAUSE SUBSCRIPTION ${id}`)
  const resumed = second.ok(`RESUME SUBSCRIPTION ${id}`)
  while (b.kernel.processors.phaseOf(id) !== 'starting') await new Promise(resolve => setImmediate(resolve))
  t.not(phase(), 'active', 'a pause proves nothing')
  await owner.write(FLOW, 'one')
  await Promise.all([asked, resumed])
  t.equal(phase(), 'active', 'an event proves as much as a marker')
  t.same(await arrives(second, 1), ['one'])

  await t.test('what has been shown once is not waited for again', async t => {
    const again = async () => {
      await second.ok(`STOP SUBSCRIPTION ${id}`)
      await second.ok(`RESUME SUBSCRIPTION ${id}`)
      t.equal(phase(), 'active')
    }
    t.equal(b.kernel.resources.get('Subscription', id)!.status.proved, `${id}.${FLOW}`)
    await again()
    // The host died between its commit and the agent's note.
    const forgetful = ({ status: { proved: _gone, ...status } }: { status: SubscriptionStatus }) => ({ status })
    await b.kernel.resources.update('Subscription', id, forgetful, c())
    await again()
  })
})

t.test('copy: the marker stands first in the queue, and nobody sees it behind it', async t => {
  const { a, owner, user } = await two(t)
  const id = idOf((await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE copy`)).lines[0])
  const first = await firstOf(a, `${id}.${FLOW}`)
  t.ok(isMarker(first, id))
  t.notOk(isMarker(first, 'b'.repeat(26)))
  await owner.write(FLOW, 'one')
  t.same(await arrives(user, 1), ['one'], 'not in the local flow')
  t.equal((await user.read(LOCAL)).length, 1)
  t.same(await owner.read(FLOW), ['one'], 'nor in the source')
})

async function firstOf(a: TestAgent, queue: string): Promise<Batch> {
  const broker = a.kernel.brokers.operated.get('broker-letting')!
  const wire = await a.kernel.brokers.openQueue(broker, queue, c())
  const source = await wire.source({ reader: 'test', epoch: 0, from: { at: 'earliest' } }, c())
  for await (const piece of source.read(c())) {
    await wire.close()
    return piece as Batch
  }
  throw new Error('nothing stands there')
}

t.test('direct: the source itself, no copy', async t => {
  const { a, owner, user } = await two(t)
  await owner.write(FLOW, 'before')
  const id = idOf((await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE direct FROM earliest`)).lines[0])
  await owner.write(FLOW, 'one')
  t.same(await arrives(user, 2), ['before', 'one'])
  t.match((await owner.ok(`GET SUBSCRIBERS ${FLOW}`)).lines[0], / mode=direct phase=ready/)
  t.equal(a.kernel.resources.count('Processor'), 0)
  t.equal(await service(a).describeQueue(`${id}.${FLOW}`, c()), null)
  await owner.ok(`REMOVE SUBSCRIBER ${FLOW} ${id}`)
  await owner.write(FLOW, 'never')
  t.equal((await user.read(LOCAL)).length, 2)
})

t.test('fnap where it is asked for, or where nothing else can be', async t => {
  const { b, owner, user } = await two(t)
  await owner.write(FLOW, 'one')
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE fnap FROM earliest`)
  t.same(await arrives(user, 1), ['one'])
  t.match((await owner.ok(`GET SUBSCRIBERS ${FLOW}`)).lines[0], / mode=fnap /)
  await t.test('fnap to copy loses nothing', async t => {
    const id = b.kernel.resources.list('Subscription')[0]!.name
    await user.ok(`UPDATE SUBSCRIPTION ${id} MODE copy`)
    await owner.write(FLOW, 'two')
    t.same((await arrives(user, 2)).at(-1), 'two')
  })
  await owner.ok('CREATE FLOW plain.flows.unix.test VISIBILITY public')
  for (const mode of ['copy', 'direct'])
    t.match(
      await user.say(`SUBSCRIBE plain.flows.unix.test LOCAL plain.flows.emiliano.test MODE ${mode}`),
      { code: 501, text: /lets nobody in/ },
      mode,
    )
  await owner.ok(`GRANT read,subscribe ON FLOW ${FLOW} TO emiliano.test LIMIT events=5`)
  t.match(await user.say(`SUBSCRIBE ${FLOW} LOCAL slow.flows.emiliano.test MODE copy`), { code: 501, text: /LIMIT/ })
})

t.test('a broker that has not said yet whom it lets in is waited for', async t => {
  const { a, b, owner, user } = await two(t)
  await owner.write(FLOW, 'one')
  const broker = service(a)
  const access = broker.access
  let asked = 0
  broker.access = () => {
    if (++asked === 4) Object.assign(broker, { access })
    return undefined
  }
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE copy FROM earliest`)
  t.ok(asked >= 4)
  t.match(b.kernel.resources.list('Subscription')[0], { status: { phase: 'active' } })
  t.same(await arrives(user, 1), ['one'])
})

t.test('F5: the owner revokes while the broker is still letting the subscriber in', async t => {
  let land = () => undefined as void
  const late = new Promise<void>(resolve => (land = resolve))
  let ask: (id: string) => void
  const asked = new Promise<string>(resolve => (ask = resolve))
  // Whoever gives up on it does not end it: it lands at the broker, later.
  const slow = (): ReturnType<typeof lettingBroker> => {
    const plugin = lettingBroker({})
    return {
      ...plugin,
      async setup(ctx) {
        const broker = (await plugin.setup(ctx)) as BrokerService
        const grant: BrokerService['grant'] = async (request, call) => {
          ask(request.id)
          await late
          return broker.grant(request, { ...call, signal: new AbortController().signal })
        }
        return { ...broker, grant }
      },
    }
  }
  const { a, b } = await pair(t, { change: o => ({ ...o, plugins: [...o.plugins, slow()] }) })
  const [owner, user] = [await a.login(t), await b.login(t)]
  await owner.ok(CREATE)
  const broker = service(a)
  const subscribing = user.say(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE copy`)
  const access = await asked
  const [s] = a.kernel.resources.list('Subscriber')
  const removing = owner.say(`REMOVE SUBSCRIBER ${FLOW} ${s!.spec.id}`)
  await eventually(
    a,
    () => a.kernel.resources.get('Subscriber', s!.name)?.spec.desired === 'revoked' || undefined,
    'wanted',
  )
  land()
  t.match(await removing, { code: 220 })
  const cut = await eventually(
    a,
    () => {
      const now = a.kernel.resources.get('Subscriber', s!.name)?.status
      return now?.phase === 'revoked' ? now.cut : undefined
    },
    'revoked',
  )
  t.notOk(Object.values(cut!).includes('pending'), JSON.stringify(cut))
  t.equal(await broker.revoke(access, c()), 'absent', 'nobody is let in after the receipt')
  t.equal(await broker.describeQueue(`${s!.spec.id}.${FLOW}`, c()), null)
  t.match(await subscribing, { code: 410 })
})

t.test('PUBLISH direct: their broker is written with a login of its own', async t => {
  const { owner, user } = await two(t)
  await owner.ok(`GRANT write ON FLOW ${FLOW} TO *@emiliano.test`)
  await user.ok(`CREATE FLOW ${LOCAL}`)
  t.match(await user.say(`PUBLISH ${LOCAL} TO ${FLOW} MODE copy`), { code: 501, text: /for SUBSCRIBE/ })
  await user.ok(`PUBLISH ${LOCAL} TO ${FLOW} MODE direct`)
  t.match((await owner.ok(`GET SUBSCRIBERS ${FLOW}`)).lines, [/ mode=direct phase=ready .*direction=out$/])
  await user.write(LOCAL, 'theirs')
  t.same(await owner.follow(FLOW, 1, { from: { at: 'earliest' } }), ['theirs'])
})

t.test('who blocked whom is in the audit, and a domain tells of its subscribers', async t => {
  const { a, owner, user } = await two(t)
  const id = idOf((await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE direct`)).lines[0])
  await owner.ok('UPDATE PEER emiliano.test BLOCKED yes')
  const { subscribers } = JSON.parse((await owner.ok('DESCRIBE PEER emiliano.test FORMAT JSON')).lines[0]!)
  t.match(subscribers, [{ subscriber: id, flow: FLOW, phase: 'revoked', cause: { by: 'test@unix.test' } }])
  await owner.ok('UPDATE PEER emiliano.test BLOCKED no')
  const entries = await a.kernel.store.bucket('audit').list('', { limit: 1000 }, c())
  const all = entries.map(([, e]) => JSON.parse(Buffer.from(e.value).toString()) as { what: string; who: string })
  t.match(
    all.filter(e => ['block', 'unblock', 'cut'].includes(e.what)).map(e => `${e.what} by ${e.who}`),
    ['block by test@unix.test', 'cut by test@unix.test', 'unblock by test@unix.test'],
  )
})

t.test('ACCESS FLOW: a login of the application itself', async t => {
  const a = await single(t, letting)
  await a.addUser('alice', 'secret')
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} BROKER broker-letting`)
  await owner.ok(`GRANT read ON FLOW ${FLOW} TO alice@unix.test`)
  const alice = await a.login(t, 'alice', 'secret')
  const { lines } = await alice.ok(`ACCESS FLOW ${FLOW} READ AS app`)
  t.same(
    lines.map(l => l.split('=')[0]),
    ['flow', 'type', 'topic', 'server', 'mechanism', 'user', 'password'],
  )
  t.same((await alice.ok(`ACCESS FLOW ${FLOW} READ AS app`)).lines, lines, 'the same again')
  t.match(await alice.say(`ACCESS FLOW ${FLOW} WRITE`), { symbol: 'DENIED' })
  t.match(await owner.say(`REMOVE ACCESS ${FLOW} app`), { symbol: 'NOTFOUND' }, 'not of others')
  t.same((await alice.ok('GET ACCESS')).lines, [`access=app flow=${FLOW} right=read`])
  t.same((await alice.ok(`GET ACCESS ${FLOW}`)).lines, [`access=app flow=${FLOW} right=read`])
  t.same((await owner.ok('GET ACCESS')).lines, [])
  t.same((await owner.ok(`GET ACCESS ${FLOW}`)).lines, [`access=app flow=${FLOW} right=read who=alice@unix.test`])
  const { default: driver } = (await import('./support/letting-driver.js')) as {
    default: import('@fnaa/core/plugin').Driver
  }
  const [access] = a.kernel.resources.list('Access')
  const open = async (given: { endpoint: never; credential: never }) => {
    const host = { log: a.kernel.log, dial: a.kernel.dial, foreign: false }
    const wire = await driver.open(given.endpoint, given.credential, host, c())
    return wire.source({ reader: 'x', epoch: 0, from: { at: 'earliest' } }, c())
  }
  const given = (await a.kernel.access.of(access!.uid, c())) as never
  const source = await open(given)
  await owner.write(FLOW, 'one')
  const read = source.read(c())[Symbol.asyncIterator]()
  t.match(await read.next(), { value: { count: 1 } })
  const rotated = (await alice.ok(`ACCESS FLOW ${FLOW} READ AS app ROTATE`)).lines
  t.not(rotated.at(-1), lines.at(-1), 'ROTATE gives another password')
  await (await open(given)).close()
  const began = Date.now()
  await owner.ok(`REVOKE read ON FLOW ${FLOW} FROM alice@unix.test`)
  await t.rejects(read.next(), { code: 'FNA_ERR_UNAVAILABLE' }, 'what is open is cut')
  t.ok(Date.now() - began < 5000, 'within five seconds')
  await t.rejects(open(given), { code: 'FNA_ERR_DENIED' })
  t.equal(a.kernel.resources.count('Access'), 0)

  await t.test('it ends with its flow, and by REMOVE ACCESS', async t => {
    t.match(await owner.say(`ACCESS FLOW ${FLOW} READ AS x`), { kind: 'data' })
    t.match(await owner.say(`ACCESS FLOW ${FLOW} WRITE AS x`), { symbol: 'CONFLICT' })
    await owner.ok(`REMOVE ACCESS ${FLOW} x`)
    await owner.ok(`ACCESS FLOW ${FLOW} WRITE`)
    await owner.ok(`DELETE FLOW ${FLOW}`)
    t.equal(a.kernel.resources.count('Access'), 0)
    await owner.ok('CREATE FLOW plain.flows.unix.test')
    t.match(await owner.say('ACCESS FLOW plain.flows.unix.test READ'), { code: 501, text: /use READ and WRITE/ })
  })
})
