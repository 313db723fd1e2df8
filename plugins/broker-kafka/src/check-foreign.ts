import { FnaError } from '@fnaa/core/plugin'
import { BATCH_AT, checkBatch, crc32c, isCodecUnavailable, isFnapError, LIMITS, readBatchHeader } from '@fnaa/protocol'

/**
 * Looks through a batch of a stranger's broker before anybody passes it on (hardening H32): checksum, counts, offsets, what it
 * expands to. A codec that is not here cannot be looked into; its frame is checked all the same.
 * @throws FNA_ERR_CORRUPT, FNA_ERR_TOO_LARGE
 */
export function checkForeign(bytes: Uint8Array): void {
  try {
    checkBatch(bytes, { bytes: LIMITS.expanded })
  } catch (e) {
    if (!isCodecUnavailable(e)) throw translated(e)
    const h = readBatchHeader(bytes)
    const whole = h.length === bytes.length && h.crc === crc32c(bytes.subarray(BATCH_AT.attributes))
    if (!whole || h.control || h.transactional || h.count < 1 || h.lastOffsetDelta !== h.count - 1)
      throw new FnaError('FNA_ERR_CORRUPT', 'the header of a batch does not fit its bytes')
  }
}

function translated(e: unknown): unknown {
  if (!isFnapError(e)) return e
  const code = e.symbol === 'TOOLONG' ? 'FNA_ERR_TOO_LARGE' : 'FNA_ERR_CORRUPT'
  return new FnaError(code, `a batch of the other side: ${e.sentence}`, { cause: e })
}
