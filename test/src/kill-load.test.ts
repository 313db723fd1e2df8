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

t.setTimeout(120_000 + KILLS * 15_000)
t.test(`${KILLS} kills under load, seed ${SEED}`, async t => {
  const random = new Random(SEED)
  const [wa, wb] = await places(t, ['unix.test', 'emiliano.test'])
  const a = await (await ProcessAgent.prepare(t, wa!)).start()
  const b = await (await ProcessAgent.prepare(t, wb!)).start()
  await again(a, c => c.ok(`CREATE FLOW ${FLOW} VISIBILITY public`))
  await again(b, c => c.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} FROM earliest`))
  const producer = new Producer(a)
  const running = producer.run()
  const count: Record<string, number> = {}
  for (let i = 0; i < KILLS; i++) {
    const before = producer.acknowledged.length
    const target = random.pick(['source agent', 'subscribing agent', 'host'])
    count[target] = (count[target] ?? 0) + 1
    await kill(target, a, b)
    await progress(producer, before + 5 + random.below(20))
    if (i % 100 === 99) t.comment(`${i + 1} kills, ${producer.acknowledged.length} events acknowledged`)
  }
  producer.stop()
  await running
  const arrived = await again(b, c => readAll(c, producer.acknowledged))
  t.comment(
    `seed ${SEED}: ${JSON.stringify(count)}; ${producer.acknowledged.length} acknowledged, ${arrived.length} arrived`,
  )
  const seen = new Set(arrived)
  t.same(
    producer.acknowledged.filter(e => !seen.has(e)),
    [],
    'no acknowledged event is lost',
  )
  for (const key of KEYS) {
    const first = [...new Set(arrived.filter(e => e.startsWith(key)))].map(e => Number(e.slice(1)))
    t.same(
      first,
      [...first].sort((x, y) => x - y),
      `order of key ${key}`,
    )
  }
  t.ok(replays(arrived) <= KILLS * 2, `${replays(arrived)} replays after ${KILLS} kills: nobody else wrote`)
})

/** How often the stream went back: once for each restart of a reader or of the producer, not more. */
function replays(arrived: readonly string[]): number {
  let n = 0
  let last = -1
  for (const e of arrived) {
    const i = Number(e.slice(1))
    if (i <= last) n++
    last = i
  }
  return n
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

async function progress(p: Producer, to: number): Promise<void> {
  const end = Date.now() + 60_000
  while (p.acknowledged.length < to) {
    if (Date.now() > end) throw new Error(`the producer stands at ${p.acknowledged.length}`)
    await pause(20)
  }
}

async function readAll(c: Client, acknowledged: readonly string[]): Promise<string[]> {
  const end = Date.now() + 60_000
  for (;;) {
    const all = (await c.read(LOCAL)) as string[]
    const seen = new Set(all)
    if (acknowledged.every(e => seen.has(e)) || Date.now() > end) return all
    await pause(100)
  }
}

/** Writes numbered events one after another; what had no answer is written again. */
class Producer {
  readonly acknowledged: string[] = []
  readonly #agent: ProcessAgent
  #stopped = false
  #n = 0

  constructor(agent: ProcessAgent) {
    this.#agent = agent
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
          const key = KEYS[this.#n % KEYS.length]!
          const sink = await client.connection.write(`WRITE FLOW ${FLOW} KEY ${key}`, { timeoutMs: 10_000 })
          await sink.send(`${key}${this.#n}`)
          const reply = await sink.end()
          if (reply.kind === 'error') throw new Error(reply.symbol)
          this.acknowledged.push(`${key}${this.#n++}`)
        }
      } catch {
        await pause(50)
      } finally {
        client?.connection.destroy()
      }
    }
  }
}
