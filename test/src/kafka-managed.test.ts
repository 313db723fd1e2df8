import { readFile } from 'node:fs/promises'
import broker, { type KafkaOptions } from '@fnaa/broker-kafka'
import { AddressGuard, makeDial } from '@fnaa/client'
import { loadDriver } from '@fnaa/core'
import { type Kafka, startEventHubs, startKafka, unavailable } from '@fnaa/services'
import t, { type Test } from 'tap'
import { CONFIG, pair } from './support/agents.js'

// Clusters that others run, and that deny what one's own does not.
const skip = unavailable() ?? false
const FLOW = 'time.flows.unix.test'
t.setTimeout(180_000)

/** For the tests of logins, each with users of its own. */
let kafka: Kafka
t.before(async () => {
  if (!skip) kafka = await startKafka({ secure: true })
})
t.teardown(() => kafka?.stop())

async function two(t: Test, options: KafkaOptions) {
  const { a, b } = await pair(t, { change: o => ({ ...o, plugins: [...o.plugins, broker(options)] }) })
  return { a, b, owner: await a.login(t), user: await b.login(t) }
}

t.test('Event Hubs: flows are there, and subscribers come in through the agent', { skip }, async t => {
  const hubs = await startEventHubs()
  t.teardown(() => hubs.stop())
  const { servers, ca, username, password } = hubs
  const { owner, user } = await two(t, { servers, tls: { ca }, sasl: { mechanism: 'plain', username, password } })
  t.ok((await owner.ok('CAPABILITIES')).lines.includes('modes=fnap'))
  t.notMatch((await owner.ok('DESCRIBE BROKER broker-kafka')).lines, /access=issued/)
  await owner.ok(`CREATE FLOW ${FLOW} BROKER broker-kafka SHARDS 2`)
  t.match(await owner.say(`UPDATE FLOW ${FLOW} RETENTION 1d`), { code: 501, text: /the broker refuses/ })
  await owner.ok(`UPDATE FLOW ${FLOW} VISIBILITY public`)
  t.ok((await owner.ok(`DESCRIBE FLOW ${FLOW} FULL`)).lines.includes('retention=7d'), 'what was refused is as before')
  await owner.write(FLOW, 'one')
  const local = 'time.flows.emiliano.test'
  await user.ok(`CREATE FLOW ${local} BROKER broker-kafka SHARDS 2`)
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${local} FROM earliest`)
  await owner.write(FLOW, 'two')
  t.same(await user.follow(local, 2, { from: { at: 'earliest' } }), ['one', 'two'])
  t.match((await user.ok('GET SUBSCRIPTIONS')).lines, [/ mode=fnap phase=active /], 'auto')
  for (const mode of ['copy', 'direct'])
    t.match(await user.say(`SUBSCRIBE ${FLOW} LOCAL ${mode}.flows.emiliano.test MODE ${mode}`), {
      code: 501,
      text: /lets nobody in: MODE fnap/,
    })
  t.match(await owner.say(`ACCESS FLOW ${FLOW} READ`), { code: 501, text: /use READ and WRITE/ })
})

t.test('a login without rights of its own on users and topics', { skip }, async t => {
  const topic = 'by-hand'
  await kafka.tool('kafka-topics', ['--create', '--topic', topic, '--partitions', '2'])
  const weak = { username: 'weak', password: 'weak-password' }
  const scram = ['--alter', '--add-config', `SCRAM-SHA-256=[password=${weak.password}]`]
  await kafka.tool('kafka-configs', [...scram, '--entity-type', 'users', '--entity-name', weak.username])
  const may = (...what: string[]) => kafka.tool('kafka-acls', ['--add', '--allow-principal', 'User:weak', ...what])
  await may('--operation', 'Read', '--operation', 'Write', '--operation', 'Describe', '--topic', topic)
  await may('--operation', 'Read', '--group', '*')
  const sasl = { mechanism: 'scram-sha-256' as const, ...weak }
  const { owner, user } = await two(t, { servers: kafka.secureServers, tls: { ca: kafka.ca }, sasl })
  t.ok((await owner.ok('CAPABILITIES')).lines.includes('modes=fnap'), 'it may make no users')
  const made = await owner.say(`CREATE FLOW ${FLOW} BROKER broker-kafka`)
  t.match(made, { code: 501, text: /the broker refuses the queue.*TOPIC adopts one that was made by hand/ })
  t.same((await owner.ok('GET FLOWS')).lines, [], 'it leaves nothing')
  const adopted = 'adopted.flows.unix.test'
  await owner.ok(`CREATE FLOW ${adopted} BROKER broker-kafka TOPIC ${topic} VISIBILITY public`)
  await user.ok(`SUBSCRIBE ${adopted} LOCAL adopted.flows.emiliano.test FROM earliest`)
  await owner.write(adopted, 'one')
  t.same(await user.follow('adopted.flows.emiliano.test', 1, { from: { at: 'earliest' } }), ['one'])
  const full = (await user.ok('DESCRIBE FLOW adopted.flows.emiliano.test FULL')).lines
  t.ok(full.includes('shards=2'), 'as many shards as the topic, whatever the flow was made with')
})

t.test('the two users of examples/kafka, with the rights that it names and no others', { skip }, async t => {
  const text = await readFile(new URL('../../examples/kafka/README.md', import.meta.url), 'utf8')
  const commands = text.split('\n').filter(line => /^kafka-(acls|configs) /.test(line))
  t.equal(commands.length, 9)
  for (const line of commands) {
    const [tool, ...args] = line.split(' ') as [string, ...string[]]
    const ran = await kafka.tool(tool, args)
    t.equal(ran.code, 0, ran.stderr)
  }
  const { owner, user } = await two(t, {
    servers: kafka.secureServers,
    tls: { ca: kafka.ca },
    sasl: { mechanism: 'scram-sha-256', username: 'fnaad', password: 'KAFKA_PASSWORD' },
    data: { username: 'fnaad-data', password: 'KAFKA_DATA_PASSWORD' },
  })
  t.ok((await owner.ok('CAPABILITIES')).lines.includes('modes=copy,direct,fnap'))
  await owner.ok(`CREATE FLOW ${FLOW} BROKER broker-kafka SHARDS 2 VISIBILITY public`)
  await owner.ok(`UPDATE FLOW ${FLOW} SHARDS 3 RETENTION 1d`)
  await owner.write(FLOW, 'one')
  for (const mode of ['copy', 'direct'] as const) {
    const local = `${mode}.flows.emiliano.test`
    await user.ok(`CREATE FLOW ${local} BROKER broker-kafka`)
    await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${local} MODE ${mode} FROM earliest`)
    t.same(await user.follow(local, 1, { from: { at: 'earliest' } }), ['one'], mode)
  }
  t.match((await owner.ok(`GET SUBSCRIBERS ${FLOW}`)).lines, [/lag-events=/, /lag-events=/])
  await owner.ok(`DELETE FLOW ${FLOW}`)
})

