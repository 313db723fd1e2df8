import { type FetchedBatch, recode } from '@fnaa/kafka-wire'
import { checkBatch, fnapError, LIMITS, readBatchHeader } from '@fnaa/protocol'

/** Bytes of a batch, as it comes. */
const MOST = LIMITS.expanded
const BOUNDS = { events: LIMITS.batchEvents, headers: LIMITS.batchHeaders }

/** A stranger's batch that was looked through, and the oldest time stamp in it: the sink knows what it keeps. */
export interface CheckedForeign {
  readonly bytes: Uint8Array
  readonly oldest: number
}

/**
 * Looks through a batch of a stranger's broker before anybody passes it on (hardening H32): checksum, counts, offsets, what it
 * expands to, time stamps. What cannot be looked into, because its codec is not here, is refused.
 * @throws FnapError BADEVENT, TOOLONG, NOTSUPPORTED
 */
export function checkForeign(bytes: Uint8Array): CheckedForeign {
  return { bytes, oldest: checkBatch(bytes, { bytes: MOST }).oldest }
}

/**
 * The same for one that compaction has punched holes in: it is made anew, without what stands before `from`.
 * @returns null where nothing is left
 * @throws FnapError BADEVENT, TOOLONG, NOTSUPPORTED
 */
export function recodeForeign({ bytes }: FetchedBatch, from: number): CheckedForeign | null {
  const { baseOffset, count, lastOffsetDelta, length } = readBatchHeader(bytes)
  if (length > MOST) throw fnapError('TOOLONG', 'the batch is too long')
  if (baseOffset < 0 || lastOffsetDelta < count - 1)
    throw fnapError('BADEVENT', 'the offsets and the count of a batch do not fit')
  const anew = recode(bytes, from, BOUNDS)
  return anew && checkForeign(anew)
}
