import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { type Client, places } from './support/agents.js'
import { ProcessAgent } from './support/process.js'
import { Random, seedOf } from './support/random.js'

// Kill -9 of agents and processor hosts while events run across two organisations: no acknowledged event is lost, the order
// per key is kept, and there is never a second writer. `npm run test:kill -- --load N --seed S` runs more of them.
const KILLS = Number(process.env['FNAAD_LOAD_KILLS'] ?? 20)
const SEED = seedOf()
const FLOW = 'load.flows.unix.test'
const LOCAL = 'load.flows.emiliano.test'
const KEYS = ['a', 'b', 'c', 'd']
/** Events of one WRITE, and milliseconds between one and the next of a key: some 2,000 events a second in all. */
const MOST_BURST = 40
const PACE_MS = 25

t.setTimeout(120_000 + KILLS * 15_000)
t.test(`${KILLS} kills under load, seed ${SEED}`, async t => {
  const random = new Random(SEED)
  const [wa, wb] = await places(t, ['unix.test', 'emiliano.test'])
  const a = await (await ProcessAgent.prepare(t, wa!)).start()
  const b = await (await ProcessAgent.prepare(t, wb!)).start()
  await again(a, c => c.ok(`CREATE FLOW ${FLOW} VISIBILITY public`))
  await again(b, c => c.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} FROM earliest`))
  const writers = KEYS.map((key, i) => new Writer(a, key, new Random(SEED + 1 + i)))
  t.teardown(() => {
    for (const w of writers) w.stop()
  })
  const began = performance.now()
  const running = Promise.all(writers.map(w => w.run()))
  const count: Record<string, number> = {}
  for (let i = 0; i < KILLS; i++) {
    const target = random.pick(['source agent', 'subscribing agent', 'host'])
    count[target] = (count[target] ?? 0) + 1
    await kill(target, a, b)
    await progress(writers, 5 + random.below(20))
    if (i % 100 === 99) t.comment(`${i + 1} kills, ${sum(writers, w => w.events)} events acknowledged`)
  }
  for (const w of writers) w.stop()
  await running
  const seconds = (performance.now() - began) / 1000
  const acknowledged = sum(writers, w => w.events)
  const arrived = await again(b, c => readAll(c, writers))
  t.comment(
    `seed ${SEED}: ${JSON.stringify(count)}; ${acknowledged} acknowledged, ${Math.round(acknowledged / seconds)} a second; ` +
      `${sum([...arrived.values()], numbers => numbers.length)} arrived`,
  )
  for (const { key, events } of writers) {
    const numbers = arrived.get(key) ?? []
    const first = [...new Set(numbers)]
    t.ok(events > 0, `${events} events of key ${key}`)
    t.same(missing(first, events), [], `no acknowledged event of key ${key} is lost`)
    t.equal(
      first.findIndex((n, i) => i > 0 && n < first[i - 1]!),
      -1,
      `order of key ${key}`,
    )
    t.ok(replays(numbers) <= KILLS * 2, `${replays(numbers)} replays after ${KILLS} kills: nobody else wrote`)
  }
})

const sum = <T>(all: readonly T[], of: (one: T) => number): number => all.reduce((n, one) => n + of(one), 0)

/** What of the first `n` numbers is not there. */
function missing(numbers: readonly number[], n: number): number[] {
  const seen = new Set(numbers)
  return Array.from({ length: n }, (_, i) => i).filter(i => !seen.has(i))
}

/** How often the stream went back: once for each restart of a reader or of the producer, not more. */
function replays(numbers: readonly number[]): number {
  return numbers.filter((n, i) => i > 0 && n <= numbers[i - 1]!).length
}

async function kill(target: string, a: ProcessAgent, b: ProcessAgent): Promise<void> {
  if (target === 'host') {
    for (const pid of await hostsOf(b)) process.kill(pid, 'SIGKILL')
    return
  }
  const agent = target === 'source agent' ? a : b
  await agent.kill()
  await agent.start()
}

/** A host that was killed a moment ago is being started anew. */
async function hostsOf(agent: ProcessAgent): Promise<number[]> {
  const end = Date.now() + 60_000
  for (let hosts = await agent.children(); ; hosts = await agent.children()) {
    if (hosts.length > 0) return hosts
    if (Date.now() > end) throw new Error('no host is started')
    await pause(50)
  }
}

/** Tries again over restarts of the agent. */
async function again<T>(agent: ProcessAgent, work: (c: Client) => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    let client: Client | null = null
    try {
      client = await agent.login()
      return await work(client)
    } catch (e) {
      if (tries >= 30) throw e
      await pause(200)
    } finally {
      client?.connection.destroy()
    }
  }
}

/** Resolves when so many more bursts are acknowledged. */
async function progress(writers: readonly Writer[], more: number): Promise<void> {
  const bursts = () => sum(writers, w => w.bursts)
  const to = bursts() + more
  const end = Date.now() + 60_000
  while (bursts() < to) {
    if (Date.now() > end) throw new Error(`the writers stand at ${bursts()} bursts`)
    await pause(20)
  }
}

/** The numbers of each key in the order in which they arrived, until all that was acknowledged is there or nothing comes any more. */
async function readAll(c: Client, writers: readonly Writer[]): Promise<Map<string, number[]>> {
  const arrived = new Map(writers.map(w => [w.key, [] as number[]]))
  const awaited = new Map(writers.map(w => [w.key, w.events]))
  const quiet = setTimeout(() => c.connection.destroy(), 60_000)
  try {
    const stream = await c.connection.readLines(`READ FLOW ${LOCAL} FROM earliest FOLLOW`)
    for await (const line of stream) {
      const data = (JSON.parse(line) as { data: string }).data
      const [key, n] = [data.slice(0, 1), Number(data.slice(1))]
      arrived.get(key)!.push(n)
      quiet.refresh()
      if (n === awaited.get(key)! - 1) awaited.delete(key)
      if (awaited.size === 0) break
    }
  } catch {
    // What is missing is told by who compares.
  } finally {
    clearTimeout(quiet)
  }
  return arrived
}

/** Writes the numbered events of one key in bursts, all or nothing each; what had no answer is written again. */
class Writer {
  readonly key: string
  /** Acknowledged: the numbers below it. */
  events = 0
  bursts = 0
  readonly #agent: ProcessAgent
  readonly #random: Random
  #stopped = false

  constructor(agent: ProcessAgent, key: string, random: Random) {
    this.#agent = agent
    this.key = key
    this.#random = random
  }

  stop(): void {
    this.#stopped = true
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      let client: Client | null = null
      try {
        client = await this.#agent.login()
        while (!this.#stopped) {
          await this.#burst(client)
          await pause(PACE_MS)
        }
      } catch {
        await pause(50)
      } finally {
        client?.connection.destroy()
      }
    }
  }

  async #burst(client: Client): Promise<void> {
    const events = Array.from({ length: 1 + this.#random.below(MOST_BURST) }, (_, i) => `${this.key}${this.events + i}`)
    const sink = await client.connection.write(`WRITE FLOW ${FLOW} KEY ${this.key}`, { timeoutMs: 10_000 })
    for (const event of events) await sink.send(event)
    const reply = await sink.end()
    if (reply.kind === 'error') throw new Error(reply.symbol)
    this.events += events.length
    this.bursts++
  }
}
