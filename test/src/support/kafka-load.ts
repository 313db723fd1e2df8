import { setTimeout as pause } from 'node:timers/promises'
import type { Kafka } from '@fnaa/services'
import { Kafka as Client, logLevel, type Producer } from 'kafkajs'

/** Keys of the load: each has numbers of its own, and is in the partition of its own number. */
const KEYS = 16
const TICK_MS = 50

/** A client that is not ours, on the listener without passwords. */
const clientOf = (cluster: Pick<Kafka, 'servers'>): Client =>
  new Client({
    brokers: [...cluster.servers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 2000,
    // Sooner than the hang of a broker is over: whoever begins anew asks the next one.
    requestTimeout: 3000,
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 1 },
  })

/** The broker that leads a partition, as the nodes of a cluster are counted; null while none does. */
export async function leaderOf(cluster: Kafka, topic: string, partition: number): Promise<number | null> {
  const admin = clientOf(cluster).admin()
  try {
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    const { leader = -1 } = topics[0]?.partitions.find(p => p.partitionId === partition) ?? {}
    return leader > 0 ? leader : null
  } catch {
    return null
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

/**
 * Writes so many events a second with acks=all, and keeps the ledger: of each key, up to which number all were acknowledged. What
 * was not acknowledged is written again before anything behind it, so the source may hold an event twice, and never out of order.
 */
export class Load {
  /** By key: every number below it was acknowledged. */
  readonly ledger: number[] = Array.from({ length: KEYS }, () => 0)
  readonly #cluster: Kafka
  readonly #topic: string
  readonly #partitions: number
  readonly #perTick: number
  #stopped = false
  #seed = 0
  #done: Promise<unknown> = Promise.resolve()

  /** @param rate events a second */
  constructor(cluster: Kafka, topic: string, partitions: number, rate: number) {
    this.#cluster = cluster
    this.#topic = topic
    this.#partitions = partitions
    this.#perTick = Math.ceil((rate * TICK_MS) / 1000 / KEYS)
  }

  get acknowledged(): number {
    return this.ledger.reduce((a, b) => a + b, 0)
  }

  start(): void {
    this.#done = Promise.all(Array.from({ length: this.#partitions }, (_, partition) => this.#run(partition)))
  }
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }

  /** Resolves when so many more were acknowledged. @throws Error after a minute */
  async more(events: number): Promise<void> {
    const to = this.acknowledged + events
    const end = Date.now() + 60_000
    while (this.acknowledged < to) {
      if (Date.now() > end) throw new Error(`the cluster has acknowledged ${this.acknowledged} of ${to}`)
      await pause(20)
    }
  }

  /**
   * Each partition by a request of its own: where kafkajs sends several, and a partition that failed moves to a broker that has
   * answered for another one, it forgets that one and calls it written.
   */
  async #run(partition: number): Promise<void> {
    let producer: Producer | null = null
    const keys = [...this.ledger.keys()].filter(key => key % this.#partitions === partition)
    while (!this.#stopped) {
      const next = performance.now() + TICK_MS
      try {
        producer ??= await this.#connected()
        const messages = keys.flatMap(key => this.#messages(key, partition))
        await producer.send({ topic: this.#topic, acks: -1, timeout: 2500, messages })
        for (const key of keys) this.ledger[key]! += this.#perTick
        await pause(Math.max(0, next - performance.now()))
      } catch {
        // It says goodbye to every broker, also to one that hangs: who waited for that would stand as long.
        void producer?.disconnect().catch(() => undefined)
        producer = null
        await pause(100)
      }
    }
    await producer?.disconnect().catch(() => undefined)
  }

  /** By one broker after the other: kafkajs takes them at random, and may take the one that hangs for a minute. */
  async #connected(): Promise<Producer> {
    const { servers } = this.#cluster
    const seed = servers[this.#seed++ % servers.length]!
    const producer = clientOf({ servers: [seed] }).producer({ maxInFlightRequests: 1, allowAutoTopicCreation: false })
    await producer.connect()
    return producer
  }

  #messages(key: number, partition: number) {
    const first = this.ledger[key]!
    return Array.from({ length: this.#perTick }, (_, i) => ({ key: `k${key}`, value: String(first + i), partition }))
  }
}

/** What stands in a topic. */
export interface Seen {
  /** By key: the number behind the highest that is there. */
  readonly high: readonly number[]
  /** By key: numbers below that which never came. */
  readonly missing: readonly number[]
  /** Events that were there before. */
  readonly duplicates: number
  /** Each event whose predecessor was not there before it. */
  readonly wrong: readonly string[]
  /** By partition, every event in its order. */
  readonly partitions: ReadonlyMap<string, string>
  readonly total: number
}

/** Milliseconds after which Kafka's consumer takes nothing for the end: on a busy machine it may need long until its first event. */
const NOTHING = [5000, 20_000, 60_000]

/** Reads a topic whole, as Kafka's own consumer sees what is committed. */
export async function seenIn(cluster: Kafka, topic: string): Promise<Seen> {
  const print = ['print.partition', 'print.key'].flatMap(p => ['--property', `${p}=true`])
  const args = ['--topic', topic, '--from-beginning', '--isolation-level', 'read_committed']
  let seen = examine('')
  for (const ms of NOTHING) {
    const { stdout } = await cluster.tool('kafka-console-consumer', [...args, '--timeout-ms', String(ms), ...print])
    seen = examine(stdout)
    if (seen.total > 0) break
  }
  return seen
}

/** @param text lines of `Partition:0`, key and number, between tabulators */
export function examine(text: string): Seen {
  const high = Array.from({ length: KEYS }, () => 0)
  const missing = high.map(() => new Set<number>())
  const wrong: string[] = []
  const partitions = new Map<string, string[]>()
  let duplicates = 0
  let total = 0
  for (const line of text.split('\n')) {
    const m = /^Partition:(\d+)\tk(\d+)\t(\d+)$/.exec(line)
    if (!m) continue
    const [, partition, k, n] = m as unknown as [string, string, string, string]
    const key = Number(k)
    const number = Number(n)
    total++
    const of = partitions.get(partition)
    if (of) of.push(`${k}:${n}`)
    else partitions.set(partition, [`${k}:${n}`])
    if (number < high[key]!) {
      if (!missing[key]!.delete(number)) duplicates++
      continue
    }
    if (number > high[key]!) wrong.push(`k${k}: ${n} after ${high[key]! - 1}`)
    for (let gone = high[key]!; gone < number; gone++) missing[key]!.add(gone)
    high[key] = number + 1
  }
  return {
    high,
    missing: missing.map(of => of.size),
    duplicates,
    wrong,
    partitions: new Map([...partitions].map(([p, of]) => [p, of.join()])),
    total,
  }
}

/** How many that were acknowledged are not there. */
export const lost = (ledger: readonly number[], seen: Seen): number =>
  ledger.reduce((sum, n, key) => sum + seen.missing[key]! + Math.max(0, n - seen.high[key]!), 0)
