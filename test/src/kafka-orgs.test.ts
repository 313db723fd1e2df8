import { Resolver } from 'node:dns/promises'
import broker from '@fnaa/broker-kafka'
import { type Config, flattenPlugins } from '@fnaa/core'
import processorBridge from '@fnaa/processor-bridge'
import { encodeBatch } from '@fnaa/protocol'
import { type Kafka, startKafka, unavailable } from '@fnaa/services'
import { Kafka as KafkaClient, logLevel } from 'kafkajs'
import t from 'tap'
import { type Client, eventually, places, TestAgent, type Where } from './support/agents.js'

// Three organisations: two with a Kafka cluster of their own, with logins and ACLs, and one that has none.
const skip = unavailable() ?? false
const DOMAINS = ['unix.test', 'emiliano.test', 'third.test'] as const
const HOUR = 3_600_000
const DAY = 24 * HOUR
const idOf = (line: string | undefined) => /[a-z2-7]{26}/.exec(line ?? '')![0]

interface Org {
  readonly agent: TestAgent
  readonly where: Where
  readonly user: Client
  readonly cluster: Kafka
}
let a: Org
let b: Org
let third: Org
t.setTimeout(300_000)

t.before(async () => {
  if (skip) return
  const clusters = await Promise.all([startKafka({ secure: true }), startKafka({ secure: true })])
  for (const k of clusters) t.teardown(() => k.stop())
  const all = await places(t, DOMAINS)
  const orgs = all.map(async (where, i): Promise<Org> => {
    const cluster = clusters[i]
    const own = cluster && {
      servers: cluster.secureServers,
      tls: { ca: cluster.ca },
      sasl: { mechanism: 'scram-sha-256' as const, ...cluster.admin! },
    }
    const change = (c: Config): Config => ({
      ...c,
      publishEndpoints: true,
      // Who has no cluster has the driver for those of others.
      plugins: [
        ...flattenPlugins(c.plugins).filter(p => p.id !== 'processor-bridge'),
        processorBridge(where === all[1] ? { guarantee: 'exactly-once' } : {}),
        broker(own ?? {}),
      ],
    })
    const agent = await new TestAgent(where, { change }).start()
    t.teardown(() => agent.close())
    return { agent, where, user: await agent.login(t), cluster: cluster as Kafka }
  })
  ;[a, b, third] = (await Promise.all(orgs)) as [Org, Org, Org]
})

const all = { from: { at: 'earliest' } }
const arrives = (o: Org, local: string, n: number) => o.user.follow(local, n, all)

