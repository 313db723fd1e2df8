import type { Call } from '@fnaa/core/plugin'
import { type FetchAnswer, type FetchedPart, fetch, type PartitionInfo, pause } from '@fnaa/kafka-wire'
import type { Offsets } from './places.js'
import type { Topic } from './topic.js'

/** Milliseconds that a broker waits for events: longer from time to time, where none come. An event ends the wait at once. */
const WAIT_MS = { first: 500, most: 2000 } as const
/** Bytes of one answer, and of one partition in it; a single batch may be longer. */
const MOST = 2 << 20
const MOST_OF_PARTITION = 1 << 20
const HASTE_MS = 50
const PAUSE_MS = [20, 50, 100, 250, 500, 1000] as const

/** What came of one fetch: parts, or why there are none. */
export type Fetched = { readonly parts: readonly FetchedPart[] } | { readonly error: unknown }

/**
 * Fetches of one topic, at most one under way for each broker that leads a part of it. The next one of a broker is asked for when
 * `arm` is called: nobody who does not take is sent more than one answer.
 */
export class Fetcher {
  readonly #at: Topic
  readonly #offsets: Offsets
  readonly #under = new Map<number, Promise<{ leader: number; fetched: Fetched }>>()
  readonly #open = new Set<number>()
  #failures = 0
  #waitMs: number = WAIT_MS.first
  #turn = 0
  #stopped: () => void = () => undefined

  /** @param offsets where each partition goes on, kept up to date by whoever takes */
  constructor(at: Topic, offsets: Offsets) {
    this.#at = at
    this.#offsets = offsets
  }

  /** Asks every broker that is not being asked. */
  async arm(c: Call): Promise<void> {
    const leaders = new Map<number, PartitionInfo[]>()
    try {
      const { partitions } = await this.#at.cluster.topic(this.#at.topic, c)
      for (const p of partitions) {
        if (!this.#offsets.has(p.partition)) continue
        const of = leaders.get(p.leader)
        if (of) of.push(p)
        else leaders.set(p.leader, [p])
      }
    } catch (error) {
      if (this.#under.size === 0) this.#start(-1, this.#failed(error, c))
      return
    }
    for (const [leader, parts] of leaders) if (!this.#under.has(leader)) this.#start(leader, this.#fetch(parts, c))
  }

  /**
   * The next answer of any broker; null after `stop`. A race with a promise that lives as long as the source would keep every
   * answer alive with it.
   */
  async next(): Promise<Fetched | null> {
    const first = await new Promise<{ leader: number; fetched: Fetched } | null>(resolve => {
      this.#stopped = () => resolve(null)
      for (const answer of this.#under.values()) void answer.then(resolve)
    })
    if (first === null) return null
    this.#under.delete(first.leader)
    if ('parts' in first.fetched) this.#failures = 0
    return first.fetched
  }

  /** Is a broker being asked for it now? Then nothing stands behind what it said last. */
  asks(partition: number): boolean {
    return this.#open.has(partition)
  }

  stop(): void {
    this.#stopped()
  }

  #start(leader: number, work: Promise<Fetched>): void {
    this.#under.set(
      leader,
      work.then(fetched => ({ leader, fetched })),
    )
  }

  async #fetch(of: readonly PartitionInfo[], c: Call): Promise<Fetched> {
    const { cluster, topic } = this.#at
    try {
      const { id } = await cluster.topic(topic, c)
      const connection = await cluster.leader(topic, of[0]!.partition, 'fetch', c)
      // Each of them is first in turn: what is behind others that have much may come in part only, or not at all.
      const turn = this.#turn++ % of.length
      const parts = [...of.slice(turn), ...of.slice(0, turn)].map(p => ({
        topic,
        id,
        partition: p.partition,
        offset: this.#offsets.get(p.partition)!,
        leaderEpoch: p.leaderEpoch,
        maxBytes: MOST_OF_PARTITION,
      }))
      const session = { id: 0, epoch: -1 }
      const asked = performance.now()
      const waitMs = this.#waitMs
      const request = { waitMs, minBytes: 1, maxBytes: MOST, committed: true, session, parts }
      for (const p of of) this.#open.add(p.partition)
      const answer: FetchAnswer = await connection.request(fetch, request, waitMs).finally(() => {
        for (const p of of) this.#open.delete(p.partition)
      })
      const useful = answer.parts.some(p => p.error !== 0 || (p.records?.length && this.#offsets.has(p.partition)))
      this.#waitMs = useful ? WAIT_MS.first : Math.min(WAIT_MS.most, this.#waitMs * 2)
      // A broker waits before it says that there is nothing: one that does not would be asked without end.
      if (!useful && performance.now() - asked < HASTE_MS) await pause(HASTE_MS, c.signal)
      return { parts: answer.parts }
    } catch (error) {
      return this.#failed(error, c)
    }
  }

  /** After a failure the brokers are asked who leads, but not at once again and again. */
  async #failed(error: unknown, c: Call): Promise<Fetched> {
    this.#at.cluster.forget(this.#at.topic)
    await pause(PAUSE_MS[Math.min(this.#failures++, PAUSE_MS.length - 1)]!, c.signal)
    return { error }
  }
}
