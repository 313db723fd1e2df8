import { fnapError } from './errors.js'
import { LIMITS } from './limits.js'

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const DIGITS = /^[0-9]+$/
const ID = /^[a-z2-7]{26}$/
const USER = /^[a-z0-9._+-]{1,64}$/
const SCHEME = 'flow://'
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** First labels that no CREATE takes: other programs give them a meaning of their own in DNS. */
export const RESERVED_LABELS: ReadonlySet<string> = new Set([
  'ns',
  'www',
  'wpad',
  'isatap',
  'localhost',
  'mta-sts',
  'autoconfig',
  'autodiscover',
  '_acme-challenge',
  '_dmarc',
  '_domainkey',
  '_flow',
  '_fnap',
  '_fnapkey',
  '_queue',
  '_tcp',
  '_tls',
  '_udp',
])

const VISIBLE = /^[\x21-\x7e]*$/

/**
 * Lower case of visible ASCII, or '' for any other text: beyond ASCII there are letters that fold into a-z (the Kelvin
 * sign becomes k), and nothing may become a name or an id by being folded.
 */
export const foldAscii = (text: string): string => (VISIBLE.test(text) ? text.toLowerCase() : '')

/** The labels of a name, from the first to the top. */
export const splitLabels = (name: string): string[] => name.split('.')

/** Is it one label of a name: `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?` (lower case)? */
export const isLabel = (text: string): boolean => text.length <= LIMITS.label && LABEL.test(text)

/**
 * Is it a name in canonical form: lower case, two labels or more, at most 253 characters, without scheme and final dot?
 * A last label of digits only is refused, so that no name reads as an address.
 */
export function isName(text: string): boolean {
  if (text.length > LIMITS.name) return false
  const labels = text.split('.')
  if (labels.length < 2) return false
  for (const label of labels) if (!isLabel(label)) return false
  return !DIGITS.test(labels[labels.length - 1]!)
}

/**
 * The canonical form of a name as typed: `flow://` before it, one dot after it and upper case are accepted (thesis,
 * annex C).
 * @param what names the option in the error's sentence.
 * @throws FnapError BADNAME
 */
export function parseName(text: string, what = 'a name'): string {
  const bad = () =>
    fnapError('BADNAME', `${what} is two or more labels of a-z 0-9 and inner hyphens, at most 253 characters`)
  if (text.length > LIMITS.name + SCHEME.length + 1) throw bad()
  let name = foldAscii(text)
  if (name.startsWith(SCHEME)) name = name.slice(SCHEME.length)
  if (name.endsWith('.')) name = name.slice(0, -1)
  if (!isName(name)) throw bad()
  return name
}

/**
 * A name that CREATE takes: at most 208 characters, its first label neither reserved nor in the form of an id.
 * @returns the canonical form
 * @throws FnapError BADNAME
 */
export function parseNewName(text: string, what = 'a name'): string {
  const name = parseName(text, what)
  if (name.length > LIMITS.nameCreate) throw fnapError('BADNAME', `${what} is at most 208 characters here`)
  const first = name.slice(0, name.indexOf('.'))
  if (isId(first)) throw fnapError('BADNAME', `${what} begins with a label in the form of an id`)
  if (RESERVED_LABELS.has(first)) throw fnapError('BADNAME', `${what} begins with a reserved label`)
  return name
}

/**
 * An id from 16 random bytes: 26 characters of base32 (RFC 4648 §6) in lower case, without padding.
 * @throws RangeError when there are not 16 bytes
 */
export function mintId(bytes: Uint8Array): string {
  if (bytes.length !== 16) throw new RangeError('an id is made from 16 bytes')
  let id = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      id += ALPHABET[(value >> bits) & 31]
    }
  }
  return id + ALPHABET[(value << (5 - bits)) & 31]
}

/** Is it an id: 26 of a-z 2-7? */
export const isId = (text: string): boolean => text.length === 26 && ID.test(text)

/** The parts of a subscription's endpoint name, `<id>.<flow>`, or null for any other name. Takes canonical names. */
export function parseEndpointName(name: string): { readonly id: string; readonly flow: string } | null {
  if (name.charCodeAt(26) !== 0x2e) return null
  const id = name.slice(0, 26)
  const flow = name.slice(27)
  return isId(id) && isName(flow) ? { id, flow } : null
}

/** Is it a user's local part: 1 to 64 of a-z 0-9 . _ + - (lower case)? */
export const isUser = (text: string): boolean => text.length <= 64 && USER.test(text)

/**
 * One user, `user@domain`, folded.
 * @throws FnapError BADVALUE
 */
export function parseUser(text: string, what = 'a user'): string {
  const at = text.indexOf('@')
  const user = foldAscii(text.slice(0, Math.max(at, 0)))
  if (at < 1 || text.length > 320 || !isUser(user) || !isDomain(text.slice(at + 1))) {
    throw fnapError('BADVALUE', `${what} is user@domain, the user 1 to 64 of a-z 0-9 . _ + -`)
  }
  return `${user}@${canonicalDomain(text.slice(at + 1))}`
}

/**
 * Whom a grant names, folded: `user@domain`, `*@domain`, `domain` (the agent itself), `anonymous` or `*`.
 * @throws FnapError BADVALUE
 */
export function parseWho(text: string, what = 'who'): string {
  if (text === '*') return text
  if (text.length <= 320) {
    if (text.toLowerCase() === 'anonymous') return 'anonymous'
    if (text.startsWith('*@') && isDomain(text.slice(2))) return `*@${canonicalDomain(text.slice(2))}`
    if (text.includes('@')) return parseUser(text, what)
    if (isDomain(text)) return canonicalDomain(text)
  }
  throw fnapError('BADVALUE', `${what} is user@domain, *@domain, domain, anonymous or *`)
}

const canonicalDomain = (text: string): string => {
  const folded = foldAscii(text)
  return folded.endsWith('.') ? folded.slice(0, -1) : folded
}
const isDomain = (text: string): boolean => text.length <= LIMITS.name + 1 && isName(canonicalDomain(text))

/**
 * Does a grant's `who` include a principal (`user@domain`, an agent's `domain`, or `anonymous`)? `*` includes everyone,
 * anonymous too. A domain is its agent only, `*@domain` its users only; subdomains are never included.
 */
export function whoMatches(pattern: string, principal: string): boolean {
  if (pattern === '*' || pattern === principal) return true
  if (!pattern.startsWith('*@')) return false
  const at = principal.indexOf('@')
  return at > 0 && principal.slice(at + 1) === pattern.slice(2)
}

/**
 * The suffixes of a canonical name that the walk for `_fnap` asks, longest first: at most 8 labels long, never a single
 * label, and never the name itself unless `self` is given (for a namespace's own name).
 */
export function suffixes(name: string, opt: { readonly self?: boolean } = {}): string[] {
  const labels = splitLabels(name)
  const longest = Math.min(LIMITS.walkLabels, labels.length - (opt.self ? 0 : 1))
  const found: string[] = []
  for (let n = longest; n >= 2; n--) found.push(labels.slice(labels.length - n).join('.'))
  return found
}

/** Is `name` the domain itself, or below it? Both canonical. */
export const isWithin = (name: string, domain: string): boolean => name === domain || name.endsWith(`.${domain}`)
