import type { Call, Source } from '@fnaa/core/plugin'
import {
  cutBatches,
  type FetchedBatch,
  type FetchedPart,
  isAppendTime,
  isHoled,
  isTransactional,
  KafkaError,
  passes,
  recode,
  unmark,
} from '@fnaa/kafka-wire'
import { type Batch, batchOf, type From, type Gap, type Position, trimBatch } from '@fnaa/protocol'
import { Aborted } from './aborted.js'
import { checkForeign } from './check-foreign.js'
import { Committer } from './committer.js'
import { Group } from './fence.js'
import { Fetcher } from './fetcher.js'
import { writtenAt } from './peek.js'
import { Pieces } from './pieces.js'
import { type Offsets, offsetsAt } from './places.js'
import { anew, inside, startAt } from './start.js'
import type { Topic } from './topic.js'

/** Milliseconds that a source goes on trying while nothing comes but errors. */
const PATIENCE_MS = 30_000
const NO_ID = '?'

/** Opens a topic at its reader's position. With epoch 0 no position is kept and nobody is fenced. */
export async function openSource(
  at: Topic,
  opt: { readonly reader: string; readonly epoch: number; readonly from: From },
  c: Call,
): Promise<Source> {
  const info = await at.cluster.topic(at.topic, c, true)
  const id = info.id ?? NO_ID
  const partitions = info.partitions.map(p => p.partition)
  const group = opt.epoch > 0 ? new Group(at, at.names.reader(opt.reader), opt.epoch) : null
  const committed = group ? await group.read(partitions, c) : null
  const start = await startAt(at, id, opt.from, committed, c)
  if (group && committed) {
    // Who had it before learns at his next commit that he has not any more. What a gap has not told yet is kept as it stands.
    const told = start.gaps.length === 0
    await group.commit(
      told ? start.at : new Map([...start.at, ...committed.offsets]),
      c,
      told ? id : (committed.mark?.topic ?? id),
    )
  }
  return new KafkaSource(at, id, group, start.at, start.gaps)
}

/** One answer of a broker, which several batches lie in. */
interface Answer {
  readonly memory: ArrayBufferLike
  /** Batches of it that are of use. */
  left: number
}

interface Wanted {
  readonly bytes: Uint8Array
  readonly behind: number
  readonly decoded: boolean
}

class KafkaSource implements Source {
  readonly #at: Topic
  readonly #closed = new AbortController()
  readonly #committer: Committer
  /** What is fetched next, and what has been given to the reader. */
  #next: Offsets
  readonly #given: Offsets
  #committed: Offsets
  /** The time stamp of the first event that waits, where it is known (milliseconds since 1970). */
  readonly #oldest = new Map<number, { offset: number; time: number }>()
  #gaps: Gap[]
  #id: string
  /** The answer that a batch lies in, and how many of it are still of use. */
  readonly #answerOf = new WeakMap<Batch, Answer>()

