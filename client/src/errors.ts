/**
 * The codes of the plugin seam that this package throws. Their meanings are the kernel's; a package below the kernel
 * repeats the strings and the brand, because codes are compared by value and never by class.
 */
export type ClientErrorCode =
  | 'FNA_ERR_ADDRESS'
  | 'FNA_ERR_CLOSED'
  | 'FNA_ERR_CONFIG'
  | 'FNA_ERR_CORRUPT'
  | 'FNA_ERR_DENIED'
  | 'FNA_ERR_INVALID'
  | 'FNA_ERR_NOTFOUND'
  | 'FNA_ERR_TIMEOUT'
  | 'FNA_ERR_TOO_LARGE'
  | 'FNA_ERR_UNAVAILABLE'
  | 'FNA_ERR_UNSUPPORTED'

const BRAND = Symbol.for('fnaad.error')

/** An error with a code of the seam. Test it with {@link hasCode} or by `code`, never by `instanceof`. */
export class ClientError extends Error {
  readonly code: ClientErrorCode
  /** Set on DNS errors: `bogus` where the resolver said that DNSSEC validation failed (RFC 8914). */
  readonly status?: 'bogus'
  /** Set where a name server answered that it will not or cannot (RFC 1035 §4.1.1): 2 SERVFAIL, 5 REFUSED … */
  readonly rcode?: number
  /** Info codes of Extended DNS Errors that came with it (RFC 8914 §4). */
  readonly extended?: readonly number[]
  constructor(
    code: ClientErrorCode,
    message: string,
    options: { cause?: unknown; status?: 'bogus'; rcode?: number; extended?: readonly number[] } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'ClientError'
    this.code = code
    if (options.status) this.status = options.status
    if (options.rcode !== undefined) this.rcode = options.rcode
    if (options.extended !== undefined) this.extended = options.extended
    Object.defineProperty(this, BRAND, { value: true })
  }
}

/** True for an error of the seam (of any copy of any package) with this code. */
export function hasCode(e: unknown, code: ClientErrorCode): boolean {
  if (typeof e !== 'object' || e === null) return false
  return (e as Record<symbol, unknown>)[BRAND] === true && (e as { code?: unknown }).code === code
}
