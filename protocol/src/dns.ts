import { fnapError } from './errors.js'
import { LIMITS } from './limits.js'
import { isLabel } from './names.js'

/** A record of the types that this project writes. `ttl` is in seconds; names are without a final dot. */
export type DnsRecord = { readonly name: string; readonly ttl: number } & (
  | { readonly type: 'PTR'; readonly target: string }
  | {
      readonly type: 'SRV'
      readonly priority: number
      readonly weight: number
      readonly port: number
      readonly target: string
    }
  | { readonly type: 'TXT'; readonly strings: readonly string[] }
  | { readonly type: 'A' | 'AAAA'; readonly address: string }
  | { readonly type: 'NS'; readonly target: string }
  | {
      readonly type: 'DS'
      readonly keyTag: number
      readonly algorithm: number
      readonly digestType: number
      readonly digest: string
    }
)

/** All records of one owner: a set that is replaced as a whole. */
export interface OwnerSet {
  readonly owner: string
  readonly records: readonly DnsRecord[]
}

const MAX_TTL = 604_800
const MAX_STRINGS = 16

/**
 * Is it a name that may own a record: labels of a-z 0-9 `_` `-`, at most 63 each and 253 in all? No wildcard, no
 * escape, no empty label: encoders do not check (a label of 200 bytes would be read as a compression pointer).
 */
export function isOwner(name: string): boolean {
  if (name.length === 0 || name.length > LIMITS.name) return false
  return name.split('.').every(label => isLabel(label.startsWith('_') ? label.slice(1) : label) && label.length <= 63)
}

/** Does a label of the name belong to the operator alone (`_fnap`, `_fnapkey`, `_domainkey` …)? */
export const isReservedOwner = (name: string): boolean =>
  name.split('.').some(label => OPERATOR_LABELS.has(label.toLowerCase()))

const OPERATOR_LABELS: ReadonlySet<string> = new Set([
  '*',
  '_acme-challenge',
  '_dmarc',
  '_domainkey',
  '_fnap',
  '_fnapkey',
  '_mta-sts',
])

/**
 * Checks a record before anything encodes it (RFC 1035 §2.3.4, §3.3.14; RFC 2782).
 * @returns the record
 * @throws FnapError BADNAME for an owner or a target, BADVALUE for anything else
 */
export function checkRecord<R extends DnsRecord>(record: R): R {
  if (!isOwner(record.name)) throw fnapError('BADNAME', 'the owner of a record is labels of a-z 0-9 _ and hyphens')
  checkNumber(record.ttl, MAX_TTL, 'the TTL')
  switch (record.type) {
    case 'PTR':
      checkTarget(record.target)
      break
    case 'NS':
      checkHost(record.target)
      break
    case 'SRV':
      checkNumber(record.priority, 65_535, 'the priority')
      checkNumber(record.weight, 65_535, 'the weight')
      checkNumber(record.port, 65_535, 'the port')
      checkHost(record.target)
      break
    case 'TXT':
      checkStrings(record)
      break
    case 'A':
      if (!isIPv4(record.address)) throw fnapError('BADVALUE', 'an A record holds an IPv4 address')
      break
    case 'AAAA':
      if (!isIPv6(record.address)) throw fnapError('BADVALUE', 'an AAAA record holds an IPv6 address')
      break
    case 'DS':
      checkNumber(record.keyTag, 65_535, 'the key tag')
      checkNumber(record.algorithm, 255, 'the algorithm')
      checkNumber(record.digestType, 255, 'the digest type')
      if (!/^[0-9a-fA-F]{40,128}$/.test(record.digest) || record.digest.length % 2 === 1) {
        throw fnapError('BADVALUE', 'a digest is 20 to 64 bytes in hexadecimal')
      }
      break
    default:
      throw fnapError('BADVALUE', 'a record is PTR, SRV, TXT, A, AAAA, NS or DS')
  }
  return record
}

function checkNumber(value: number, max: number, what: string): void {
  if (!Number.isInteger(value) || value < 0 || value > max) throw fnapError('BADVALUE', `${what} is out of range`)
}

function checkTarget(name: string): void {
  if (!isOwner(name)) throw fnapError('BADNAME', 'the target of a record is labels of a-z 0-9 _ and hyphens')
}

/** A host's name has no underscore (RFC 952), which also keeps a target off the reserved owners. */
function checkHost(name: string): void {
  if (!isOwner(name) || name.includes('_')) throw fnapError('BADNAME', 'a host is labels of a-z 0-9 and hyphens')
}

const TEXT = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

/**
 * Every string at most 255 bytes of printable ASCII without `"` and `\`. (An encoder writes the length modulo 256, so a
 * longer value would become several strings of the attacker's choice.) A semicolon separates the tags of `v=FNAP1`
 * records and stands nowhere else; only their owners hold a string that begins `v=`.
 */
function checkStrings(record: DnsRecord & { type: 'TXT' }): void {
  const { strings, name } = record
  if (!Array.isArray(strings) || strings.length < 1 || strings.length > MAX_STRINGS) {
    throw fnapError('BADVALUE', 'a TXT record holds 1 to 16 strings')
  }
  const tagged = /(?:^|\.)_fnap(?:key)?\./.test(`${name}.`)
  for (const text of strings) {
    if (typeof text !== 'string' || text.length > 255 || !TEXT.test(text)) {
      throw fnapError(
        'BADVALUE',
        'a TXT string is at most 255 printable ASCII characters without quotes and backslashes',
      )
    }
    if (tagged) continue
    if (text.includes(';')) throw fnapError('BADVALUE', 'a TXT string here holds no semicolon')
    if (/^v=/i.test(text)) throw fnapError('BADVALUE', 'a TXT string here does not begin with a version')
  }
}

/** Four numbers of 0 to 255 without leading zeros: nothing that an old library would read as octal. */
export function isIPv4(text: string): boolean {
  if (text.length > 15) return false
  const parts = text.split('.')
  return parts.length === 4 && parts.every(part => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
}

/** RFC 4291 §2.2, without a zone; the last 32 bits may be an IPv4 address. */
export function isIPv6(text: string): boolean {
  if (text.length > 45 || !/^[0-9a-fA-F:.]+$/.test(text)) return false
  const halves = text.split('::')
  if (halves.length > 2) return false
  const groups = halves.map(half => (half === '' ? [] : half.split(':')))
  const last = groups[groups.length - 1]!
  const tail = last[last.length - 1]
  let count = groups.reduce((n, half) => n + half.length, 0)
  if (tail?.includes('.')) {
    if (!isIPv4(tail)) return false
    last.pop()
    count += 1
  }
  if (!groups.every(half => half.every(group => /^[0-9a-fA-F]{1,4}$/.test(group)))) return false
  return halves.length === 2 ? count < 8 : count === 8
}

/** The data of a record as zone files have it (RFC 1035 §5.1), names with their final dot. */
export function recordData(r: DnsRecord): string {
  switch (r.type) {
    case 'SRV':
      return `${r.priority} ${r.weight} ${r.port} ${r.target}.`
    case 'TXT':
      return r.strings.map(s => `"${s.replace(/["\\]/g, '\\$&')}"`).join(' ')
    case 'PTR':
    case 'NS':
      return `${r.target}.`
    case 'A':
    case 'AAAA':
      return r.address
    case 'DS':
      return `${r.keyTag} ${r.algorithm} ${r.digestType} ${r.digest}`
  }
}

/** A record as a line of a zone file. */
export const zoneLine = (r: DnsRecord): string => `${r.name}. ${r.ttl} IN ${r.type} ${recordData(r)}`
