import { checkRecord, type DnsRecord } from '@fnaa/protocol'
import packet from 'dns-packet'
import { DnsReader, DnsWorkError, type RawMessage, type RawRecord } from './dns-reader.js'
import { DNSKEY, RRSIG, readKey, type ZoneKey } from './dnskey.js'
import { ClientError } from './errors.js'

/** What can be asked: the types of records that the project knows; SOA shows where a zone begins, DNSKEY what signs it. */
export type QuestionType = DnsRecord['type'] | 'SOA' | 'DNSKEY'

export interface Question {
  /** Canonical: lower case, no final dot. */
  readonly name: string
  readonly type: QuestionType
  /** Sets CD (RFC 4035 §3.2.2): whatever the answer is, it has not been validated and proves nothing. */
  readonly unchecked?: true
}
export interface SoaRecord {
  readonly name: string
  readonly ttl: number
  readonly type: 'SOA'
  /** Seconds that a negative answer lives (RFC 2308 §4). */
  readonly minimum: number
}
export interface DnskeyRecord extends ZoneKey {
  readonly name: string
  readonly ttl: number
  readonly type: 'DNSKEY'
}
export type AnyRecord = DnsRecord | SoaRecord | DnskeyRecord
/** When a signature holds, in seconds since 1970 (RFC 4034 §3.1.5). */
export interface Signature {
  readonly name: string
  /** The number of the type that is signed. */
  readonly covers: number
  readonly begins: number
  readonly expires: number
  readonly signer: string
}

/** A response that belongs to the question, reduced to what is safe to use. */
export interface Response {
  /** Response code with its extended bits: 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED. */
  readonly rcode: number
  readonly truncated: boolean
  /** The AA bit: the server speaks for the zone. */
  readonly authoritative: boolean
  /** The AD bit, as the server sent it. */
  readonly authentic: boolean
  readonly answers: readonly AnyRecord[]
  /** Owners with a record of the asked type that breaks a rule and is none of `answers`: not the same as its absence. */
  readonly unreadable: readonly string[]
  readonly aliases: ReadonlyMap<string, { readonly target: string; readonly ttl: number }>
  /** Where the server says that others answer: the delegated zone, its NS and the addresses beside them. */
  readonly referral: { readonly zone: string; readonly records: readonly AnyRecord[] } | null
  /** Seconds that an absence may be remembered; null without SOA. */
  readonly negativeTtl: number | null
  /** The zone that says that there is nothing: whose SOA stands beside an absence. */
  readonly deniedBy: string | null
  /** Signatures of the answer, or of its absence. */
  readonly signatures: readonly Signature[]
  /** Info codes of Extended DNS Errors (RFC 8914). */
  readonly extended: readonly number[]
}

const TYPES: Readonly<Record<QuestionType, number>> = {
  A: 1,
  NS: 2,
  SOA: 6,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DS: 43,
  DNSKEY,
}
const CNAME = 5
const OPT = 41
const IN = 1
const EDNS_SIZE = 1232
const MAX_TTL = 604_800
const EXTENDED_ERROR = 15

/**
 * A question with RD and AD set, EDNS with a payload that passes every path, and DO (RFC 6891, 6840 §5.7).
 * @throws FNA_ERR_INVALID for a name with anything but labels of a-z 0-9 `_` and hyphens: the encoder checks nothing. The root is ''
 */
export function encodeQuestion(id: number, q: Question): Buffer {
  if (!isAskable(q.name)) throw new ClientError('FNA_ERR_INVALID', 'a name in DNS is labels of a-z 0-9 _ and hyphens')
  const flags = packet.DNSSEC_OK
  const opt = { extendedRcode: 0, ednsVersion: 0, flags, flag_do: true, options: [] }
  return packet.encode({
    type: 'query',
    id,
    flags: packet.RECURSION_DESIRED | packet.AUTHENTIC_DATA | (q.unchecked ? packet.CHECKING_DISABLED : 0),
    questions: [{ type: q.type, name: q.name === '' ? '.' : q.name, class: 'IN' }],
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize: EDNS_SIZE, ...opt }],
  })
}

