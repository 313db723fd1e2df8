import type { Call, Source } from '@fnaa/core/plugin'
import { type FetchedPart, KafkaError, passes, type TopicInfo } from '@fnaa/kafka-wire'
import { type Batch, batchOf, type From, type Gap, type Position } from '@fnaa/protocol'
import { Committer } from './committer.js'
import { type Answered, Cutter } from './cutter.js'
import { Group } from './fence.js'
import { Fetcher } from './fetcher.js'
import { writtenAt } from './peek.js'
import { type Offsets, offsetsAt } from './places.js'
import { anew, inside, startAt } from './start.js'
import type { Topic } from './topic.js'

/** Milliseconds that a source goes on trying while nothing comes but errors. */
const PATIENCE_MS = 30_000
/** Milliseconds after its last failure for which a part of the topic is said not to come. */
const STILL_MS = 3000
const NO_ID = '?'

/** Opens a topic at its reader's position. With epoch 0 no position is kept and nobody is fenced. */
export async function openSource(
  at: Topic,
  opt: { readonly reader: string; readonly epoch: number; readonly from: From; readonly stood?: Position },
  c: Call,
): Promise<Source> {
  const info = await at.cluster.topic(at.topic, c, true)
  const id = info.id ?? NO_ID
  const partitions = info.partitions.map(p => p.partition)
  const group = opt.epoch > 0 ? new Group(at, at.names.reader(opt.reader), opt.epoch) : null
  const committed = group ? await group.read(partitions, c) : null
  const start = await startAt(at, id, { from: opt.from, committed, stood: opt.stood }, c)
  if (group && committed) {
    // Who had it before learns at his next commit that he has not any more. What a gap has not told yet is kept as it stands.
    const told = start.gaps.length === 0
    await group.commit(
      told ? start.at : new Map([...start.at, ...committed.offsets]),
      c,
      told ? id : (committed.mark?.topic ?? id),
    )
  }
  return new KafkaSource(at, info, group, start.at, start.gaps)
}

/** One answer of a broker, which several batches lie in. */
interface Answer {
  readonly memory: ArrayBufferLike
  /** Batches of it that are of use. */
  left: number
}

class KafkaSource implements Source {
  readonly #at: Topic
  readonly #closed = new AbortController()
  readonly #committer: Committer
  readonly #cutter: Cutter
  /** What is fetched next, and what has been given to the reader. */
  #next: Offsets
  readonly #given: Offsets
  #committed: Offsets
  /** The time stamp of the first event that waits, where it is known (milliseconds since 1970). */
  readonly #oldest = new Map<number, { offset: number; time: number }>()
  /** The end of each partition, as its broker said it last. */
  readonly #ends: Offsets = new Map()
  #fetcher: Fetcher | null = null
  #gaps: Gap[]
  /** What failed last, and when; undefined where all has come since. */
  #waiting: { readonly error: unknown; readonly at: number } | undefined
  #id: string
  /** The answer that a batch lies in, and how many of it are still of use. */
  readonly #answerOf = new WeakMap<Batch, Answer>()
  /** What was last known of the topic. */
  #info: TopicInfo
  /** By partition, behind the last batch that was given, and what was committed of those. */
  readonly #last = new Map<number, number>()
  readonly #done = new Map<number, number>()
  /** Commits up to there are of the topic before this one: they say nothing of it. */
  readonly #past = new Map<number, number>()

