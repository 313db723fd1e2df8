import { type Batch, encodeBatches, fnapError, LIMITS, MOST_BATCH, readBatchHeader } from '@fnaa/protocol'

/** What one D frame carries. */
export interface Piece {
  /** The place behind it. */
  readonly cursor: string
  readonly count: number
  readonly bytes: Uint8Array
}

/**
 * A batch as it is, where the client can open it and a frame may carry it; else made anew, in as many pieces as that takes, each
 * when it is asked for.
 * @param codecs what the client can open beside `none`
 * @throws NOTSUPPORTED for a batch that is too long for a frame and cannot be cut
 */
export function* piecesOf(b: Batch, codecs: readonly string[]): Generator<Piece, void, void> {
  const { raw } = b
  const readable = raw && (raw.codec === 'none' || codecs.includes(raw.codec))
  if (readable && raw.bytes.length <= MOST_BATCH && b.count <= LIMITS.batchEvents)
    return yield { cursor: b.last, count: b.count, bytes: raw.bytes }
  const cursor = cursorsOf(b)
  let done = 0
  for (const bytes of encodeBatches(b.events({ bytes: LIMITS.expanded }))) {
    const { count } = readBatchHeader(bytes)
    done += count
    const at = done === b.count ? b.last : cursor(done - 1)
    if (at === null) throw fnapError('NOTSUPPORTED', 'a batch of this flow is too long for a frame: read it as text')
    yield { cursor: at, count, bytes }
  }
}

/**
 * The cursor behind the n-th event of a batch, from 0. Only a batch's end is known for certain; where cursors are offsets that
 * end at the batch's last one, each event has its own. Null where they are not.
 */
export function cursorsOf(b: Batch): (n: number) => string | null {
  const end = /^\d+$/.test(b.last) ? Number(b.last) : null
  return n => (end === null ? null : String(end - b.count + 1 + n))
}
