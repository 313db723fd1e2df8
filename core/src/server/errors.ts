import { type FnapError, fnapError, isFnapError } from '@fnaa/protocol'
import { type FnaCode, isFna } from '../contract/errors.js'

type Symbols = Parameters<typeof fnapError>[0]

/** What the seam's codes are on the wire; the cause stays in the log. */
const ON_THE_WIRE: Partial<Record<FnaCode, readonly [Symbols, string]>> = {
  FNA_ERR_EXISTS: ['EXISTS', 'it exists already'],
  FNA_ERR_CONFLICT: ['BUSY', 'it is being changed by someone else, try again'],
  FNA_ERR_NOTFOUND: ['NOTFOUND', 'there is no such thing here'],
  FNA_ERR_CLOSED: ['CLOSING', 'the agent is closing'],
  FNA_ERR_FULL: ['UNAVAILABLE', 'the agent has no room left'],
  FNA_ERR_FENCED: ['STALE', 'a higher epoch has been seen'],
  FNA_ERR_ADDRESS: ['UNAVAILABLE', 'the address of the other side may not be used'],
  FNA_ERR_UNAVAILABLE: ['UNAVAILABLE', 'a service that this needs does not answer'],
  FNA_ERR_TIMEOUT: ['TIMEOUT', 'the outcome was not known in time'],
  FNA_ERR_PLUGIN_TIMEOUT: ['UNAVAILABLE', 'a service that this needs does not answer'],
  FNA_ERR_DENIED: ['DENIED', 'that is not allowed'],
  FNA_ERR_UNSUPPORTED: ['NOTSUPPORTED', 'the broker of this flow cannot do that'],
  FNA_ERR_TOO_LARGE: ['TOOLONG', 'over the limit that CAPABILITIES names'],
}

/** Every error as one that may be said: what is not known is 500 INTERNAL, and its text stays here. */
export function toFnapError(e: unknown): FnapError {
  if (isFnapError(e)) return e
  if (isFna(e)) {
    const known = ON_THE_WIRE[e.code]
    if (known) return fnapError(known[0], known[1], e)
  }
  return fnapError('INTERNAL', 'something went wrong here; the log of the agent says what', e)
}