t.test('a stranger’s cluster that says its brokers are inside', { skip }, async t => {
  const kafka = await startKafka({ secure: true, advertise: '10.1.2.3:9093' })
  t.teardown(() => kafka.stop())
  await kafka.tool('kafka-topics', ['--create', '--topic', 'theirs'])
  const driver = await loadDriver('@fnaa/broker-kafka/driver', CONFIG)
  const endpoint = {
    type: 'kafka',
    servers: kafka.secureServers,
    queue: 'theirs',
    tls: { ca: kafka.ca, servername: 'localhost' },
  }
  const credential = {
    mechanism: 'SCRAM-SHA-256',
    values: { user: kafka.admin!.username, password: kafka.admin!.password },
  }
  const c = { signal: AbortSignal.timeout(20_000) }
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  // Of all that is not public this guard lets loopback through, where the bootstrap server of this test is.
  const dial = makeDial({
    resolve: () => Promise.reject(new Error('no names here')),
    guard: new AddressGuard({ allow: ['127.0.0.0/8'] }),
  })
  const began = Date.now()
  const wire = await driver.open(endpoint, credential, { log, dial, foreign: true }, c)
  t.teardown(() => wire.close())
  await t.rejects(wire.source({ reader: 'r', epoch: 1, from: { at: 'earliest' } }, c), {
    code: 'FNA_ERR_ADDRESS',
    message: /address that strangers may not name/,
  })
  await t.rejects(wire.sink({ writer: 'w', epoch: 1 }, c), { code: 'FNA_ERR_ADDRESS' })
  t.ok(Date.now() - began < 10_000, 'at once, not after many tries')
})