t.test('each mode, from each broker to each', { skip }, async t => {
  await a.user.ok('CREATE FLOW k.flows.unix.test BROKER broker-kafka SHARDS 2 RETENTION 3d VISIBILITY public')
  await a.user.ok('CREATE FLOW e.flows.unix.test SHARDS 2 VISIBILITY public')
  // By visibility alone, the end of one would bar the others of its domain.
  await a.user.ok('GRANT read,subscribe ON FLOW k.flows.unix.test TO *@emiliano.test')
  for (const flow of ['k', 'e']) await a.user.write(`${flow}.flows.unix.test`, 'before')
  const rows = [
    { from: 'k', mode: 'auto', served: 'copy' },
    { from: 'k', mode: 'copy', served: 'copy' },
    { from: 'k', mode: 'direct', served: 'direct' },
    { from: 'k', mode: 'fnap', served: 'fnap' },
    { from: 'e', mode: 'auto', served: 'fnap' },
    { from: 'e', mode: 'fnap', served: 'fnap' },
    { from: 'e', mode: 'copy' },
    { from: 'e', mode: 'direct' },
  ].flatMap(row =>
    (['kafka', 'embedded'] as const).map(to => ({
      ...row,
      to,
      local: `${row.from}-${row.mode}-${to}.flows.emiliano.test`,
    })),
  )
  for (const { from, mode, served, to, local } of rows) {
    await b.user.ok(`CREATE FLOW ${local} BROKER broker-${to} SHARDS 2`)
    const said = await b.user.say(`SUBSCRIBE ${from}.flows.unix.test LOCAL ${local} MODE ${mode} FROM earliest`)
    if (served === undefined) t.match(said, { code: 501, text: /lets nobody in/ }, `${from} ${mode} to ${to}`)
    else {
      const shown = (await b.user.ok('GET SUBSCRIPTIONS')).lines.find(l => l.includes(`local=${local} `))
      t.match(shown, new RegExp(` mode=${served} phase=active `), `${from} ${mode} to ${to}`)
    }
  }
  for (const flow of ['k', 'e']) await a.user.write(`${flow}.flows.unix.test`, 'one', 'two')
  for (const { served, local } of rows) if (served) t.same(await arrives(b, local, 3), ['before', 'one', 'two'], local)
  t.equal(a.agent.kernel.resources.count('Processor'), 1, 'four copies, one Distributor')

  await t.test('T11, T14: the copy in the cluster, its feed, its names', async t => {
    const [s] = a.agent.kernel.resources
      .list('Subscriber')
      .filter(x => x.status.mode === 'copy' && x.status.phase === 'ready')
    const topic = `${s!.name}.k.flows.unix.test`
    const { stdout } = await a.cluster.tool('kafka-topics', ['--describe', '--topic', topic])
    t.match(stdout, /PartitionCount: 2/)
    t.match(stdout, /retention\.ms=259200000/, 'kept as long as its source')
    t.match((await a.user.ok('GET PROCESSORS')).lines, [/type=distributor phase=running sources=k\.flows\.unix\.test /])
    const dns = new Resolver()
    dns.setServers([`127.0.0.1:${a.where.dnsPort}`])
    const [queue] = await dns.resolveSrv(`_queue._flow._tcp.${topic}`)
    t.equal(`${queue!.name}:${queue!.port}`, a.cluster.secureServers[0])
    const words = (await dns.resolveTxt(`_queue._flow._tcp.${topic}`)).flat().join(' ')
    t.match(words, /broker-type=kafka/)
    t.match(words, new RegExp(`topic=${topic}`))
  })

  await t.test('T11 by hand, at the agent of the flow itself', async t => {
    const { lines } = await a.user.ok('SUBSCRIBE k.flows.unix.test LOCAL own.flows.unix.test FROM earliest')
    const id = idOf(lines[0])
    t.equal(lines[0], `${id}.k.flows.unix.test`)
    t.same((await arrives(a, 'own.flows.unix.test', 3)).sort(), ['before', 'one', 'two'])
    await a.user.ok('UNSUBSCRIBE own.flows.unix.test')
  })

  await t.test('one is cut off, the others go on', async t => {
    const [s] = a.agent.kernel.resources
      .list('Subscriber')
      .filter(x => x.status.mode === 'copy' && x.status.phase === 'ready')
    await a.user.ok(`REMOVE SUBSCRIBER k.flows.unix.test ${s!.name}`)
    t.notMatch((await a.cluster.tool('kafka-topics', ['--list'])).stdout, s!.name, 'its topic is gone')
    await a.user.write('k.flows.unix.test', 'three')
    const gone = b.agent.kernel.resources.get('Subscription', s!.name)!.spec.local
    const going = rows.filter(r => r.from === 'k' && r.local !== gone)
    for (const { local } of going) t.equal((await arrives(b, local, 4)).at(-1), 'three', local)
    const acls = await a.cluster.tool('kafka-acls', ['--list'])
    t.notMatch(acls.stdout, `fnaad-${s!.uid}`, 'nor has it a right')
  })
})

t.test(
  'H32 a stranger’s events of 1970, of the year 3000 and in microseconds are held inside what our topic keeps',
  { skip },
  async t => {
    const now = Date.now()
    const timesOf = async (o: Org, flow: string, n: number) => {
      const times: number[] = []
      for await (const line of await o.user.connection.readLines(`READ FLOW ${flow} FROM earliest MAX ${n} FOLLOW`))
        times.push(Date.parse((JSON.parse(line) as { time: string }).time))
      return times
    }
    const produce = async (o: Org, topic: string, times: readonly number[]) => {
      const producer = new KafkaClient({ brokers: [...o.cluster.servers], logLevel: logLevel.NOTHING }).producer()
      await producer.connect()
      await producer.send({ topic, messages: times.map(time => ({ value: 'v', timestamp: String(time) })) })
      await producer.disconnect()
    }
    // What the owner's own cluster would refuse cannot be copied inside it.
    const rows = [
      { flow: 'past', at: Date.UTC(1970, 0, 2), from: now - 7 * DAY, modes: ['fnap', 'direct', 'copy'] },
      { flow: 'future', at: Date.UTC(3000, 0, 1), from: now, modes: ['fnap', 'direct'] },
      { flow: 'micros', at: now * 1000, from: now, modes: ['fnap', 'direct'] },
    ]
    for (const { flow, at, from, modes } of rows) {
      const name = `${flow}.flows.unix.test`
      await a.user.ok(`CREATE FLOW ${name} BROKER broker-kafka RETENTION 36500d VISIBILITY public`)
      const lenient = ['--add-config', `message.timestamp.after.max.ms=${Number.MAX_SAFE_INTEGER}`]
      await a.cluster.tool('kafka-configs', ['--alter', '--topic', name, ...lenient])
      await produce(a, name, [at, now - DAY, now])
      for (const mode of modes) {
        const local = `${flow}-${mode}.flows.emiliano.test`
        await b.user.ok(`CREATE FLOW ${local} BROKER broker-kafka RETENTION 7d`)
        await b.user.ok(`SUBSCRIBE ${name} LOCAL ${local} MODE ${mode} FROM earliest`)
        const kept = await timesOf(b, local, 3)
        t.same(kept.slice(1), [now - DAY, now], `${local}: what is inside stays`)
        t.ok(kept[0]! >= from && kept[0]! < from + 2 * HOUR, `${local}: ${new Date(kept[0]!).toISOString()}`)
      }
    }
    await t.test('and what they publish into a flow of ours', async t => {
      const [inbox, out] = ['seven.flows.unix.test', 'old.flows.emiliano.test']
      await a.user.ok(`CREATE FLOW ${inbox} BROKER broker-kafka RETENTION 7d`)
      await a.user.ok(`GRANT write ON FLOW ${inbox} TO *@emiliano.test`)
      await b.user.ok(`CREATE FLOW ${out} BROKER broker-kafka RETENTION 36500d`)
      await produce(b, out, [DAY, now])
      t.same(await timesOf(b, out, 2), [DAY, now], 'theirs keeps it')
      await b.user.ok(`PUBLISH ${out} TO ${inbox} MODE fnap FROM earliest`)
      const [past, then] = await timesOf(a, inbox, 2)
      t.ok(past! >= now - 7 * DAY && past! < now, new Date(past!).toISOString())
      t.equal(then, now)
      // What we say of our own events stands.
      const stream = await a.user.connection.stream(`WRITE FLOW ${inbox} FORMAT BATCH`)
      const own = { key: null, value: Buffer.from('ours'), headers: [], timestamp: DAY }
      await stream.send({ type: 'D', shard: '0', cursor: '1', batch: encodeBatch([own]) })
      while ((await stream.next())?.type !== 'A');
      await stream.end()
      t.equal((await timesOf(a, inbox, 3))[2], DAY)
    })
  },
)

