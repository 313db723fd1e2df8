const todo = (): never => {
  throw new Error('not yet')
}
/** I's first message: domain, selector, target's domain, nonce of 24 bytes. */
export interface KeyInitiator {
  readonly n: string
  readonly s: string
  readonly t: string
  readonly cn: Uint8Array
}
/** R's answer: selector, nonce of 24 bytes, signature of 64 bytes. */
export interface KeyChallenge {
  readonly rs: string
  readonly sn: Uint8Array
  readonly sig: Uint8Array
}
/** I's last message. */
export interface KeyResponse {
  readonly sig: Uint8Array
}
export interface TranscriptFields extends KeyInitiator {
  readonly rs: string
  readonly sn: Uint8Array
  /** The data lines' bytes (capabilitiesBytes): hashed with SHA-256 here. */
  readonly capabilities: Uint8Array
  /** 32 bytes of tls-exporter (RFC 9266). */
  readonly exporter: Uint8Array
}
export const transcript = (_role: 'initiator' | 'responder', _f: TranscriptFields): Buffer => todo()
export const parseInitiator = (_json: Uint8Array): KeyInitiator => todo()
export const parseChallenge = (_json: Uint8Array): KeyChallenge => todo()
export const parseResponse = (_json: Uint8Array): KeyResponse => todo()
export const formatInitiator = (_m: KeyInitiator): Buffer => todo()
export const formatChallenge = (_m: KeyChallenge): Buffer => todo()
export const formatResponse = (_m: KeyResponse): Buffer => todo()
