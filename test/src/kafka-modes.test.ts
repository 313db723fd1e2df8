import broker from '@fnaa/broker-kafka'
import { type Kafka, startKafka, unavailable } from '@fnaa/services'
import t from 'tap'
import { type Client, eventually, pair, type Teardown, type TestAgent } from './support/agents.js'
import { asAdmin } from './support/kafka-admin.js'

// Two organisations whose flows are on a real Kafka with logins and ACLs. One cluster stands in for both: each agent has its own
// topics, and a subscriber comes in with nothing but what it was given.
const skip = unavailable() ?? false
const FLOW = 'time.flows.unix.test'
const LOCAL = 'time.flows.emiliano.test'
const idOf = (line: string | undefined) => /[a-z2-7]{26}/.exec(line ?? '')![0]
const c = () => ({ signal: AbortSignal.timeout(20_000) })
t.setTimeout(300_000)

let kafka: Kafka
t.before(async () => {
  if (!skip) kafka = await startKafka({ secure: true })
})
t.teardown(() => kafka?.stop())

async function two(t: Teardown): Promise<{ a: TestAgent; b: TestAgent; owner: Client; user: Client }> {
  const plugin = () => broker(asAdmin(kafka))
  const { a, b } = await pair(t, { change: o => ({ ...o, publishEndpoints: true, plugins: [...o.plugins, plugin()] }) })
  const owner = await a.login(t)
  const user = await b.login(t)
  return { a, b, owner, user }
}
const service = (a: TestAgent) => a.kernel.brokers.operated.get('broker-kafka')!.service

t.test('T8, T10, T12 to T14 on Kafka: a copy, and its end', { skip }, async t => {
  const { a, b, owner, user } = await two(t)
  await owner.ok(`CREATE FLOW ${FLOW} BROKER broker-kafka SHARDS 2 VISIBILITY public`)
  t.same((await owner.ok(`DESCRIBE FLOW ${FLOW}`)).lines, [
    `flow=${FLOW}`,
    'type=kafka',
    `topic=${FLOW}`,
    `server=${kafka.secureServers[0]}`,
  ])
  await user.ok(`CREATE FLOW ${LOCAL} BROKER broker-kafka`)
  await owner.write(FLOW, 'before')
  const sub = await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} FROM earliest`)
  const id = idOf(sub.lines[0])
  t.match(sub.lines[0], new RegExp(`^${LOCAL} SUBSCRIBED TO ${id}\\.${FLOW}$`))
  t.match(
    await service(a).describeQueue(`${id}.${FLOW}`, c()),
    { shards: 2 },
    'the endpoint is a topic like the source',
  )
  await owner.write(FLOW, 'one', 'two')
  t.same((await user.follow(LOCAL, 3, { from: { at: 'earliest' } })).sort(), ['before', 'one', 'two'])
  t.match((await owner.ok(`GET SUBSCRIBERS ${FLOW}`)).lines[0], / mode=copy phase=ready /)

  await t.test('the login is good for its own copy, and for nothing else', async t => {
    const known = a.kernel.resources.get('Subscriber', id)!
    const given = (await a.kernel.access.of(known.uid, c()))!
    const { user: username, password } = given.credential!.values as { user: string; password: string }
    const config = await kafka.propertiesOf({ username, password })
    const read = (topic: string, n: number) =>
      kafka.tool('kafka-console-consumer', [
        ...['--bootstrap-server', kafka.secureServers.join(','), '--command-config', config, '--topic', topic],
        ...[
          '--group',
          given.endpoint.reader!,
          '--from-beginning',
          '--max-messages',
          String(n),
          '--timeout-ms',
          '15000',
        ],
      ])
    const seen = (await read(`${id}.${FLOW}`, 4)).stdout.trim().split('\n')
    t.same(seen.sort(), [id, 'before', 'one', 'two'].sort(), 'the marker, and the events')
    const denied = await read(FLOW, 1)
    t.match(`${denied.stdout}${denied.stderr}`, /TopicAuthorization|Not authorized/i)
  })

  await t.test('lag is the same on both sides when all has come', async t => {
    t.match((await owner.ok(`GET SUBSCRIBERS ${FLOW}`)).lines[0], / lag-events=0 /)
  })

  await t.test('REMOVE SUBSCRIBER: nothing passes, and the topic is gone', async t => {
    const began = Date.now()
    await owner.ok(`REMOVE SUBSCRIBER ${FLOW} ${id}`)
    t.ok(Date.now() - began < 5000, `cut in ${Date.now() - began} ms`)
    const { cut } = a.kernel.resources.get('Subscriber', id)!.status
    t.same(Object.keys(cut!), ['sessions', 'access', 'feed', 'queue', 'credential', 'names'])
    t.equal(await service(a).describeQueue(`${id}.${FLOW}`, c()), null)
    await eventually(
      b,
      () => (b.kernel.resources.get('Subscription', id)?.status.phase === 'revoked' ? true : undefined),
      'revoked',
    )
  })
})

t.test('direct; and ACCESS FLOW for an application', { skip }, async t => {
  const { owner, user } = await two(t)
  const flow = 'direct.flows.unix.test'
  await owner.ok(`CREATE FLOW ${flow} BROKER broker-kafka VISIBILITY public`)
  await owner.write(flow, 'before')
  const local = 'direct.flows.emiliano.test'
  const id = idOf((await user.ok(`SUBSCRIBE ${flow} LOCAL ${local} MODE direct FROM earliest`)).lines[0])
  await owner.write(flow, 'one')
  t.same(await user.follow(local, 2, { from: { at: 'earliest' } }), ['before', 'one'])
  await user.ok(`UNSUBSCRIBE ${id}`)
  const { lines } = await owner.ok(`ACCESS FLOW ${flow} READ AS app`)
  const value = (key: string) => lines.find(l => l.startsWith(`${key}=`))!.slice(key.length + 1)
  t.equal(value('type'), 'kafka')
  const config = await kafka.propertiesOf({ username: value('user'), password: value('password') })
  const consume = () =>
    kafka.tool('kafka-console-consumer', [
      ...['--bootstrap-server', value('server'), '--command-config', config, '--topic', value('topic')],
      ...['--group', value('user'), '--from-beginning', '--max-messages', '1', '--timeout-ms', '15000'],
    ])
  t.match(await consume(), { stdout: /before/ })
  await owner.ok(`REMOVE ACCESS ${flow} app`)
  const after = await consume()
  t.match(`${after.stdout}${after.stderr}`, /Authentication failed|authentication/i)
})
