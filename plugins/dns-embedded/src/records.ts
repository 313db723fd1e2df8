import type { DnsRecord } from '@fnaa/protocol'
import type { Answer } from 'dns-packet'

/** Numbers of the types that this server knows (RFC 1035, 2782, 3596, 4034). */
export const TYPE = {
  A: 1,
  NS: 2,
  SOA: 6,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DS: 43,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const

/** Seconds that an absence is remembered (RFC 2308): short, so that a new flow is found soon after it was asked for in vain. */
export const NEGATIVE_TTL = 30
const ZONE_TTL = 300

export interface Zone {
  readonly name: string
  /** The address of the server. */
  readonly address: string
  readonly serial: number
}

export const nameserverOf = (zone: string): string => `ns.${zone}`

/** A record as the encoder takes it. A set answers with one TTL, its lowest (RFC 2181 §5.2). */
export function toWire(record: DnsRecord, ttl: number): Answer {
  const base = { name: record.name, ttl, class: 'IN' as const }
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return { ...base, type: record.type, data: record.address }
    case 'PTR':
    case 'NS':
      return { ...base, type: record.type, data: record.target }
    case 'TXT':
      // The encoder turns these strings into buffers in place.
      return { ...base, type: 'TXT', data: [...record.strings] }
    case 'SRV': {
      const { priority, weight, port, target } = record
      return { ...base, type: 'SRV', data: { priority, weight, port, target } }
    }
    case 'DS': {
      const { keyTag, algorithm, digestType, digest } = record
      return { ...base, type: 'DS', data: { keyTag, algorithm, digestType, digest: Buffer.from(digest, 'hex') } }
    }
  }
}

/** The records of one type, ready to be sent. */
export function rrset(records: readonly DnsRecord[], type: number): Answer[] {
  const set = records.filter(r => TYPE[r.type] === type)
  const ttl = Math.min(...set.map(r => r.ttl))
  return set.map(r => toWire(r, ttl))
}

/** SOA of a zone. `ttl` is that of a negative answer where it stands in one (RFC 2308 §3). */
export function soa(zone: Zone, ttl = ZONE_TTL): Answer {
  return {
    name: zone.name,
    type: 'SOA',
    class: 'IN',
    ttl,
    data: {
      mname: nameserverOf(zone.name),
      rname: `hostmaster.${zone.name}`,
      serial: zone.serial,
      refresh: 3600,
      retry: 600,
      expire: 604_800,
      minimum: NEGATIVE_TTL,
    },
  }
}

/** Records that a zone has without anybody writing them: NS at its apex, the addresses of the server and of the apex. */
export function builtIn(zone: Zone, name: string, written: readonly DnsRecord[]): DnsRecord[] {
  const ttl = ZONE_TTL
  const address: DnsRecord = { name, ttl, type: zone.address.includes(':') ? 'AAAA' : 'A', address: zone.address }
  if (name === nameserverOf(zone.name)) return [address]
  if (name !== zone.name) return []
  const ns: DnsRecord = { name, ttl, type: 'NS', target: nameserverOf(zone.name) }
  return written.some(r => r.type === 'A' || r.type === 'AAAA') ? [ns] : [ns, address]
}

/** What ANY gets (RFC 8482 §4.2). */
export const anyAnswer = (name: string): Answer => ({
  name,
  type: 'HINFO',
  class: 'IN',
  ttl: ZONE_TTL,
  data: { cpu: 'RFC8482', os: '' },
})
