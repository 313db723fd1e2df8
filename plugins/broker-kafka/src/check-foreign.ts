import { FnaError } from '@fnaa/core/plugin'
import { checkPassing, isFnapError, LIMITS } from '@fnaa/protocol'

/**
 * Looks through a batch of a stranger's broker before anybody passes it on (hardening H32): checksum, counts, offsets, what it
 * expands to, time stamps. A codec that is not here cannot be looked into; its header is checked all the same.
 * @throws FNA_ERR_CORRUPT, FNA_ERR_TOO_LARGE
 */
export function checkForeign(bytes: Uint8Array): void {
  try {
    checkPassing(bytes, { bytes: LIMITS.expanded })
  } catch (e) {
    throw translated(e)
  }
}

function translated(e: unknown): unknown {
  if (!isFnapError(e)) return e
  const code = e.symbol === 'TOOLONG' ? 'FNA_ERR_TOO_LARGE' : 'FNA_ERR_CORRUPT'
  return new FnaError(code, `a batch of the other side: ${e.sentence}`, { cause: e })
}
