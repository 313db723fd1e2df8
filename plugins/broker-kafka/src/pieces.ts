import { MERGE, mergeable, mergeBatches } from '@fnaa/kafka-wire'
import { BATCH_AT, type Batch, crc32c, mayBeMarker, readBatchHeader } from '@fnaa/protocol'

/** What a reader is given as one batch, and the offset behind it. */
export interface Piece {
  readonly bytes: Uint8Array
  readonly behind: number
  /** It lies in memory of its own, not in the broker's answer. */
  readonly own: boolean
  readonly oldest?: number
  readonly made?: Batch['made']
}

/** One batch that is to be given, alone or with others. */
export interface Member {
  readonly bytes: Uint8Array
  readonly behind: number
  /** It had to be taken apart, and is not what the broker holds. */
  readonly decoded?: boolean
  /** Of a stranger's: the oldest time stamp in it. */
  readonly oldest?: number
}

/**
 * Batches of one partition in order, small neighbours put together: producers that do not linger write each event as a batch, and
 * whatever is done for each batch would be done for each event.
 */
export class Pieces {
  readonly #done: Piece[] = []
  #group: Member[] = []
  #size = 0
  /** Why nothing that was added since is given: a batch that was to be put together with others is damaged. */
  failure: unknown

  add(member: Member): void {
    if (this.failure !== undefined) return
    const { bytes } = member
    const small = bytes.length < MERGE.below && mergeable(bytes) && !mayBeMarker(bytes)
    if (!small || this.#size + bytes.length > MERGE.upTo) this.#flush()
    this.#group.push(member)
    this.#size += bytes.length
    if (!small) this.#flush()
  }

  /** All of them, up to what is damaged. */
  end(): readonly Piece[] {
    this.#flush()
    return this.#done
  }

  #flush(): void {
    const group = this.#group
    if (group.length === 0 || this.failure !== undefined) return
    this.#group = []
    this.#size = 0
    try {
      this.#done.push(pieceOf(group))
    } catch (e) {
      this.failure = e
      const damaged = group.findIndex(m => !isWhole(m.bytes))
      if (damaged > 0) this.#done.push(pieceOf(group.slice(0, damaged)))
    }
  }
}

/** @throws FnapError BADEVENT where one of them is damaged */
function pieceOf(group: readonly Member[]): Piece {
  const batches = group.length
  const tier = group.some(m => m.decoded) ? 'decoded' : batches === 1 ? 'raw' : 'rebatched'
  const made = tier === 'raw' ? {} : { made: { tier, batches } as const }
  const bytes = batches === 1 ? group[0]!.bytes : mergeBatches(group.map(m => m.bytes))
  const oldest = group[0]!.oldest !== undefined && { oldest: Math.min(...group.map(m => m.oldest!)) }
  return { bytes, behind: group.at(-1)!.behind, own: batches > 1, ...oldest, ...made }
}

const isWhole = (bytes: Uint8Array): boolean =>
  readBatchHeader(bytes).crc === crc32c(bytes.subarray(BATCH_AT.attributes))