/** Others' names may be odder than those that we write: an alias leads to `a_b.example`. The encoder must be able to take them. */
const isAskable = (name: string): boolean =>
  name === '' || (name.length <= 253 && name.split('.').every(label => /^[a-z0-9_-]{1,63}$/.test(label)))

/** Reads a response; null where it is none, or not the one to this id and question (a forger's, or a late one). */
export function decodeResponse(bytes: Buffer, id: number, q: Question): Response | null {
  const reader = new DnsReader(bytes)
  try {
    // A forger's is not worth reading: the id is at its beginning.
    if (bytes.readUInt16BE(0) !== id) return null
    const m = reader.message()
    return belongs(m, q) ? new ResponseReader(bytes, reader).read(m, q.type) : null
  } catch (e) {
    if (e instanceof RangeError) return null
    throw e
  }
}

function belongs(m: RawMessage, q: Question): boolean {
  const [asked, more] = m.questions
  const isResponse = (m.flags & 0x8000) !== 0 && ((m.flags >> 11) & 15) === 0
  const same = asked?.name === q.name && asked.type === TYPES[q.type] && asked.class === IN
  return isResponse && same && more === undefined
}

const clamp = (ttl: number): number => Math.min(ttl, MAX_TTL)

class ResponseReader {
  readonly #bytes: Buffer
  readonly #reader: DnsReader

  constructor(bytes: Buffer, reader: DnsReader) {
    this.#bytes = bytes
    this.#reader = reader
  }

