import { fnapError } from './errors.js'
import { isName, isWithin } from './names.js'
import { decodeBase64 } from './values.js'

/** `_fnap.<suffix>` TXT: the suffix is a namespace, and `domain` is what its agent must prove. */
export interface FnapRecord {
  /** The suffix itself, or an ancestor of it. */
  readonly domain: string
  /** Changes whenever a key does, so that a cache can be dropped. */
  readonly id?: string
}

const VERSION = 'v=FNAP1'

/** @throws FnapError BADNAME or BADVALUE */
export function formatFnapRecord(r: FnapRecord): string {
  if (!isName(r.domain)) throw fnapError('BADNAME', 'd is a domain in canonical form')
  return format([
    ['d', r.domain],
    ['id', r.id],
  ])
}

/**
 * The namespace record among the TXT records at `_fnap.<suffix>` (each a list of strings, which are joined), or null when
 * none is there. Without `d` the domain is the suffix itself. Unknown tags are ignored.
 * @throws FnapError REMOTE for two records, a tag twice, or a `d` that is neither the suffix nor an ancestor of it
 */
export function parseFnapRecord(records: readonly (readonly string[])[], suffix: string): FnapRecord | null {
  const tags = onlyRecord(records)
  if (!tags) return null
  const domain = (tags.get('d') ?? suffix).toLowerCase()
  if (!isName(domain) || !isWithin(suffix, domain)) {
    throw fnapError('REMOTE', 'd of the namespace record is neither the namespace nor above it')
  }
  const id = tags.get('id')
  return id === undefined ? { domain } : { domain, id }
}

/** `<selector>._fnapkey.<domain>` TXT: a domain's Ed25519 key. */
export interface KeyRecord {
  /** The 32 bytes of the public key (RFC 8032), or null: revoked. */
  readonly key: Uint8Array | null
  /** Not valid after, seconds since 1970. */
  readonly notAfter?: number
  /** A note for people. */
  readonly note?: string
  /** The key before it, and its signature over {@link succession}: who knows that key, knows this one. */
  readonly vouched?: Vouched
}
export interface Vouched {
  /** 32 bytes. */
  readonly by: Uint8Array
  /** 64 bytes. */
  readonly signature: Uint8Array
}

/** @throws FnapError BADVALUE */
export function formatKeyRecord(r: KeyRecord): string {
  if (r.key && r.key.length !== 32) throw fnapError('BADVALUE', 'an Ed25519 key has 32 bytes')
  if (r.notAfter !== undefined && !isSeconds(r.notAfter)) throw fnapError('BADVALUE', 'x is seconds since 1970')
  return format([
    ['k', 'ed25519'],
    ['p', r.key ? base64(r.key) : ''],
    ['x', r.notAfter?.toString()],
    ['n', r.note],
    ['b', r.vouched && `${base64(r.vouched.by)}.${base64(r.vouched.signature)}`],
  ])
}

/**
 * The key among the TXT records at a selector's name, or null when none is there.
 * @throws FnapError REMOTE for two records, a tag twice, another algorithm, or a key that is not 32 bytes
 */
export function parseKeyRecord(records: readonly (readonly string[])[]): KeyRecord | null {
  const tags = onlyRecord(records)
  if (!tags) return null
  if ((tags.get('k') ?? '') !== 'ed25519') throw fnapError('REMOTE', 'the key record is not of an ed25519 key')
  const text = tags.get('p')
  if (text === undefined) throw fnapError('REMOTE', 'the key record holds no key')
  const x = tags.get('x')
  if (x !== undefined && !(/^[0-9]{1,15}$/.test(x) && isSeconds(Number(x)))) {
    throw fnapError('REMOTE', 'the key record ends at no time')
  }
  const note = tags.get('n')
  return {
    key: text === '' ? null : keyBytes(text),
    ...(x === undefined ? {} : { notAfter: Number(x) }),
    ...(note === undefined ? {} : { note }),
    ...vouchedIn(tags.get('b')),
  }
}

/** What is malformed there vouches for nothing; the key itself is as good as without it. */
function vouchedIn(text = ''): { readonly vouched?: Vouched } {
  const [by = '', signature = '', more] = text.split('.')
  if (more !== undefined || !/^[A-Za-z0-9+/]{43}=$/.test(by) || !/^[A-Za-z0-9+/]{86}==$/.test(signature)) return {}
  return { vouched: { by: Buffer.from(by, 'base64'), signature: Buffer.from(signature, 'base64') } }
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

/** Is it a selector: 1 to 63 of a-z 0-9 and single inner hyphens? */
export function isSelector(text: string): boolean {
  return text.length <= 63 && /^[a-z0-9-]+$/.test(text) && !/^-|-$|--/.test(text)
}

/** The owner of a key record. Both canonical. */
export const keyOwner = (selector: string, domain: string): string => `${selector}._fnapkey.${domain}`

const isSeconds = (n: number): boolean => Number.isSafeInteger(n) && n >= 0

function keyBytes(text: string): Uint8Array {
  let bytes: Buffer
  try {
    bytes = decodeBase64(text)
  } catch {
    throw fnapError('REMOTE', 'the key is not base64')
  }
  if (bytes.length !== 32) throw fnapError('REMOTE', 'an Ed25519 key has 32 bytes')
  return bytes
}

function format(tags: readonly (readonly [string, string | undefined])[]): string {
  const parts = [VERSION]
  for (const [tag, value] of tags) {
    if (value === undefined) continue
    if (!/^[\x20\x21\x23-\x3a\x3c-\x5b\x5d-\x7e]*$/.test(value)) {
      throw fnapError('BADVALUE', 'a tag holds printable ASCII without semicolon, quotes and backslash')
    }
    parts.push(`${tag}=${value}`)
  }
  const text = parts.join('; ')
  if (text.length > 255) throw fnapError('BADVALUE', 'the record is at most 255 bytes')
  return text
}

/** The tags of the one record that begins with the version; null for none. */
function onlyRecord(records: readonly (readonly string[])[]): Map<string, string> | null {
  const texts = records.map(strings => strings.join('')).filter(text => /^v=FNAP1(?:;|\s*$)/.test(text.slice(0, 512)))
  if (texts.length === 0) return null
  if (texts.length > 1) throw fnapError('REMOTE', 'there are two records where one belongs')
  const text = texts[0]!
  if (text.length > 4096 || !/^[\x20-\x7e]*$/.test(text)) throw fnapError('REMOTE', 'the record is not printable ASCII')
  const tags = new Map<string, string>()
  for (const part of text.split(';')) {
    const tag = part.trim()
    if (tag === '') continue
    const equals = tag.indexOf('=')
    const name = equals < 0 ? '' : tag.slice(0, equals).trim()
    if (!/^[a-z][a-z0-9_-]{0,31}$/.test(name)) throw fnapError('REMOTE', 'the record is not a list of tags')
    if (tags.has(name)) throw fnapError('REMOTE', 'a tag of the record stands twice')
    tags.set(name, tag.slice(equals + 1).trim())
  }
  return tags
}
