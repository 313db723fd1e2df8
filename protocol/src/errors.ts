/** What is known about an error symbol of FNAP/1. */
export interface ErrorKind {
  /** Reply code, 400 to 504. */
  readonly code: number
  /** A client may try the same again later. */
  readonly temporary: boolean
  /** The agent closes the connection after the reply. (AUTHFAILED closes at the third, which the session counts.) */
  readonly closes: boolean
  /** Said when no better sentence is at hand. */
  readonly sentence: string
}

const kind = (code: number, sentence: string, flags: { temporary?: boolean; closes?: boolean } = {}): ErrorKind =>
  Object.freeze({ code, temporary: flags.temporary ?? false, closes: flags.closes ?? false, sentence })
const again = { temporary: true }

/** The registry of error symbols. Append-only: a symbol never changes its code or its meaning. */
export const ERRORS = Object.freeze({
  SYNTAX: kind(400, 'this line does not follow the grammar'),
  BADVALUE: kind(400, 'a value does not follow its rule'),
  BADNAME: kind(400, 'a name does not follow the rule for names'),
  BADEVENT: kind(400, 'an event is not valid'),
  CANCELLED: kind(400, 'the exchange was cancelled'),
  BADLINE: kind(400, 'a line ends in CRLF and holds no other CR, LF or NUL', { closes: true }),
  AUTHREQUIRED: kind(401, 'authenticate first'),
  AUTHFAILED: kind(401, 'authentication failed'),
  DENIED: kind(403, 'this is not allowed to you'),
  TLSREQUIRED: kind(403, 'this mechanism needs TLS'),
  UNKNOWNCOMMAND: kind(404, 'there is no such command'),
  UNKNOWNMECHANISM: kind(404, 'there is no such mechanism'),
  NOTFOUND: kind(404, 'there is nothing of that name here'),
  EXISTS: kind(409, 'it exists already'),
  CONFLICT: kind(409, 'this conflicts with what is there'),
  STALE: kind(409, 'a higher generation is known'),
  BUSY: kind(409, 'it is being changed', again),
  AMBIGUOUS: kind(409, 'the name fits several, give the id'),
  NOTEMPTY: kind(409, 'it still holds flows'),
  BADSTATE: kind(409, 'this command does not fit the state of the session'),
  LOOP: kind(409, 'events would come back to where they started'),
  REVOKED: kind(410, 'the owner has revoked it'),
  GONE: kind(410, 'it has ended'),
  LINETOOLONG: kind(413, 'the line is too long', { closes: true }),
  TOOLONG: kind(413, 'it is too long'),
  CLOSING: kind(421, 'the agent is closing this connection', { temporary: true, closes: true }),
  MOVED: kind(421, 'moved'),
  QUOTA: kind(429, 'the quota is used up', again),
  RATE: kind(429, 'slow down', again),
  INTERNAL: kind(500, 'something went wrong in the agent', again),
  NOTSUPPORTED: kind(501, 'this agent does not support it'),
  REMOTE: kind(502, 'the remote agent failed', again),
  UNAVAILABLE: kind(503, 'a service that this needs is unavailable', again),
  TIMEOUT: kind(504, 'timed out, the work goes on', again),
})

export type ErrorSymbol = keyof typeof ERRORS

const registry: ReadonlyMap<string, ErrorKind> = new Map(Object.entries(ERRORS))

/** The kind of a symbol, or undefined for one that is not registered (a newer agent's, or `constructor`). */
export const errorKind = (symbol: string): ErrorKind | undefined => registry.get(symbol)

const BRAND = Symbol.for('fnap.error')

/**
 * An error that has a reply. `sentence` is sent to the client: it names the option and the rule, never the client's
 * text. `detail` goes to the log only. Recognise it with `isFnapError`, never with instanceof: two copies of this
 * package must understand each other.
 */
export class FnapError extends Error {
  readonly symbol: ErrorSymbol
  readonly code: number
  readonly sentence: string
  readonly temporary: boolean
  readonly closes: boolean
  /** For the log, never for the wire. */
  readonly detail?: unknown

  constructor(symbol: ErrorSymbol, sentence?: string, detail?: unknown) {
    const known = ERRORS[symbol]
    super(`${known.code} ${symbol} ${sentence ?? known.sentence}`)
    this.name = 'FnapError'
    this.symbol = symbol
    this.code = known.code
    this.sentence = sentence ?? known.sentence
    this.temporary = known.temporary
    this.closes = known.closes
    if (detail !== undefined) this.detail = detail
    Object.defineProperty(this, BRAND, { value: true })
  }
}

/** A FnapError, ready to be thrown. Without a sentence the registry's own is used. */
export const fnapError = (symbol: ErrorSymbol, sentence?: string, detail?: unknown): FnapError =>
  new FnapError(symbol, sentence, detail)

/** Is this a FnapError, of this copy of the package or of another one? */
export const isFnapError = (x: unknown): x is FnapError =>
  typeof x === 'object' && x !== null && (x as Record<symbol, unknown>)[BRAND] === true

/**
 * `429 QUOTA|RATE <seconds> <sentence>`. The seconds are rounded up and kept within 1 to 900; 220 becomes 221, since
 * older clients take any line with those digits for a success.
 */
export function slowDown(symbol: 'QUOTA' | 'RATE', seconds: number, sentence?: string, detail?: unknown): FnapError {
  const whole = Number.isFinite(seconds) ? Math.min(900, Math.max(1, Math.ceil(seconds))) : 900
  return fnapError(symbol, `${whole === 220 ? 221 : whole} ${sentence ?? ERRORS[symbol].sentence}`, detail)
}

/** `421 MOVED host:port`: the connection stays open, and only agents follow, and only a proved owner's. */
export const moved = (host: string, port: number): FnapError => fnapError('MOVED', `${host}:${port}`)
