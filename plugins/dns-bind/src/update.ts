import type { DnsRecord } from '@fnaa/protocol'
import { wireName } from './names.js'

/** One UPDATE (RFC 2136): one zone, conditions that all must hold, and changes that are all made or none. */
export interface Update {
  readonly zone: string
  readonly prerequisites: readonly Prerequisite[]
  readonly changes: readonly Change[]
}
export type Prerequisite =
  /** No record of any type stands there (§2.4.5). */
  | { readonly unused: string }
  /** Exactly these records of one type stand there (§2.4.2). */
  | { readonly exactly: readonly DnsRecord[] }
export type Change =
  /** All records of a type go (§2.5.2). */
  { readonly remove: string; readonly type: DnsRecord['type'] } | { readonly add: DnsRecord }

const TYPES: Readonly<Record<DnsRecord['type'], number>> = { A: 1, NS: 2, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, DS: 43 }
const SOA = 6
const CLASS = { IN: 1, NONE: 254, ANY: 255 } as const
const OPCODE = 5 << 11

/** Response codes of an UPDATE (RFC 2136 §2.2). */
export const RCODES = [
  'NOERROR',
  'FORMERR',
  'SERVFAIL',
  'NXDOMAIN',
  'NOTIMP',
  'REFUSED',
  'YXDOMAIN',
  'YXRRSET',
  'NXRRSET',
  'NOTAUTH',
  'NOTZONE',
] as const
export type Rcode = (typeof RCODES)[number]

/** @param records have passed the strict checks (`checkRecord`) */
export function encodeUpdate(id: number, u: Update): Buffer {
  const prerequisites = u.prerequisites.flatMap(p =>
    'unused' in p
      ? [record(p.unused, CLASS.ANY, CLASS.NONE, 0, Buffer.alloc(0))]
      : p.exactly.map(r => record(r.name, TYPES[r.type], CLASS.IN, 0, dataOf(r))),
  )
  const changes = u.changes.map(change =>
    'add' in change
      ? record(change.add.name, TYPES[change.add.type], CLASS.IN, change.add.ttl, dataOf(change.add))
      : record(change.remove, TYPES[change.type], CLASS.ANY, 0, Buffer.alloc(0)),
  )
  const head = Buffer.alloc(12)
  head.writeUInt16BE(id, 0)
  head.writeUInt16BE(OPCODE, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(prerequisites.length, 6)
  head.writeUInt16BE(changes.length, 8)
  const zone = Buffer.alloc(4)
  zone.writeUInt16BE(SOA, 0)
  zone.writeUInt16BE(CLASS.IN, 2)
  return Buffer.concat([head, wireName(u.zone), zone, ...prerequisites, ...changes])
}

/** What a server says to an UPDATE; null for a message that answers none with this id. */
export function readAnswer(
  m: Buffer,
  id: number,
): { readonly rcode: Rcode | number; readonly truncated: boolean } | null {
  if (m.length < 12 || m.readUInt16BE(0) !== id) return null
  const flags = m.readUInt16BE(2)
  if ((flags & 0x8000) === 0 || (flags & 0x7800) !== OPCODE) return null
  return { rcode: RCODES[flags & 15] ?? flags & 15, truncated: (flags & 0x0200) !== 0 }
}

function record(name: string, type: number, klass: number, ttl: number, data: Buffer): Buffer {
  const head = Buffer.alloc(10)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(klass, 2)
  head.writeUInt32BE(ttl, 4)
  head.writeUInt16BE(data.length, 8)
  return Buffer.concat([wireName(name), head, data])
}

function dataOf(r: DnsRecord): Buffer {
  switch (r.type) {
    case 'PTR':
    case 'NS':
      return wireName(r.target)
    case 'SRV': {
      const numbers = Buffer.alloc(6)
      for (const [i, n] of [r.priority, r.weight, r.port].entries()) numbers.writeUInt16BE(n, i * 2)
      return Buffer.concat([numbers, wireName(r.target)])
    }
    case 'TXT':
      return Buffer.concat(r.strings.flatMap(s => [Buffer.from([s.length]), Buffer.from(s, 'latin1')]))
    case 'A':
      return Buffer.from(r.address.split('.').map(Number))
    case 'AAAA':
      return ipv6(r.address)
    case 'DS': {
      const head = Buffer.alloc(4)
      head.writeUInt16BE(r.keyTag, 0)
      head.writeUInt8(r.algorithm, 2)
      head.writeUInt8(r.digestType, 3)
      return Buffer.concat([head, Buffer.from(r.digest, 'hex')])
    }
  }
}

/** Sixteen bytes; the text has been checked. */
function ipv6(text: string): Buffer {
  // The URL parser writes every form out as groups, an embedded IPv4 address too.
  const [left = '', right] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split('::')
  const groups = (s: string | undefined) => (s ? s.split(':') : [])
  const zeros = Array.from({ length: 8 - groups(left).length - groups(right).length }, () => '0')
  const all = right === undefined ? groups(left) : [...groups(left), ...zeros, ...groups(right)]
  const out = Buffer.alloc(16)
  for (const [i, g] of all.entries()) out.writeUInt16BE(Number.parseInt(g, 16), i * 2)
  return out
}
