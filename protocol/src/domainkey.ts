import { createHash } from 'node:crypto'
import { isSelector } from './dns-text.js'
import { fnapError } from './errors.js'
import { isName } from './names.js'
import { decodeBase64 } from './values.js'

// The pure parts of DOMAINKEY-ED25519: what is signed, and the three messages. Each message is the base64 of a flat JSON
// object with exactly the members named, all of them strings:
//   I -> R  { n: domain, s: selector, t: the domain that is meant, cn: nonce }
//   R -> I  { rs: selector, sn: nonce, sig }
//   I -> R  { sig }

/** I's first message: its domain and selector, R's domain, a nonce of 24 bytes. */
export interface KeyInitiator {
  readonly n: string
  readonly s: string
  readonly t: string
  readonly cn: Uint8Array
}
/** R's answer: its selector, a nonce of 24 bytes, a signature of 64 bytes. */
export interface KeyChallenge {
  readonly rs: string
  readonly sn: Uint8Array
  readonly sig: Uint8Array
}
/** I's last message: a signature of 64 bytes. */
export interface KeyResponse {
  readonly sig: Uint8Array
}
/** Everything that both signatures cover. */
export interface TranscriptFields extends KeyInitiator {
  readonly rs: string
  readonly sn: Uint8Array
  /** The data lines of the last CAPABILITIES in this TLS session (capabilitiesBytes). Their SHA-256 is signed. */
  readonly capabilities: Uint8Array
  /** `tls-exporter` of this TLS 1.3 session, 32 bytes (RFC 9266). */
  readonly exporter: Uint8Array
}

export const NONCE_BYTES = 24
export const SIGNATURE_BYTES = 64
export const EXPORTER_BYTES = 32
/** The longest message, in bytes of JSON. */
const MAX_MESSAGE = 2048

/**
 * The bytes that a side signs with Ed25519. The role stands in them, so that no signature of one side can be given back
 * as the other's; every field has its length before it, so that no two sets of fields give the same bytes.
 * @throws RangeError when the exporter has not 32 bytes or a nonce not 24
 */
export function transcript(role: 'initiator' | 'responder', f: TranscriptFields): Buffer {
  if (f.exporter.length !== EXPORTER_BYTES) throw new RangeError('the exporter has 32 bytes')
  if (f.cn.length !== NONCE_BYTES || f.sn.length !== NONCE_BYTES) throw new RangeError('a nonce has 24 bytes')
  const hash = createHash('sha256').update(f.capabilities).digest()
  const fields = [f.n, f.s, f.t, f.rs, f.cn, f.sn, hash, 'tls-exporter', f.exporter]
  return Buffer.concat([Buffer.from(`FNAP DOMAINKEY-ED25519 v1 ${role}\0`, 'latin1'), ...fields.map(prefixed)])
}

/** What a key signs to vouch for the one that comes after it. */
export const succession = (before: Uint8Array, after: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from('FNAP DOMAINKEY-ED25519 v1 successor\0', 'latin1'), prefixed(before), prefixed(after)])

/** SHA-256 of the 32 bytes of a key, base64 without padding: what a person compares. */
export const fingerprintOf = (key: Uint8Array): string =>
  createHash('sha256').update(key).digest('base64').replace(/=+$/, '')

function prefixed(field: string | Uint8Array): Buffer {
  const bytes = typeof field === 'string' ? Buffer.from(field, 'latin1') : field
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** @throws FnapError SYNTAX for anything but the four members in canonical form, and for n that is also t */
export function parseInitiator(message: Uint8Array): KeyInitiator {
  const [n, s, t, cn] = members(message, ['n', 's', 't', 'cn'])
  if (!isName(n!) || !isName(t!) || n === t) throw bad()
  if (!isSelector(s!)) throw bad()
  return { n: n!, s: s!, t: t!, cn: bytesOf(cn!, NONCE_BYTES) }
}

/** @throws FnapError SYNTAX for anything but the three members in canonical form */
export function parseChallenge(message: Uint8Array): KeyChallenge {
  const [rs, sn, sig] = members(message, ['rs', 'sn', 'sig'])
  if (!isSelector(rs!)) throw bad()
  return { rs: rs!, sn: bytesOf(sn!, NONCE_BYTES), sig: bytesOf(sig!, SIGNATURE_BYTES) }
}

/** @throws FnapError SYNTAX for anything but the one member in canonical form */
export function parseResponse(message: Uint8Array): KeyResponse {
  const [sig] = members(message, ['sig'])
  return { sig: bytesOf(sig!, SIGNATURE_BYTES) }
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const json = (fields: object): Buffer => Buffer.from(JSON.stringify(fields), 'latin1')

export const formatInitiator = (m: KeyInitiator): Buffer => json({ n: m.n, s: m.s, t: m.t, cn: base64(m.cn) })
export const formatChallenge = (m: KeyChallenge): Buffer => json({ rs: m.rs, sn: base64(m.sn), sig: base64(m.sig) })
export const formatResponse = (m: KeyResponse): Buffer => json({ sig: base64(m.sig) })

const bad = () => fnapError('SYNTAX', 'a message of this mechanism is JSON with exactly its members')

function bytesOf(text: string, length: number): Buffer {
  const bytes = decodeBase64(text)
  if (bytes.length !== length) throw bad()
  return bytes
}

/**
 * The values of a flat object of plain strings, in the order of `names`. Read by hand: JSON.parse takes the last of two
 * members of one name, and another implementation may take the first.
 */
function members(message: Uint8Array, names: readonly string[]): string[] {
  if (message.length > MAX_MESSAGE) throw bad()
  const text = Buffer.from(message).toString('latin1').trim()
  if (!text.startsWith('{') || !text.endsWith('}')) throw bad()
  const found = new Map<string, string>()
  for (const member of text.slice(1, -1).split(',')) {
    const match = /^ *"([a-z]{1,8})" *: *"([A-Za-z0-9+/=._-]*)" *$/.exec(member)
    if (!match || found.has(match[1]!)) throw bad()
    found.set(match[1]!, match[2]!)
  }
  if (found.size !== names.length) throw bad()
  return names.map(name => {
    const value = found.get(name)
    if (value === undefined) throw bad()
    return value
  })
}