  constructor(at: Topic, id: string, group: Group | null, start: Offsets, gaps: readonly Gap[]) {
    this.#at = at
    this.#id = id
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
    signal.addEventListener('abort', () => fetcher.stop(), { once: true })
    let failing = 0
    while (!signal.aborted) {
      yield* this.#gaps.splice(0)
      await fetcher.arm(call)
      if (signal.aborted) return
      const fetched = await fetcher.next()
      if (fetched === null || signal.aborted) return
      const pieces = 'parts' in fetched ? await this.#take(fetched.parts, call) : fetched
      if ('error' in pieces) {
        failing ||= performance.now()
        if (!passes(pieces.error) || performance.now() - failing > PATIENCE_MS) throw pieces.error
        await this.#look(call)
        continue
      }
      failing = 0
      // The brokers work on what comes next while this is being taken.
      await fetcher.arm(call)
      for (const piece of pieces.batches) {
        if (signal.aborted) return
        this.#given.set(Number(piece.shard), Number(piece.last))
        yield piece
      }
      // What stands behind the last of them is for nobody: marks of transactions, or what was aborted.
      for (const [partition, offset] of this.#next) this.#given.set(partition, offset)
    }
  }

  commit(shard: string, last: string): Promise<void> {
    return this.#committer.commit(Number(shard), Number(last))
  }

  release(b: Batch): void {
    const answer = this.#answerOf.get(b)
    if (answer === undefined) return
    this.#answerOf.delete(b)
    if (--answer.left === 0) this.#at.cluster.memory.give(answer.memory)
  }

  async lag(c: Call) {
    const ends = await offsetsAt(this.#at, 'latest', c)
    const shards: Record<string, { behind: number; behindMs?: number }> = {}
    for (const [partition, end] of ends) {
      const behind = Math.max(0, end - (this.#given.get(partition) ?? end))
      const behindMs = behind === 0 ? undefined : await this.#behindMs(partition, c)
      shards[String(partition)] = { behind, ...(behindMs === undefined ? {} : { behindMs }) }
    }
    return { epoch: this.#id, shards }
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
    for (const part of parts) {
      if (part.error === 1) await this.#reposition(part.partition, c)
      else if (part.error !== 0)
        error = new KafkaError(part.error, `partition ${part.partition} of topic ${this.#at.topic}`)
      else if (answer) this.#cut(part, answer, batches)
    }
    if (memory && answer?.left === 0) this.#at.cluster.memory.give(memory)
    if (error === undefined) return { batches }
    this.#at.cluster.forget(this.#at.topic)
    return batches.length > 0 ? { batches } : { error }
  }

  #cut(part: FetchedPart, answer: Answer, into: Batch[]): void {
    if (part.records === null || part.records.length === 0) return
    const shard = String(part.partition)
    const from = this.#next.get(part.partition) ?? 0
    const pieces = new Pieces()
    for (const { bytes, behind, decoded } of this.#wanted(part, part.records)) pieces.add(bytes, behind, decoded)
    for (const [i, { behind, own, ...piece }] of pieces.end().entries()) {
      const batch = batchOf({ shard, last: String(behind), ...piece })
      if (i === 0) this.#oldest.set(part.partition, { offset: from, time: batch.newest })
      into.push(batch)
      if (own) continue
      answer.left++
      this.#answerOf.set(batch, answer)
    }
  }

  /** What a reader may see of one partition's answer. */
  *#wanted(part: FetchedPart, records: Buffer): Generator<Wanted, void, void> {
    const aborted = new Aborted(part)
    for (const b of cutBatches(records).batches) {
      const wanted = this.#next.get(part.partition) ?? 0
      if (b.lastOffset < wanted) continue
      const behind = b.lastOffset + 1
      this.#next.set(part.partition, behind)
      if (aborted.hides(b) || b.count === 0) continue
      const bytes = this.#whole(b, wanted)
      if (bytes === null) continue
      if (this.#at.host.foreign) checkForeign(bytes)
      yield { bytes, behind, decoded: bytes !== b.bytes }
    }
  }

  /** The batch as a sink may write it: without holes, without what stands before the wanted offset, in no transaction. */
  #whole(b: FetchedBatch, wanted: number): Uint8Array | null {
    if (isHoled(b) || isAppendTime(b)) return recode(b.bytes, wanted)
    if (isTransactional(b)) unmark(b)
    return trimBatch(b.bytes, wanted - b.baseOffset)
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

  /** Is it still the same topic, with the same partitions? Added ones are read from their beginning. */
  async #look(c: Call): Promise<void> {
    const info = await this.#at.cluster.topic(this.#at.topic, c, true).catch(() => null)
    if (!info) return
    const id = info.id ?? NO_ID
    if (id !== this.#id) {
      const start = anew(this.#given, await offsetsAt(this.#at, 'earliest', c))
      this.#id = id
      this.#next.clear()
      for (const [partition, offset] of start.at) {
        this.#next.set(partition, offset)
        this.#given.set(partition, offset)
      }
      this.#committed = new Map(start.at)
      this.#gaps.push(...start.gaps)
    }
    for (const { partition } of info.partitions) {
      if (this.#next.has(partition)) continue
      this.#next.set(partition, 0)
      this.#given.set(partition, 0)
    }
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