  constructor(at: Topic, info: TopicInfo, group: Group | null, start: Offsets, gaps: readonly Gap[]) {
    this.#at = at
    this.#cutter = new Cutter(at)
    this.#info = info
    this.#id = info.id ?? NO_ID
    this.#next = new Map(start)
    this.#given = new Map(start)
    this.#committed = new Map(start)
    this.#gaps = [...gaps]
    const write = async (offsets: Offsets, c: Call) => {
      await group?.commit(offsets, c, this.#id)
      for (const [partition, offset] of offsets) this.#committed.set(partition, offset)
    }
    this.#committer = new Committer(write, AbortSignal.any([at.cluster.signal, this.#closed.signal]))
  }

  async *read(c: Call): AsyncIterable<Batch | Gap> {
    const signal = AbortSignal.any([c.signal, this.#closed.signal, this.#at.cluster.signal])
    const call = { signal }
    const fetcher = new Fetcher(this.#at, this.#next)
    this.#fetcher = fetcher
    signal.addEventListener('abort', () => fetcher.stop(), { once: true })
    let failing = 0
    while (!signal.aborted) {
      await this.#follow(call)
      yield* this.#gaps.splice(0)
      await fetcher.arm(call)
      if (signal.aborted) return
      const fetched = await fetcher.next()
      if (fetched === null || signal.aborted) return
      const pieces = 'parts' in fetched ? await this.#take(fetched.parts, call) : fetched
      if ('error' in pieces) {
        failing ||= performance.now()
        if (!passes(pieces.error) || performance.now() - failing > PATIENCE_MS) throw pieces.error
        this.#waiting = { error: pieces.error, at: performance.now() }
        await this.#look(call)
        continue
      }
      failing = 0
      // A partition that none leads is asked for again each second, while others answer.
      if (this.#waiting && performance.now() - this.#waiting.at > STILL_MS) this.#waiting = undefined
      // The brokers work on what comes next while this is being taken.
      await fetcher.arm(call)
      for (const piece of pieces.batches) {
        if (signal.aborted) return
        this.#given.set(Number(piece.shard), Number(piece.last))
        this.#last.set(Number(piece.shard), Number(piece.last))
        yield piece
      }
      // What stands behind the last of them is for nobody: marks of transactions, or what was aborted.
      for (const [partition, offset] of this.#next) this.#given.set(partition, offset)
    }
  }

  async commit(shard: string, last: string): Promise<void> {
    const partition = Number(shard)
    const offset = Number(last)
    const past = this.#past.get(partition)
    if (past !== undefined) {
      if (offset === past) this.#past.delete(partition)
      return
    }
    this.#done.set(partition, offset)
    return this.#committer.commit(partition, offset)
  }

  release(b: Batch): void {
    const answer = this.#answerOf.get(b)
    if (answer === undefined) return
    this.#answerOf.delete(b)
    if (--answer.left === 0) this.#at.cluster.memory.give(answer.memory)
  }

  async lag(c: Call) {
    const ends = this.#knownEnds() ?? (await offsetsAt(this.#at, 'latest', c))
    const shards: Record<string, { behind: number; behindMs?: number }> = {}
    for (const [partition, end] of ends) {
      const behind = Math.max(0, end - (this.#given.get(partition) ?? end))
      const behindMs = behind === 0 ? undefined : await this.#behindMs(partition, c)
      shards[String(partition)] = { behind, ...(behindMs === undefined ? {} : { behindMs }) }
    }
    return { epoch: this.#id, shards }
  }

  /** What needs no question: where brokers are waiting for events, they have none. */
  #knownEnds(): Offsets | null {
    for (const partition of this.#next.keys())
      if (!this.#ends.has(partition) || !this.#fetcher?.asks(partition)) return null
    return this.#ends
  }

  waiting(): unknown {
    return this.#waiting?.error
  }

  async position(): Promise<Position> {
    const shards = Object.fromEntries([...this.#committed].map(([p, offset]) => [String(p), String(offset)]))
    return { epoch: this.#id, shards }
  }

  async close(): Promise<void> {
    await this.#committer.drained()
    this.#closed.abort()
  }

  /** Batches of an answer, or why there are none: other parts of it are asked for again. */
  async #take(parts: readonly FetchedPart[], c: Call): Promise<{ batches: Batch[] } | { error: unknown }> {
    const batches: Batch[] = []
    const memory = parts.find(p => p.records !== null)?.records?.buffer
    const answer = memory ? { memory, left: 0 } : null
    let error: unknown
    let first = true
    for (const part of parts) {
      // An answer of the topic that this one took the place of, or what nobody asked for.
      if ((part.topic !== this.#at.topic && part.topic !== this.#id) || !this.#next.has(part.partition)) continue
      if (part.error === 1) await this.#reposition(part.partition, c)
      else if (part.error !== 0)
        error = new KafkaError(part.error, `partition ${part.partition} of topic ${this.#at.topic}`)
      else this.#ends.set(part.partition, part.lastStable)
      if (part.error === 0 && answer && part.records !== null && part.records.length > 0) {
        const failure = await this.#cut({ part, records: part.records, first }, answer, batches)
        first = false
        if (failure === undefined) continue
        // What stands before it is given first: next time there is nothing else.
        if (batches.length === 0) throw failure
        return { batches }
      }
    }
    if (memory && answer?.left === 0) this.#at.cluster.memory.give(memory)
    if (error === undefined) return { batches }
    this.#at.cluster.forget(this.#at.topic)
    return batches.length > 0 ? { batches } : { error }
  }

  /** Adds what is good of one partition's answer. @returns why it ends before the answer does */
  async #cut(a: Omit<Answered, 'from'>, answer: Answer, into: Batch[]): Promise<unknown> {
    const { partition } = a.part
    const from = this.#next.get(partition) ?? 0
    const { pieces, next, failure } = await this.#cutter.cut({ ...a, from })
    this.#next.set(partition, next)
    for (const [i, { behind, own, ...piece }] of pieces.entries()) {
      const batch = batchOf({ shard: String(partition), last: String(behind), ...piece })
      if (i === 0) this.#oldest.set(partition, { offset: from, time: batch.newest })
      into.push(batch)
      if (own) continue
      answer.left++
      this.#answerOf.set(batch, answer)
    }
    return failure
  }

  /** The offset that was asked for is not there any more, or not yet. */
  async #reposition(partition: number, c: Call): Promise<void> {
    await this.#look(c)
    const wanted = this.#next.get(partition) ?? 0
    const first = (await offsetsAt(this.#at, 'earliest', c)).get(partition) ?? 0
    const end = (await offsetsAt(this.#at, 'latest', c)).get(partition) ?? first
    const [offset, gap] = inside(partition, wanted, first, end)
    this.#next.set(partition, offset)
    this.#given.set(partition, offset)
    if (gap) this.#gaps.push(gap)
  }

  /** Asks whether it is still the same topic. */
  async #look(c: Call): Promise<void> {
    await this.#at.cluster.topic(this.#at.topic, c, true).catch(() => null)
    await this.#follow(c)
  }

  /** Is it still the same topic, with the same partitions, as far as is known? Added ones are read from their beginning. */
  async #follow(c: Call): Promise<void> {
    const info = this.#at.cluster.known(this.#at.topic)
    if (!info || info === this.#info) return
    if ((info.id ?? NO_ID) !== this.#id) await this.#beginAnew(info, c)
    this.#info = info
    for (const { partition } of info.partitions) {
      if (this.#next.has(partition)) continue
      this.#next.set(partition, 0)
      this.#given.set(partition, 0)
    }
  }

  async #beginAnew(info: TopicInfo, c: Call): Promise<void> {
    const start = anew(this.#given, await offsetsAt(this.#at, 'earliest', c))
    this.#id = info.id ?? NO_ID
    for (const [partition, offset] of this.#last)
      if (this.#done.get(partition) !== offset) this.#past.set(partition, offset)
    this.#committer.forget()
    this.#last.clear()
    this.#done.clear()
    this.#ends.clear()
    this.#next.clear()
    this.#given.clear()
    for (const [partition, offset] of start.at) {
      this.#next.set(partition, offset)
      this.#given.set(partition, offset)
    }
    this.#committed = new Map(start.at)
    this.#gaps.push(...start.gaps)
  }

  /** Milliseconds since the first event that waits was written: looked at, where no fetch has shown it. */
  async #behindMs(partition: number, c: Call): Promise<number | undefined> {
    const offset = this.#given.get(partition) ?? 0
    let known = this.#oldest.get(partition)
    if (known?.offset !== offset) {
      const time = await writtenAt(this.#at, partition, offset, c)
      if (time === undefined) return undefined
      known = { offset, time }
      this.#oldest.set(partition, known)
    }
    return Math.max(0, Date.now() - known.time)
  }
}
