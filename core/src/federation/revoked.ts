import { isFnapError, keyOwner, parseKeyRecord } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import { FnaError } from '../contract/errors.js'
import type { Kernel } from '../kernel.js'

/**
 * Does DNS say now that a key is revoked? That none is there says nothing.
 * @param signed an unsigned answer is no word of the domain
 * @throws FNA_ERR_UNAVAILABLE where DNS gives no answer, or a bogus one
 */
export async function isRevoked(
  k: Kernel,
  domain: string,
  selector: string,
  signed: boolean,
  c: Call,
): Promise<boolean> {
  const { records, status } = await k.resolve(keyOwner(selector, domain), 'TXT', { ...c, fresh: true })
  if (status === 'bogus') throw new FnaError('FNA_ERR_UNAVAILABLE', 'DNSSEC validation of a key failed')
  if (signed && status !== 'secure') return false
  try {
    const record = parseKeyRecord(records.flatMap(r => (r.type === 'TXT' ? [r.strings] : [])))
    return record !== null && record.key === null
  } catch (e) {
    if (isFnapError(e)) return false
    throw e
  }
}