  read(m: RawMessage, type: QuestionType): Response {
    const opt = m.additionals.find(r => r.type === OPT)
    const answers: AnyRecord[] = []
    const unreadable: string[] = []
    const aliases = new Map<string, { target: string; ttl: number }>()
    for (const raw of m.answers) {
      if (raw.name === null || raw.class !== IN) continue
      if (raw.type === CNAME) {
        const target = this.#reader.name(raw.start).name
        // The root is no alias.
        if (raw.name && target && !aliases.has(raw.name)) aliases.set(raw.name, { target, ttl: clamp(raw.ttl) })
      } else if (raw.type === TYPES[type]) {
        const record = this.#record(raw, raw.name, type)
        if (record) answers.push(record)
        else unreadable.push(raw.name)
      }
    }
    return {
      // The upper bits of the code are the first byte of OPT's TTL field.
      rcode: (m.flags & 15) | (opt ? (opt.ttl >>> 24) << 4 : 0),
      truncated: (m.flags & 0x0200) !== 0,
      authoritative: (m.flags & 0x0400) !== 0,
      authentic: (m.flags & 0x0020) !== 0,
      answers,
      unreadable,
      aliases,
      referral: this.#referral(m),
      negativeTtl: this.#negativeTtl(m),
      deniedBy: m.authorities.find(r => r.type === TYPES.SOA && r.class === IN)?.name ?? null,
      signatures: [...m.answers, ...m.authorities].flatMap(r => this.#signature(r)),
      extended: opt ? this.#extendedErrors(opt) : [],
    }
  }

  /** A record that passes the strict checks, or null: an answer with bad labels or bytes is as good as none. */
  #record(raw: RawRecord, name: string, type: QuestionType): AnyRecord | null {
    const base = { name, ttl: clamp(raw.ttl) }
    try {
      switch (type) {
        case 'SOA':
          return { ...base, type, minimum: this.#minimum(raw) }
        case 'DNSKEY':
          return { ...base, type, ...readKey(this.#data(raw)) }
        case 'A':
          return checkRecord({ ...base, type, address: [...this.#data(raw, 4)].join('.') })
        case 'AAAA':
          return checkRecord({ ...base, type, address: ipv6(this.#data(raw, 16)) })
        case 'PTR':
        case 'NS':
          return checkRecord({ ...base, type, target: this.#target(raw.start) })
        case 'SRV': {
          const [priority, weight, port] = [0, 2, 4].map(i => this.#bytes.readUInt16BE(raw.start + i)) as [
            number,
            number,
            number,
          ]
          return checkRecord({ ...base, type, priority, weight, port, target: this.#target(raw.start + 6) })
        }
        case 'DS': {
          const d = this.#data(raw)
          const digest = d.toString('hex', 4)
          return checkRecord({
            ...base,
            type,
            keyTag: d.readUInt16BE(0),
            algorithm: d.readUInt8(2),
            digestType: d.readUInt8(3),
            digest,
          })
        }
        case 'TXT':
          return { ...base, type, strings: this.#strings(raw) }
      }
    } catch (e) {
      if (e instanceof DnsWorkError) throw e
      return null
    }
  }

  #data(raw: RawRecord, length = raw.end - raw.start): Buffer {
    if (raw.end - raw.start !== length) throw new RangeError('the data has another length')
    return this.#bytes.subarray(raw.start, raw.end)
  }

  #target(at: number): string {
    return this.#reader.name(at).name ?? ''
  }

  /** Foreign TXT may say anything printable (the check for our own records is stricter). */
  #strings(raw: RawRecord): string[] {
    const strings: string[] = []
    for (let at = raw.start; at < raw.end; ) {
      const end = at + 1 + this.#bytes.readUInt8(at)
      const text = this.#bytes.toString('latin1', at + 1, end)
      if (end > raw.end || !/^[\x20-\x7e]*$/.test(text)) throw new RangeError('a string is cut off or not printable')
      strings.push(text)
      at = end
    }
    return strings
  }

  /** The last of the numbers behind SOA's two names. */
  #minimum(raw: RawRecord): number {
    const at = this.#reader.name(this.#reader.name(raw.start).next).next + 16
    if (at + 4 !== raw.end) throw new RangeError('SOA has another length')
    return clamp(this.#bytes.readUInt32BE(at))
  }

  #signature(raw: RawRecord): Signature[] {
    if (raw.type !== RRSIG || raw.class !== IN || raw.name === null || raw.end - raw.start < 19) return []
    const [expires, begins] = [8, 12].map(i => this.#bytes.readUInt32BE(raw.start + i)) as [number, number]
    const signer = this.#target(raw.start + 18)
    return [{ name: raw.name, covers: this.#bytes.readUInt16BE(raw.start), begins, expires, signer }]
  }

  #referral(m: RawMessage): Response['referral'] {
    const away = m.authorities.filter(r => r.type === TYPES.NS && r.class === IN && r.name !== null)
    const zone = away[0]?.name
    if (m.answers.length > 0 || (m.flags & 0x0400) !== 0 || !zone) return null
    const glue = m.additionals.filter(r => (r.type === TYPES.A || r.type === TYPES.AAAA) && r.class === IN)
    const records = [...away, ...glue].flatMap(r => {
      const type = r.type === TYPES.NS ? 'NS' : r.type === TYPES.A ? 'A' : 'AAAA'
      const record = r.name === null ? null : this.#record(r, r.name, type)
      return record ? [record] : []
    })
    return { zone, records }
  }

  #negativeTtl(m: RawMessage): number | null {
    const soa = m.authorities.find(r => r.type === TYPES.SOA && r.class === IN)
    return soa ? Math.min(clamp(soa.ttl), this.#minimum(soa)) : null
  }

  #extendedErrors(opt: RawRecord): number[] {
    const codes: number[] = []
    for (let at = opt.start; at + 4 <= opt.end; at += 4 + this.#bytes.readUInt16BE(at + 2)) {
      const long = this.#bytes.readUInt16BE(at + 2) >= 2 && at + 6 <= opt.end
      if (this.#bytes.readUInt16BE(at) === EXTENDED_ERROR && long) codes.push(this.#bytes.readUInt16BE(at + 4))
    }
    return codes
  }
}

/** Sixteen bytes as text, in the canonical form of RFC 5952. */
function ipv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':')
  return new URL(`http://[${groups}]/`).hostname.slice(1, -1)
}
