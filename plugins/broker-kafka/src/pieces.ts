import { MERGE, mergeable, mergeBatches } from '@fnaa/kafka-wire'
import { type Batch, mayBeMarker } from '@fnaa/protocol'

/** What a reader is given as one batch, and the offset behind it. */
export interface Piece {
  readonly bytes: Uint8Array
  readonly behind: number
  /** It lies in memory of its own, not in the broker's answer. */
  readonly own: boolean
  readonly made?: Batch['made']
}

/**
 * Batches of one partition in order, small neighbours put together: producers that do not linger write each event as a batch, and
 * whatever is done for each batch would be done for each event.
 */
export class Pieces {
  readonly #done: Piece[] = []
  #group: Uint8Array[] = []
  #size = 0
  #behind = 0
  #decoded = false
  /** Why nothing that was added since is given: a batch that was to be put together with others is damaged. */
  failure: unknown

  /** @param decoded it had to be taken apart, and is not what the broker holds */
  add(bytes: Uint8Array, behind: number, decoded = false): void {
    if (this.failure !== undefined) return
    const small = bytes.length < MERGE.below && mergeable(bytes) && !mayBeMarker(bytes)
    if (!small || this.#size + bytes.length > MERGE.upTo) this.#flush()
    this.#group.push(bytes)
    this.#size += bytes.length
    this.#behind = behind
    this.#decoded ||= decoded
    if (!small) this.#flush()
  }

  /** All of them, up to what is damaged. */
  end(): readonly Piece[] {
    this.#flush()
    return this.#done
  }

  #flush(): void {
    if (this.#group.length === 0 || this.failure !== undefined) return
    const batches = this.#group.length
    const tier = this.#decoded ? 'decoded' : batches === 1 ? 'raw' : 'rebatched'
    const made = tier === 'raw' ? {} : { made: { tier, batches } as const }
    try {
      const bytes = batches === 1 ? this.#group[0]! : mergeBatches(this.#group)
      this.#done.push({ bytes, behind: this.#behind, own: batches > 1, ...made })
    } catch (e) {
      this.failure = e
    }
    this.#group = []
    this.#decoded = false
    this.#size = 0
  }
}
