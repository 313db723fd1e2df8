import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import type { DnsRecord } from '@fnaa/protocol'
import { DnsReader, type RawRecord } from './dns-reader.js'

/** One key of a zone (RFC 4034 §2). */
export interface ZoneKey {
  readonly flags: number
  readonly algorithm: number
  readonly tag: number
  /** Its record's data, as it stands on the wire. */
  readonly data: Buffer
}
export type DsData = Pick<Extract<DnsRecord, { type: 'DS' }>, 'keyTag' | 'algorithm' | 'digestType' | 'digest'>

export const DNSKEY = 48
export const RRSIG = 46
const IN = 1
const SHA256 = 2
const FLAG = { zone: 0x0100, revoked: 0x0080, entry: 0x0001 } as const
/** Keys and signatures that are tried against each other, of each: a message has room for thousands of one tag (KeyTrap). */
const MOST = 16
/** Behind the names: type, class, time to live, length. */
const HEAD = 10

/**
 * Reads the answer to a question for a zone's keys: those that a parent may vouch for. That is each that is a zone key, is not
 * revoked, and signs the set of keys at this time by an algorithm that validators know; of these, entry points where there are any.
 * A DS for any other key would make the zone bogus.
 * @param now seconds since 1970
 * @returns none where the zone is not signed, or no signature holds
 * @throws RangeError where the message is malformed
 */
export function signingKeys(bytes: Buffer, zone: string, now: number): { signed: boolean; keys: ZoneKey[] } {
  const reader = new DnsReader(bytes)
  const answers = reader.message().answers.filter(r => r.name === zone && r.class === IN)
  const all = answers.filter(r => r.type === DNSKEY).map(r => readKey(bytes.subarray(r.start, r.end)))
  const rrsigs = answers.filter(r => r.type === RRSIG).slice(0, MOST)
  const signatures = rrsigs.map(r => readSignature(bytes, reader, r))
  const good = all
    .slice(0, MOST)
    .filter(
      key =>
        (key.flags & FLAG.zone) !== 0 &&
        (key.flags & FLAG.revoked) === 0 &&
        key.data[2] === 3 &&
        signatures.some(s => s.covers === DNSKEY && s.signer === zone && holds(s, key, all, zone, now)),
    )
  return { signed: all.length > 0, keys: entries(good) }
}

/** Of a zone's keys those that its parent has to vouch for: entry points where there are any. */
export function entries<K extends ZoneKey>(keys: readonly K[]): K[] {
  const alive = keys.filter(key => (key.flags & FLAG.revoked) === 0)
  const entry = alive.filter(key => (key.flags & FLAG.entry) !== 0)
  return entry.length > 0 ? entry : alive
}

/** What a parent publishes for a key: its digest by SHA-256 (RFC 4034 §5.1.4, RFC 4509). */
export function dsOf(zone: string, key: ZoneKey): DsData {
  const digest = createHash('sha256').update(wire(zone)).update(key.data).digest('hex')
  return { keyTag: key.tag, algorithm: key.algorithm, digestType: SHA256, digest }
}

/** @throws RangeError where the data is cut off */
export function readKey(data: Buffer): ZoneKey {
  if (data.length < 5) throw new RangeError('a key is cut off')
  return { flags: data.readUInt16BE(0), algorithm: data.readUInt8(3), tag: tagOf(data), data }
}

/** RFC 4034, appendix B. */
function tagOf(data: Buffer): number {
  let sum = 0
  for (const [i, byte] of data.entries()) sum += i % 2 === 0 ? byte << 8 : byte
  return (sum + (sum >>> 16)) & 0xffff
}

interface Signature {
  readonly covers: number
  readonly algorithm: number
  readonly ttl: number
  readonly ends: number
  readonly begins: number
  readonly tag: number
  readonly signer: string | null
  /** The data up to the signature. */
  readonly head: Buffer
  readonly value: Buffer
}

function readSignature(bytes: Buffer, reader: DnsReader, raw: RawRecord): Signature {
  const at = raw.start
  const { name, next } = reader.name(at + 18)
  if (next > raw.end) throw new RangeError('a signature is cut off')
  return {
    covers: bytes.readUInt16BE(at),
    algorithm: bytes.readUInt8(at + 2),
    ttl: bytes.readUInt32BE(at + 4),
    ends: bytes.readUInt32BE(at + 8),
    begins: bytes.readUInt32BE(at + 12),
    tag: bytes.readUInt16BE(at + 16),
    signer: name,
    head: Buffer.concat([bytes.subarray(at, at + 18), wire(name ?? '')]),
    value: bytes.subarray(next, raw.end),
  }
}

/** RFC 4034 §3.1.8.1 and §6: does the key's signature over the set of keys hold now? */
function holds(s: Signature, key: ZoneKey, all: readonly ZoneKey[], zone: string, now: number): boolean {
  if (s.tag !== key.tag || s.algorithm !== key.algorithm || now < s.begins || now > s.ends) return false
  const made = publicKey(key)
  if (!made) return false
  const owner = wire(zone)
  const records = all
    .map(k => k.data)
    .sort(Buffer.compare)
    .map(data => {
      const head = Buffer.alloc(HEAD)
      head.writeUInt16BE(DNSKEY, 0)
      head.writeUInt16BE(IN, 2)
      head.writeUInt32BE(s.ttl, 4)
      head.writeUInt16BE(data.length, 8)
      return Buffer.concat([owner, head, data])
    })
  const signed = Buffer.concat([s.head, ...records])
  try {
    return verify(made.hash, signed, { key: made.key, dsaEncoding: 'ieee-p1363' }, s.value)
  } catch {
    return false
  }
}

/** Null for an algorithm that is not one of those to sign with (RFC 8624 §3.1), or a key that is none. */
function publicKey(key: ZoneKey): { key: KeyObject; hash: string | null } | null {
  const value = key.data.subarray(4)
  const b64 = (b: Buffer) => b.toString('base64url')
  const jwk = (k: object, hash: string | null) => ({ key: createPublicKey({ key: k as never, format: 'jwk' }), hash })
  const ec = (crv: string, size: number, hash: string) =>
    value.length === 2 * size
      ? jwk({ kty: 'EC', crv, x: b64(value.subarray(0, size)), y: b64(value.subarray(size)) }, hash)
      : null
  try {
    switch (key.algorithm) {
      case 8:
        return jwk(rsa(value), 'sha256')
      case 10:
        return jwk(rsa(value), 'sha512')
      case 13:
        return ec('P-256', 32, 'sha256')
      case 14:
        return ec('P-384', 48, 'sha384')
      case 15:
        return jwk({ kty: 'OKP', crv: 'Ed25519', x: b64(value) }, null)
      case 16:
        return jwk({ kty: 'OKP', crv: 'Ed448', x: b64(value) }, null)
      default:
        return null
    }
  } catch {
    return null
  }
}

/** RFC 3110 §2. */
function rsa(value: Buffer): object {
  const long = value.readUInt8(0) === 0
  const length = long ? value.readUInt16BE(1) : value.readUInt8(0)
  const at = long ? 3 : 1
  const [e, n] = [value.subarray(at, at + length), value.subarray(at + length)]
  return { kty: 'RSA', e: e.toString('base64url'), n: n.toString('base64url') }
}

function wire(name: string): Buffer {
  if (name === '') return Buffer.from([0])
  const labels = name.split('.').map(l => Buffer.concat([Buffer.from([l.length]), Buffer.from(l, 'latin1')]))
  return Buffer.concat([...labels, Buffer.from([0])])
}