t.test('a participant without a cluster: copy from one, and it publishes to others again', { skip }, async t => {
  const [x, y, z] = ['x.flows.unix.test', 'x.flows.emiliano.test', 'x.flows.third.test']
  await a.user.ok(`CREATE FLOW ${x} BROKER broker-kafka VISIBILITY public`)
  await b.user.ok(`CREATE FLOW ${y} BROKER broker-kafka VISIBILITY public`)
  await b.user.ok(`SUBSCRIBE ${x} LOCAL ${y}`)
  await third.user.ok(`SUBSCRIBE ${y} LOCAL ${z} MODE copy`)
  t.match((await third.user.ok('GET SUBSCRIPTIONS')).lines, [/ mode=copy phase=active /])
  await third.user.ok(`UPDATE FLOW ${z} VISIBILITY public`)
  await a.user.write(x, 'round')
  t.same(await arrives(third, z, 1), ['round'], 'over two clusters')
  for (const from of [y, z])
    t.match(await a.user.say(`SUBSCRIBE ${from} LOCAL ${x}`), { code: 409, symbol: 'LOOP' }, `back from ${from}`)
  t.match(await third.user.say(`SUBSCRIBE ${x} LOCAL ${z}`), { kind: 'data' }, 'two ways to one flow are no loop')
  await third.user.ok(`UNSUBSCRIBE ${z} FROM ${y}`).catch(() => undefined)
})

t.test('figure 16: both ways, each side reads the other’s source', { skip }, async t => {
  const pairs = [
    { from: a, to: b, flow: 'there.flows.unix.test', local: 'there.flows.emiliano.test' },
    { from: b, to: a, flow: 'back.flows.emiliano.test', local: 'back.flows.unix.test' },
  ]
  for (const { from, flow } of pairs)
    await from.user.ok(`CREATE FLOW ${flow} BROKER broker-kafka SHARDS 2 VISIBILITY public`)
  for (const { to, flow, local } of pairs) {
    await to.user.ok(`CREATE FLOW ${local} BROKER broker-kafka SHARDS 2`)
    await to.user.ok(`SUBSCRIBE ${flow} LOCAL ${local} MODE direct`)
  }
  const text = (flow: string) => Array.from({ length: 20 }, (_, i) => `${flow} ${i}`)
  await Promise.all(pairs.map(({ from, flow }) => from.user.write(flow, ...text(flow))))
  for (const { to, flow, local } of pairs) t.same(await arrives(to, local, 20), text(flow), local)
  for (const { from, flow } of pairs)
    t.match((await from.user.ok(`GET SUBSCRIBERS ${flow}`)).lines, [/ mode=direct phase=ready /])
})

