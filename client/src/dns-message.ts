import { checkRecord, type DnsRecord, isOwner } from '@fnaa/protocol'
import packet, { type Answer as WireAnswer } from 'dns-packet'
import { ClientError } from './errors.js'

/** What can be asked: the types of records that the project knows, and SOA, which shows where a zone begins. */
export type QuestionType = DnsRecord['type'] | 'SOA'

export interface Question {
  /** Canonical: lower case, no final dot. */
  readonly name: string
  readonly type: QuestionType
}
export interface SoaRecord {
  readonly name: string
  readonly ttl: number
  readonly type: 'SOA'
  /** Seconds that a negative answer lives (RFC 2308 §4). */
  readonly minimum: number
}
export type AnyRecord = DnsRecord | SoaRecord

/** A response that belongs to the question, reduced to what is safe to use. */
export interface Response {
  /** Response code with its extended bits: 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED. */
  readonly rcode: number
  readonly truncated: boolean
  /** The AD bit, as the server sent it. */
  readonly authentic: boolean
  readonly answers: readonly AnyRecord[]
  readonly aliases: ReadonlyMap<string, { readonly target: string; readonly ttl: number }>
  /** Seconds that an absence may be remembered; null without SOA. */
  readonly negativeTtl: number | null
  /** Info codes of Extended DNS Errors (RFC 8914). */
  readonly extended: readonly number[]
}

const EDNS_SIZE = 1232
const MAX_TTL = 604_800
const EXTENDED_ERROR = 15
const MAX_RECORDS = 512

/**
 * A question with RD and AD set, EDNS with a payload that passes every path, and DO (RFC 6891, 6840 §5.7).
 * @throws FNA_ERR_INVALID for a name with anything but labels of a-z 0-9 `_` and hyphens: the encoder checks nothing
 */
export function encodeQuestion(id: number, q: Question): Buffer {
  if (!isOwner(q.name)) throw new ClientError('FNA_ERR_INVALID', 'a name in DNS is labels of a-z 0-9 _ and hyphens')
  return packet.encode({
    type: 'query',
    id,
    flags: packet.RECURSION_DESIRED | packet.AUTHENTIC_DATA,
    questions: [{ type: q.type, name: q.name, class: 'IN' }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: EDNS_SIZE,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: packet.DNSSEC_OK,
        flag_do: true,
        options: [],
      },
    ],
  })
}

/** Reads a response; null where it is none, or not the one to this id and question (a forger's, or a late one). */
export function decodeResponse(bytes: Buffer, id: number, q: Question): Response | null {
  let p: ReturnType<typeof packet.decode>
  try {
    p = packet.decode(bytes)
  } catch {
    return null
  }
  const asked = p.questions
  if (p.type !== 'response' || p.id !== id || ((p.flags ?? 0) >> 11) & 15) return null
  if (asked?.length !== 1 || asked[0]?.type !== q.type || (asked[0].class ?? 'IN') !== 'IN') return null
  if (fold(asked[0].name) !== q.name) return null
  const opt = p.additionals?.find(a => a.type === 'OPT')
  const extendedRcode = opt?.type === 'OPT' ? opt.extendedRcode : 0
  return {
    rcode: ((p.flags ?? 0) & 15) | (extendedRcode << 4),
    truncated: p.flag_tc,
    authentic: p.flag_ad,
    ...collect(p.answers ?? [], q.type),
    negativeTtl: negativeTtl(p.authorities ?? []),
    extended: opt?.type === 'OPT' ? extendedErrors(opt.options) : [],
  }
}

function collect(wire: readonly WireAnswer[], type: QuestionType): Pick<Response, 'answers' | 'aliases'> {
  const answers: AnyRecord[] = []
  const aliases = new Map<string, { target: string; ttl: number }>()
  for (const a of wire.slice(0, MAX_RECORDS)) {
    if (a.type === 'OPT' || (a.class ?? 'IN') !== 'IN' || !isOwner(fold(a.name))) continue
    if (a.type === 'CNAME') {
      const target = fold(a.data)
      if (isOwner(target) && !aliases.has(fold(a.name))) aliases.set(fold(a.name), { target, ttl: ttlOf(a) })
    } else if (a.type === type) {
      const record = toRecord(a)
      if (record) answers.push(record)
    }
  }
  return { answers, aliases }
}

/** A record that passes the strict checks, or null: an answer with bad labels or bytes is as good as none. */
function toRecord(a: Exclude<WireAnswer, { type: 'OPT' }>): AnyRecord | null {
  const base = { name: fold(a.name), ttl: ttlOf(a) }
  try {
    switch (a.type) {
      case 'SOA':
        return { ...base, type: 'SOA', minimum: Math.min(a.data.minimum ?? 0, MAX_TTL) }
      case 'A':
      case 'AAAA':
        return checkRecord({ ...base, type: a.type, address: a.data })
      case 'PTR':
      case 'NS':
        return checkRecord({ ...base, type: a.type, target: fold(a.data) })
      case 'SRV': {
        const { priority = 0, weight = 0, port } = a.data
        return checkRecord({ ...base, type: 'SRV', priority, weight, port, target: fold(a.data.target) })
      }
      case 'DS':
        return checkRecord({ ...base, type: 'DS', ...a.data, digest: a.data.digest.toString('hex') })
      case 'TXT':
        return textRecord(base, a.data as readonly Buffer[])
      default:
        return null
    }
  } catch {
    return null
  }
}

/** Foreign TXT may say anything printable (the check for our own records is stricter). */
function textRecord(base: { name: string; ttl: number }, data: readonly Buffer[]): AnyRecord | null {
  const strings = data.map(bytes => bytes.toString('latin1'))
  return strings.length > 0 && strings.every(s => /^[\x20-\x7e]*$/.test(s)) ? { ...base, type: 'TXT', strings } : null
}

function negativeTtl(authorities: readonly WireAnswer[]): number | null {
  for (const a of authorities) if (a.type === 'SOA') return Math.min(ttlOf(a), a.data.minimum ?? 0, MAX_TTL)
  return null
}

function extendedErrors(options: readonly { code: number | string; data?: Buffer | undefined }[]): number[] {
  return options.flatMap(o =>
    Number(o.code) === EXTENDED_ERROR && o.data && o.data.length >= 2 ? [o.data.readUInt16BE(0)] : [],
  )
}

const ttlOf = (a: { ttl?: number | undefined }): number => Math.min(Math.max(a.ttl ?? 0, 0), MAX_TTL)

/** Lower case without the final dot; ASCII only, so that no other alphabet folds into ours. */
const fold = (name: string): string => name.replace(/[A-Z]/g, ch => ch.toLowerCase()).replace(/\.$/, '')
