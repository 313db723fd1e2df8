import { type FetchedBatch, type FetchedPart, isControl, isTransactional } from '@fnaa/kafka-wire'
import { BATCH_AT as AT } from '@fnaa/protocol'

const ABORT = 0

/** Which batches of a fetch were written in transactions that were aborted (KIP-98): nobody may see them. */
export class Aborted {
  readonly #waiting: FetchedPart['aborted'][number][]
  readonly #open = new Set<bigint>()

  constructor(part: FetchedPart) {
    this.#waiting = [...part.aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  }

  /** Is it to be passed over? Ask for each batch of the part in order. Marks of transactions always are. */
  hides(b: FetchedBatch): boolean {
    while (this.#waiting.length > 0 && this.#waiting[0]!.firstOffset <= b.lastOffset)
      this.#open.add(this.#waiting.shift()!.producerId)
    if (isControl(b)) {
      if (markOf(b) === ABORT) this.#open.delete(b.producerId)
      return true
    }
    return isTransactional(b) && this.#open.has(b.producerId)
  }
}

/** The key of a mark's one record is its version and its type, two bytes each; what stands before it has a fixed length. */
function markOf(b: FetchedBatch): number {
  // length, attributes, time, offset, length of the key: one byte each but for the first, which may be two.
  const at = AT.records + (b.bytes[AT.records]! < 0x80 ? 1 : 2) + 4
  return b.bytes.length >= at + 4 ? b.bytes.readInt16BE(at + 2) : -1
}
