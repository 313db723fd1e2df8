/** Every code that crosses the plugin seam. Codes are append-only; messages may change. */
export const FNA_CODES = {
  FNA_ERR_EXISTS: 'a resource of this kind and name is there already',
  FNA_ERR_CONFLICT: 'the revision seen is not the current one',
  FNA_ERR_NOTFOUND: 'there is no such thing',
  FNA_ERR_CLOSED: 'the service is closed',
  FNA_ERR_LOCKED: 'another process holds the store',
  FNA_ERR_FULL: 'no room left',
  FNA_ERR_FENCED: 'a higher epoch has been seen',
  FNA_ERR_FOREIGN: 'the name is not in a zone of this service',
  FNA_ERR_ADDRESS: 'the address is one that strangers may not name',
  FNA_ERR_UNAVAILABLE: 'the other side does not answer',
  FNA_ERR_TIMEOUT: 'the deadline has passed',
  FNA_ERR_DENIED: 'the other side refuses',
  FNA_ERR_UNSUPPORTED: 'this service cannot do that (see supports)',
  FNA_ERR_INVALID: 'an argument breaks the rule named in the message',
  FNA_ERR_CORRUPT: 'stored or received bytes fail their check',
  FNA_ERR_TOO_LARGE: 'over the limit named in the message',
  FNA_ERR_CONFIG: 'the configuration is wrong',
  FNA_ERR_PLUGIN_CONTRACT: 'the plugin was written for another contract number',
  FNA_ERR_PLUGIN_DUPLICATE: 'two plugins offer the same id, mechanism, type or verb',
  FNA_ERR_PLUGIN_SETUP: 'the plugin failed while it was set up',
  FNA_ERR_PLUGIN_TIMEOUT: 'the plugin did not answer before its deadline',
  FNA_ERR_PLUGIN_CLOSE: 'the plugin failed while it was closed',
  FNA_ERR_PLUGIN: 'the plugin threw something without a code',
} as const
export type FnaCode = keyof typeof FNA_CODES

const BRAND = Symbol.for('fnaad.error')

/** An error of the seam. Test it with {@link isFna} or by `code`, never by `instanceof`: there may be two copies of this class. */
export class FnaError extends Error {
  readonly code: FnaCode
  /** The plugin instance that threw, stamped by the guard. */
  plugin?: string
  /** The method that threw, stamped by the guard. */
  op?: string
  constructor(code: FnaCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'FnaError'
    this.code = code
    Object.defineProperty(this, BRAND, { value: true })
  }
}

/** True for an FnaError of any copy of this package, of this code where one is given. */
export function isFna(e: unknown, code?: FnaCode): e is FnaError {
  if (typeof e !== 'object' || e === null || (e as Record<symbol, unknown>)[BRAND] !== true) return false
  return code === undefined || (e as FnaError).code === code
}
