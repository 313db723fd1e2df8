import kafka from '@fnaa/broker-kafka'
import type { Config } from '@fnaa/core'
import { type Kafka, startKafka, unavailable } from '@fnaa/services'
import t, { type Test } from 'tap'
import { type Client, places, TestAgent } from './support/agents.js'

// Two organisations, each with its own Kafka cluster and its own agent.
const skip = unavailable() ?? false

interface Org {
  readonly agent: TestAgent
  readonly cluster: Kafka
  readonly user: Client
}

async function organisations(t: Test): Promise<[Org, Org]> {
  const found = await places(t, ['unix.test', 'emiliano.test'])
  const all: Org[] = []
  for (const where of found) {
    const cluster = await startKafka()
    t.teardown(() => cluster.stop())
    const change = (c: Config): Config => ({ ...c, plugins: [...c.plugins, kafka({ servers: cluster.servers })] })
    const agent = await new TestAgent(where, { change }).start()
    t.teardown(() => agent.close())
    const user = await agent.login(t)
    await user.ok(`UPDATE NAMESPACE ${agent.namespace} BROKER broker-kafka`)
    all.push({ agent, cluster, user })
  }
  return all as [Org, Org]
}

/** What stands in a topic, as Kafka's own tool reads it: key, value. */
async function consumed(k: Kafka, topic: string, n: number): Promise<string[]> {
  const print = ['--property', 'print.key=true', '--property', 'key.separator= ']
  const ran = await k.tool('kafka-console-consumer', [
    '--topic',
    topic,
    '--from-beginning',
    '--max-messages',
    String(n),
    '--timeout-ms',
    '20000',
    ...print,
  ])
  return ran.stdout.trimEnd().split('\n')
}

t.test('Kafka to Kafka, from one organisation to another', { skip }, async t => {
  const [a, b] = await organisations(t)
  const flow = 'time.flows.unix.test'
  const local = 'time.flows.emiliano.test'
  await a.user.ok(`CREATE FLOW ${flow} SHARDS 2 VISIBILITY public`)
  t.match((await a.user.ok(`DESCRIBE FLOW ${flow}`)).lines, [
    `flow=${flow}`,
    'type=kafka',
    `topic=${flow}`,
    `server=${a.cluster.servers[0]}`,
  ])
  await b.user.ok(`SUBSCRIBE ${flow} LOCAL ${local} FROM earliest`)
  const made = (await b.user.ok(`DESCRIBE FLOW ${local} FULL`)).lines
  t.ok(made.includes('type=kafka') && made.includes('shards=2'), 'a local flow that is made is like the source')

  await t.test('what Kafka’s own producer writes here stands in their topic', async t => {
    const input = Array.from({ length: 20 }, (_, i) => `k${i % 4}:v${i}`).join('\n')
    const args = ['--topic', flow, '--property', 'parse.key=true', '--property', 'key.separator=:']
    await a.cluster.tool('kafka-console-producer', args, { input: `${input}\n` })
    const got = await consumed(b.cluster, local, 20)
    const spread = (k: Kafka, topic: string) => k.tool('kafka-get-offsets', ['--topic', topic])
    t.equal(
      (await spread(b.cluster, local)).stdout.replaceAll(local, flow),
      (await spread(a.cluster, flow)).stdout,
      'each partition has what its like has at the source',
    )
    for (let k = 0; k < 4; k++) {
      const of = got.filter(line => line.startsWith(`k${k} `))
      t.same(
        of,
        Array.from({ length: 5 }, (_, i) => `k${k} v${i * 4 + k}`),
        'each key in its order',
      )
    }
  })

  await t.test('what is written by FNAP is read by FNAP, and by Kafka’s own consumer', async t => {
    await a.user.write(flow, 'one', '{"n":2}')
    const read = await b.user.follow(local, 22, { from: { at: 'earliest' } })
    t.ok(read.includes('one'))
    t.ok((await consumed(b.cluster, local, 22)).some(line => line.endsWith(' one')))
  })

  await t.test('what is written with keys is spread by them, as Kafka’s own clients do', async t => {
    const keyed = await a.user.connection.write(`WRITE FLOW ${flow} KEY k1`)
    await keyed.send('keyed')
    await keyed.end()
    const where = await a.cluster.tool('kafka-console-consumer', [
      '--topic',
      flow,
      '--from-beginning',
      '--timeout-ms',
      '5000',
      '--property',
      'print.partition=true',
      '--property',
      'print.key=true',
    ])
    const partitions = new Set(
      where.stdout
        .split('\n')
        .filter(l => /\tk1\t/.test(l))
        .map(l => l.split('\t')[0]),
    )
    t.equal(partitions.size, 1, [...partitions].join())
  })

  await t.test('both sides tell the same lag', async t => {
    await b.user.ok(`PAUSE FLOW ${local}`)
    await a.user.write(flow, 'x', 'y', 'z')
    await b.user.ok(`RESUME FLOW ${local}`)
    t.equal((await b.user.follow(local, 26, { from: { at: 'earliest' } })).length, 26)
    t.match((await a.user.ok(`GET SUBSCRIBERS ${flow}`)).lines[0], /lag-events=0 lag-ms=0/)
    const groups = await a.cluster.tool('kafka-consumer-groups', ['--describe', '--all-groups'])
    t.notMatch(groups.stdout, /time\.flows\.unix\.test +\d+ +\d+ +\d+ +[1-9]/, 'and Kafka’s own tool no other')
  })

  await t.test('the topic goes with the flow', async t => {
    await b.user.ok(`UNSUBSCRIBE ${local}`)
    await a.user.ok(`DELETE FLOW ${flow}`)
    const { stdout } = await a.cluster.tool('kafka-topics', ['--list'])
    t.notOk(stdout.split('\n').includes(flow))
    t.ok((await b.cluster.tool('kafka-topics', ['--list'])).stdout.split('\n').includes(local), 'theirs stays')
  })

  await t.test('embedded to Kafka and back', async t => {
    await a.user.ok('CREATE FLOW small.flows.unix.test BROKER broker-embedded VISIBILITY public')
    await b.user.ok('SUBSCRIBE small.flows.unix.test LOCAL large.flows.emiliano.test')
    await a.user.write('small.flows.unix.test', 'there')
    t.same(await b.user.follow('large.flows.emiliano.test', 1, { from: { at: 'earliest' } }), ['there'])
    await b.user.ok('UPDATE FLOW large.flows.emiliano.test VISIBILITY public')
    await a.user.ok('CREATE FLOW back.flows.unix.test BROKER broker-embedded')
    await a.user.ok('SUBSCRIBE large.flows.emiliano.test LOCAL back.flows.unix.test FROM earliest')
    t.same(await a.user.follow('back.flows.unix.test', 1, { from: { at: 'earliest' } }), ['there'])
  })
})
