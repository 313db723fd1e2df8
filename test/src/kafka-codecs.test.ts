import { randomBytes } from 'node:crypto'
import kafka from '@fnaa/broker-kafka'
import { codecs } from '@fnaa/protocol'
import { type Kafka, startKafka, unavailable } from '@fnaa/services'
import t from 'tap'
import { type Client, single } from './support/agents.js'

// What Java's own producers write, in each of Kafka's codecs: read by FNAP, and passed on in each of the three tiers.
const skip = unavailable() ?? false
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
t.setTimeout(120_000)
const EARLIEST = { from: { at: 'earliest' } }

let cluster: Kafka
let user: Client
t.before(async () => {
  if (skip) return
  cluster = await startKafka()
  const agent = await single(t, {
    change: c => ({ ...c, plugins: [...c.plugins, kafka({ servers: cluster.servers })] }),
  })
  user = await agent.login(t)
  await user.ok('UPDATE NAMESPACE flows.unix.test BROKER broker-kafka')
})
t.teardown(() => cluster?.stop())

const flowOf = (name: string) => `${name}.flows.unix.test`

/** By Kafka's console producer, a line for each event. */
async function produced(topic: string, lines: readonly string[], ...args: string[]): Promise<void> {
  const ran = await cluster.tool('kafka-console-producer', ['--topic', topic, ...args], {
    input: `${lines.join('\n')}\n`,
  })
  if (ran.code !== 0) throw new Error(`${ran.stdout}${ran.stderr}`)
}

t.test('each codec of a Java producer is read', { skip }, async t => {
  const lines = Array.from({ length: 300 }, (_, i) => `event ${i} of many that look the same`)
  const known = CODECS.filter(c => codecs.has(c))
  for (const codec of CODECS) await user.ok(`CREATE FLOW ${flowOf(codec)}`)
  await Promise.all(CODECS.map(codec => produced(flowOf(codec), lines, '--compression-codec', codec)))
  for (const codec of known) t.same(await user.follow(flowOf(codec), 300, EARLIEST), lines, codec)
  if (!known.includes('zstd'))
    await t.rejects(user.follow(flowOf('zstd'), 300, EARLIEST), /501 NOTSUPPORTED the codec zstd is not available here/)

  await t.test('and is passed on as it is, whether we know it or not', async t => {
    await user.ok(`CREATE FLOW ${flowOf('passed')}`)
    await user.ok(`REPLICATE ${flowOf('zstd')} ${flowOf('passed')} FROM earliest`)
    const args = ['--topic', flowOf('passed'), '--from-beginning', '--max-messages', '300', '--timeout-ms', '20000']
    const { stdout } = await cluster.tool('kafka-console-consumer', args)
    t.same(stdout.trimEnd().split('\n'), lines)
  })
})

interface Rates {
  readonly events: number
  readonly raw: number
  readonly rebatched: number
  readonly decoded: number
}

/** Passes a flow on to a new one until so many events have come, and tells by what tiers. */
async function tiers(source: string, events: number): Promise<Rates> {
  const sink = flowOf(`to-${source}`)
  if ((await user.say(`DESCRIBE FLOW ${sink}`)).kind === 'error') await user.ok(`CREATE FLOW ${sink}`)
  const { text } = await user.ok(`REPLICATE ${flowOf(source)} ${sink} FROM earliest`)
  const id = text.split(' ').at(-1)!
  await user.follow(sink, events, EARLIEST)
  // A host tells how far it is once a second.
  for (const end = Date.now() + 10_000; ; await new Promise(resolve => setTimeout(resolve, 100))) {
    const [line] = (await user.ok(`DESCRIBE PROCESSOR ${id} FORMAT JSON`)).lines
    const rates = (JSON.parse(line!) as { rates?: Rates }).rates
    if (rates?.events === events) return rates
    if (Date.now() > end) throw new Error(`of ${events} events: ${line}`)
  }
}

t.test('by which tier batches pass is counted', { skip }, async t => {
  const text = (n: number, size: number) => Array.from({ length: n }, () => randomBytes(size / 2).toString('hex'))

  await t.test('raw: large batches', async t => {
    await user.ok(`CREATE FLOW ${flowOf('large')}`)
    await produced(flowOf('large'), text(200, 1000), '--batch-size', '100000', '--timeout', '500')
    const { raw, ...rest } = await tiers('large', 200)
    t.match(rest, { rebatched: 0, decoded: 0 })
    t.ok(raw >= 2 && raw < 10, `${raw} batches`)
  })

  await t.test('re-batched: a producer without linger', async t => {
    await user.ok(`CREATE FLOW ${flowOf('small')}`)
    await produced(flowOf('small'), text(200, 50), '--sync', '--timeout', '0')
    const { raw, rebatched, decoded } = await tiers('small', 200)
    t.equal(decoded, 0)
    t.ok(rebatched > 150, `${rebatched} of ${raw + rebatched} batches`)
    const dump = await cluster.tool('kafka-get-offsets', ['--topic', flowOf('to-small')])
    t.match(dump.stdout, /:200$/m)
    const processors = (await user.ok('GET PROCESSORS')).lines.find(l => l.includes(flowOf('to-small')))!
    const shown = (await user.ok(`DESCRIBE PROCESSOR ${/processor=(\S+)/.exec(processors)![1]}`)).lines
    t.ok(shown.includes(`rebatched=${rebatched}`), 'an operator sees it too')
  })

  await t.test('decoded: lz4 that is too long for its target is cut, and what comes behind it stays there', async t => {
    const [long, short] = [text(60, 2000), text(5, 20)]
    await user.ok(`CREATE FLOW ${flowOf('cut')}`)
    const large = ['--batch-size', '100000', '--timeout', '500']
    await produced(flowOf('cut'), long, '--compression-codec', 'lz4', ...large)
    await produced(flowOf('cut'), short, '--sync', '--timeout', '0')
    await user.ok(`CREATE FLOW ${flowOf('to-cut')}`)
    const changed = ['--alter', '--entity-type', 'topics', '--entity-name', flowOf('to-cut')]
    await cluster.tool('kafka-configs', [...changed, '--add-config', 'max.message.bytes=10000'])
    const { decoded, raw, rebatched } = await tiers('cut', 65)
    t.ok(decoded > 0)
    t.equal(raw + rebatched, 5)
    t.same(await user.follow(flowOf('to-cut'), 65, EARLIEST), [...long, ...short])
  })

  await t.test('decoded: the broker’s own time stands in the batch', async t => {
    await user.ok(`CREATE FLOW ${flowOf('timed')}`)
    const changed = ['--alter', '--entity-type', 'topics', '--entity-name', flowOf('timed')]
    await cluster.tool('kafka-configs', [...changed, '--add-config', 'message.timestamp.type=LogAppendTime'])
    await produced(flowOf('timed'), text(20, 100), '--compression-codec', 'snappy')
    const { raw, rebatched, decoded } = await tiers('timed', 20)
    t.match({ raw, rebatched }, { raw: 0, rebatched: 0 })
    t.ok(decoded > 0)
  })
})
