import { setTimeout as pause } from 'node:timers/promises'
import broker from '@fnaa/broker-kafka'
import { type Kafka, startKafka, unavailable } from '@fnaa/services'
import t, { type Test } from 'tap'
import { type Client, pair } from './support/agents.js'
import { asAdmin } from './support/kafka-admin.js'
import { Load } from './support/kafka-load.js'

// How far behind a subscriber is: the same number at the owner, at the subscriber and in Kafka's own tool, at 2,000 events a second.
const skip = unavailable() ?? false
const FLOW = 'load.flows.unix.test'
const RATE = 2000
/** By mode: the milliseconds between two looks at the subscriber (fnap: between two heartbeats), and some for the machine. */
const STALE_MS = { copy: 3000, direct: 3000, fnap: 7000 }
const MODES = ['copy', 'direct', 'fnap'] as const
type Mode = (typeof MODES)[number]
interface Lag {
  readonly events: number
  readonly ms: number
}

const lagIn = (lines: readonly string[], mode: Mode): Lag => {
  const line = lines.find(l => l.includes(` mode=${mode} `)) ?? ''
  const [, events, ms] = / lag-events=(\d+) lag-ms=(\d+)/.exec(line) ?? []
  return { events: Number(events ?? Number.NaN), ms: Number(ms ?? Number.NaN) }
}

t.test('the same lag on both sides and in Kafka’s own tool', { skip, timeout: 180_000 }, async t => {
  const kafka = await startKafka({ secure: true })
  t.teardown(() => kafka.stop())
  const own = () => broker(asAdmin(kafka))
  const { a, b } = await pair(t, { change: o => ({ ...o, plugins: [...o.plugins, own()] }) })
  const [owner, user] = [await a.login(t), await b.login(t)]
  await owner.ok(`CREATE FLOW ${FLOW} BROKER broker-kafka SHARDS 2 VISIBILITY public`)
  const ids = new Map<Mode, string>()
  for (const mode of MODES) {
    const { lines } = await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${mode}.flows.emiliano.test MODE ${mode}`)
    ids.set(mode, /[a-z2-7]{26}/.exec(lines[0]!)![0])
  }
  const load = new Load(kafka, FLOW, 2, RATE)
  load.start()
  t.teardown(() => load.stop())
  await load.more(RATE)
  const look = async () => {
    const began = performance.now()
    const [theirs, ours] = await Promise.all([owner.ok(`GET SUBSCRIBERS ${FLOW}`), user.ok('GET SUBSCRIPTIONS')])
    // Who is asked first on a busy machine answers for a moment that is as much earlier.
    const took = performance.now() - began
    return MODES.map(mode => ({ mode, took, theirs: lagIn(theirs.lines, mode), ours: lagIn(ours.lines, mode) }))
  }
  const close = (
    t: Test,
    what: string,
    { mode, took, theirs: x, ours: y }: Awaited<ReturnType<typeof look>>[number],
  ) => {
    const ms = STALE_MS[mode] + took
    t.ok(Math.abs(x.events - y.events) <= (RATE * ms) / 1000, `${what} ${mode}: ${x.events} and ${y.events} events`)
    t.ok(Math.abs(x.ms - y.ms) <= ms, `${what} ${mode}: ${x.ms} and ${y.ms} ms`)
  }

  await t.test('while events pass', async t => {
    for (let i = 0; i < 3; i++) {
      await load.more(RATE)
      for (const seen of await look()) close(t, 'passing', seen)
    }
  })

  await t.test('while they pile up', async t => {
    for (const id of ids.values()) await user.ok(`PAUSE SUBSCRIPTION ${id}`)
    const before = load.acknowledged
    await load.more(RATE * 4)
    for (const seen of await look()) {
      close(t, 'paused', seen)
      const piled = load.acknowledged - before
      // What was under way when it was paused waits too.
      t.ok(
        seen.theirs.events >= piled - RATE * 3,
        `${seen.mode}: ${seen.theirs.events} of the ${piled} that came since`,
      )
    }
  })

  await t.test('when no more come, to the event', async t => {
    await load.stop()
    const tool = await settled(
      kafka,
      a.kernel.resources.list('Subscriber').map(s => [s.status.mode as Mode, s.uid]),
    )
    let seen = await look()
    for (let i = 0; i < 100 && seen.some(s => s.theirs.events !== s.ours.events); i++) {
      await pause(100)
      seen = await look()
    }
    for (const one of seen) {
      const { mode, theirs, ours } = one
      t.ok(theirs.events >= RATE * 4, `${mode}: ${theirs.events} wait`)
      t.equal(ours.events, theirs.events, `${mode}: the subscriber says what the owner says`)
      if (mode !== 'fnap') t.equal(tool.get(mode), theirs.events, `${mode}: and Kafka’s own tool`)
      close(t, 'stopped', one)
    }
  })

  await t.test('and nothing when all has come', async t => {
    for (const id of ids.values()) await user.ok(`RESUME SUBSCRIPTION ${id}`)
    for (const mode of MODES) await all(user, `${mode}.flows.emiliano.test`, load.acknowledged)
    let seen = await look()
    for (let i = 0; i < 100 && seen.some(s => s.theirs.events + s.ours.events > 0); i++) {
      await pause(100)
      seen = await look()
    }
    for (const { mode, theirs, ours } of seen)
      t.strictSame(
        [theirs, ours],
        [
          { events: 0, ms: 0 },
          { events: 0, ms: 0 },
        ],
        mode,
      )
  })
})

/** By mode, what Kafka's own tool says of the group of a subscriber's login. */
async function settled(kafka: Kafka, uids: readonly (readonly [Mode, string])[]): Promise<Map<Mode, number>> {
  const { stdout } = await kafka.tool('kafka-consumer-groups', ['--describe', '--all-groups'])
  const lines = stdout.split('\n').map(line => line.trim().split(/\s+/))
  return new Map(
    uids.map(([mode, uid]) => [
      mode,
      lines.filter(([group]) => group?.startsWith(`fnaad-${uid}-0.`)).reduce((n, line) => n + Number(line[5]), 0),
    ]),
  )
}

/** Resolves when a flow holds at least so many events. */
async function all(user: Client, flow: string, n: number): Promise<void> {
  const read = await user.connection.readLines(`READ FLOW ${flow} FROM earliest FOLLOW MAX ${n}`)
  for await (const _line of read);
}
