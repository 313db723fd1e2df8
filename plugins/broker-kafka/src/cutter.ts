import { setImmediate as breath } from 'node:timers/promises'
import { FnaError } from '@fnaa/core/plugin'
import {
  cutBatches,
  type FetchedBatch,
  type FetchedPart,
  isAppendTime,
  isHoled,
  isIntact,
  isTransactional,
  recode,
  unmark,
} from '@fnaa/kafka-wire'
import { trimBatch } from '@fnaa/protocol'
import { Aborted } from './aborted.js'
import { type CheckedForeign, checkForeign, recodeForeign } from './check-foreign.js'
import { type Member, type Piece, Pieces } from './pieces.js'
import type { Topic } from './topic.js'
import { translated } from './translated.js'

/** Milliseconds of work on one answer without a pause. */
const TURN_MS = 20
/** Answers in a row, of one partition, that hold nothing from its position on. */
const MOST_STILL = 10

/** One partition's part of a broker's answer. */
export interface Answered {
  readonly part: FetchedPart
  readonly records: Buffer
  /** The first of the answer: its first batch is there whole, however long it is (KIP-74). */
  readonly first: boolean
  /** The offset that was asked for. */
  readonly from: number
}

export interface Cut {
  readonly pieces: readonly Piece[]
  /** The offset that is to be asked for next. */
  readonly next: number
  /** Why it ends before the answer does. */
  readonly failure?: unknown
}

/** A batch as a sink may write it; of a stranger's, the oldest time stamp too. */
type Checked = Pick<CheckedForeign, 'bytes'> & Partial<CheckedForeign>

/** Cuts what brokers answer into what a reader may see: whole, committed batches from its position on, and nothing of a lie. */
export class Cutter {
  readonly #at: Topic
  /** How many answers in a row held nothing new, by partition. */
  readonly #still = new Map<number, number>()

  constructor(at: Topic) {
    this.#at = at
  }

  /** Does not throw: what stands before a damaged batch is good. */
  async cut(a: Answered): Promise<Cut> {
    const pieces = new Pieces()
    let next = a.from
    let failure: unknown
    let began = performance.now()
    try {
      for (const member of this.#wanted(a, offset => (next = offset))) {
        pieces.add(member)
        // Others get their turn: little can expand to much.
        if (performance.now() - began < TURN_MS) continue
        await breath()
        began = performance.now()
      }
    } catch (e) {
      failure = e
    }
    const good = pieces.end()
    const behind = good.at(-1)?.behind ?? a.from
    failure = translated(pieces.failure, this.#where(a.part.partition, behind)) ?? failure
    return failure === undefined ? { pieces: good, next } : { pieces: good, next: behind, failure }
  }

  /**
   * What a reader may see of it.
   * @param reached told the offset behind each batch, given or not
   * @throws FNA_ERR_CORRUPT, FNA_ERR_UNSUPPORTED, FNA_ERR_TOO_LARGE
   */
  *#wanted({ part, records, first, from }: Answered, reached: (next: number) => void): Generator<Member, void, void> {
    const { partition } = part
    const corrupt = (what: string, offset: number) =>
      new FnaError('FNA_ERR_CORRUPT', `${this.#where(partition, offset)}: ${what}`)
    const { batches } = cutBatches(records)
    if (batches.length === 0 && first) throw corrupt('what the broker sends is no batch', from)
    const aborted = new Aborted(part)
    let next = from
    for (const b of batches) {
      if (b.magic !== 2)
        throw new FnaError(
          'FNA_ERR_UNSUPPORTED',
          `${this.#where(partition, next)}: a batch of version ${b.magic}, from before Kafka 0.11`,
        )
      if (b.lastOffset < next) {
        // It came before, from another broker. A header that says so and is damaged would hide what is in it.
        if (!isIntact(b)) throw corrupt('the checksum of a batch is wrong', b.baseOffset)
        continue
      }
      const checked = this.#checked(b, partition, next, aborted)
      const behind = b.lastOffset + 1
      if (!Number.isSafeInteger(behind)) throw corrupt('an offset that cannot be', next)
      next = behind
      reached(next)
      if (checked) yield { ...checked, behind, decoded: checked.bytes !== b.bytes }
    }
    if (batches.length > 0 && this.#stands(partition, next === from))
      throw corrupt('the broker gives nothing but what stands before it', from)
  }

  /** An answer that was under way while its partition moved may hold nothing new; one after the other may not. */
  #stands(partition: number, still: boolean): boolean {
    const times = still ? (this.#still.get(partition) ?? 0) + 1 : 0
    this.#still.set(partition, times)
    return times > MOST_STILL
  }

  /** Null where nothing of it is for anybody. */
  #checked(b: FetchedBatch, partition: number, wanted: number, aborted: Aborted): Checked | null {
    if (aborted.hides(b) || b.count === 0) return null
    try {
      return this.#at.host.foreign ? foreign(b, wanted) : whole(b, wanted)
    } catch (e) {
      throw translated(e, this.#where(partition, wanted))
    }
  }

  #where(partition: number, offset: number): string {
    return `partition ${partition} of topic ${this.#at.topic}, from offset ${offset} on`
  }
}

/** The batch as a sink may write it: without holes, without what stands before the wanted offset, in no transaction. */
function whole(b: FetchedBatch, wanted: number): Checked | null {
  if (isHoled(b) || isAppendTime(b)) return some(recode(b.bytes, wanted))
  if (isTransactional(b)) unmark(b)
  return some(trimBatch(b.bytes, wanted - b.baseOffset))
}

const some = (bytes: Uint8Array | null): Checked | null => bytes && { bytes }

/** The same of a stranger's: looked through before anything is made of it. */
function foreign(b: FetchedBatch, wanted: number): Checked | null {
  if (isHoled(b)) return recodeForeign(b, wanted)
  if (isTransactional(b)) unmark(b)
  const { oldest } = checkForeign(b.bytes)
  const own = whole(b, wanted)
  return own && { ...own, oldest }
}
