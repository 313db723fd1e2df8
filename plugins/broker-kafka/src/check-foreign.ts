import { type FetchedBatch, recode } from '@fnaa/kafka-wire'
import { checkPassing, clampTimestamps, fnapError, LIMITS, readBatchHeader } from '@fnaa/protocol'

const DAY = 86_400_000
/** Bytes of a batch, as it comes. */
const MOST = LIMITS.expanded
const BOUNDS = { events: LIMITS.batchEvents, headers: LIMITS.batchHeaders }

/**
 * Looks through a batch of a stranger's broker before anybody passes it on (hardening H32): checksum, counts, offsets, what it
 * expands to. A codec that is not here cannot be looked into; its header is checked all the same. Events that say to be of a
 * time more than a day ahead would outlive every retention, and get the time of now.
 * @returns the same bytes, or a new encoding
 * @throws FnapError BADEVENT, TOOLONG; NOTSUPPORTED where it would have to be made anew and its codec is not here
 */
export function checkForeign(bytes: Uint8Array, now = Date.now()): Uint8Array {
  const { newest } = checkPassing(bytes, { bytes: MOST })
  return newest <= now + DAY ? bytes : clampTimestamps(bytes, { oldest: -1, newest: now })
}

/**
 * The same for one that compaction has punched holes in: it is made anew, without what stands before `from`.
 * @returns null where nothing is left
 * @throws FnapError BADEVENT, TOOLONG, NOTSUPPORTED
 */
export function recodeForeign({ bytes }: FetchedBatch, from: number): Uint8Array | null {
  const { baseOffset, count, lastOffsetDelta, length } = readBatchHeader(bytes)
  if (length > MOST) throw fnapError('TOOLONG', 'the batch is too long')
  if (baseOffset < 0 || lastOffsetDelta < count - 1)
    throw fnapError('BADEVENT', 'the offsets and the count of a batch do not fit')
  const anew = recode(bytes, from, BOUNDS)
  return anew && checkForeign(anew)
}