t.test('PUBLISH into a flow of theirs that grants write', { skip }, async t => {
  const inbox = 'inbox.flows.unix.test'
  await a.user.ok(`CREATE FLOW ${inbox} BROKER broker-kafka SHARDS 2`)
  await b.user.ok('CREATE FLOW out.flows.emiliano.test BROKER broker-kafka SHARDS 2')
  t.match(
    await b.user.say(`PUBLISH out.flows.emiliano.test TO ${inbox}`),
    { symbol: 'NOTFOUND' },
    'not without a grant',
  )
  await a.user.ok(`GRANT write ON FLOW ${inbox} TO *@emiliano.test`)
  t.match(await b.user.say(`PUBLISH out.flows.emiliano.test TO ${inbox} MODE copy`), {
    code: 501,
    text: /for SUBSCRIBE/,
  })
  const id = idOf((await b.user.ok(`PUBLISH out.flows.emiliano.test TO ${inbox} MODE direct FROM earliest`)).lines[0])
  await b.user.write('out.flows.emiliano.test', 'from afar')
  t.same(await arrives(a, inbox, 1), ['from afar'])

  await t.test('its login writes there, and reads nothing', async t => {
    const known = a.agent.kernel.resources.get('Subscriber', id)!
    const given = (await a.agent.kernel.access.of(known.uid, { signal: AbortSignal.timeout(10_000) }))!
    const { user: username, password } = given.credential!.values as { user: string; password: string }
    const config = ['--command-config', await a.cluster.propertiesOf({ username, password })]
    const at = ['--bootstrap-server', a.cluster.secureServers.join(','), '--topic', inbox]
    await a.cluster.tool('kafka-console-producer', [...at, ...config], { input: 'by hand\n' })
    t.same((await arrives(a, inbox, 2)).sort(), ['by hand', 'from afar'])
    const read = await a.cluster.tool('kafka-console-consumer', [
      ...at,
      ...config,
      '--group',
      `${username}.x`,
      '--from-beginning',
      '--timeout-ms',
      '5000',
    ])
    t.match(`${read.stdout}${read.stderr}`, /TopicAuthorization|Not authorized/i)
  })

  await t.test('through the agent, from a flow without Kafka', async t => {
    await third.user.ok('CREATE FLOW out.flows.third.test')
    await a.user.ok(`GRANT write ON FLOW ${inbox} TO third.test`)
    await third.user.ok(`PUBLISH out.flows.third.test TO ${inbox} MODE fnap`)
    await third.user.write('out.flows.third.test', 'third')
    t.ok((await arrives(a, inbox, 3)).includes('third'))
  })

  await t.test('the owner takes it away', async t => {
    await a.user.ok(`REVOKE write ON FLOW ${inbox} FROM *@emiliano.test`)
    const { cut, phase } = a.agent.kernel.resources.get('Subscriber', id)!.status
    t.equal(phase, 'revoked')
    t.same(Object.keys(cut!), ['sessions', 'access', 'credential', 'names'])
    await b.user.write('out.flows.emiliano.test', 'never')
    const gone = () => b.agent.kernel.resources.get('Subscription', id)?.status.phase === 'revoked' || undefined
    await eventually(b.agent, gone, 'revoked')
    t.equal((await a.user.read(inbox)).length, 3)
  })
})

t.test('F16: the cluster is down while the owner revokes', { skip }, async t => {
  const flow = 'down.flows.unix.test'
  await a.user.ok(`CREATE FLOW ${flow} BROKER broker-kafka VISIBILITY public`)
  const id = idOf((await b.user.ok(`SUBSCRIBE ${flow} LOCAL down.flows.emiliano.test MODE copy`)).lines[0])
  await a.cluster.node(1).kill()
  const owner = await a.agent.login(t)
  const shown = async () =>
    JSON.parse((await owner.ok(`GET SUBSCRIBERS ${flow} ALL FORMAT JSON`)).lines[0]!)[0] as object
  const asked = a.user.say(`REMOVE SUBSCRIBER ${flow} ${id}`)
  const status = () => a.agent.kernel.resources.get('Subscriber', id)!.status
  await eventually(a.agent, () => status().cut?.['access'] === 'pending' || undefined, 'said to be pending', 60_000)
  let changes = 0
  const stop = a.agent.kernel.resources.onChange(r => (changes += r.name === id ? 1 : 0))
  t.match(await shown(), {
    phase: 'ready',
    cut: { sessions: /T/, access: 'pending', feed: 'pending', queue: 'pending' },
  })
  stop()
  t.equal(changes, 0, 'what is tried again with nothing new wakes nobody')
  await a.cluster.node(1).start()
  await eventually(a.agent, () => status().phase === 'revoked' || undefined, 'cut, seconds after the cluster is back')
  t.match(await asked, { kind: 'ok' }, 'who asked has waited for it')
  t.match(await shown(), { phase: 'revoked', cut: { access: /T/, feed: /T/, queue: /T/, credential: /T/ } })
  t.notMatch((await a.cluster.tool('kafka-topics', ['--list'])).stdout, id)
})
