import packet, { type Answer } from 'dns-packet'

/** A question as it stood on the wire. Labels may hold any byte: only those of a-z 0-9 `_` `-` can be names of ours. */
export interface Query {
  readonly id: number
  readonly recursionDesired: boolean
  /** Lower case, from the first to the top; latin1. */
  readonly labels: readonly string[]
  readonly type: number
  readonly class: number
  /** The question's bytes, to be sent back untouched: case and all. */
  readonly raw: Buffer
  readonly edns: null | { readonly size: number; readonly version: number; readonly dnssecOk: boolean }
}

export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const

export interface Response {
  readonly rcode: number
  readonly authoritative: boolean
  readonly truncated?: boolean
  readonly answers: readonly Answer[]
  readonly authorities: readonly Answer[]
  readonly additionals: readonly Answer[]
}

export const empty = (rcode: number, authoritative = false): Response => ({
  rcode,
  authoritative,
  answers: [],
  authorities: [],
  additionals: [],
})

/** The largest UDP payload that passes every path (DNS flag day 2020). */
export const EDNS_SIZE = 1232
const PLAIN_SIZE = 512

/**
 * Reads a question. `null`: not worth an answer (too short, or itself a response). A number: the response code that it
 * gets instead.
 */
export function readQuery(bytes: Buffer): Query | { readonly id: number; readonly rcode: number } | null {
  if (bytes.length < 12) return null
  const flags = bytes.readUInt16BE(2)
  if (flags & 0x8000) return null
  const id = bytes.readUInt16BE(0)
  if ((flags >> 11) & 15) return { id, rcode: RCODE.NOTIMP }
  if (bytes.readUInt16BE(4) !== 1 || bytes.readUInt16BE(6) !== 0) return { id, rcode: RCODE.FORMERR }
  const question = readQuestion(bytes)
  if (!question) return { id, rcode: RCODE.FORMERR }
  const edns = readEdns(bytes)
  if (edns === undefined) return { id, rcode: RCODE.FORMERR }
  return { id, recursionDesired: (flags & 0x0100) !== 0, ...question, edns }
}

/** A name without pointers (there is nothing before it to point to), type and class. */
function readQuestion(bytes: Buffer): Pick<Query, 'labels' | 'type' | 'class' | 'raw'> | null {
  const labels: string[] = []
  let at = 12
  for (;;) {
    const length = bytes[at]
    if (length === undefined || length > 63) return null
    at += 1
    if (length === 0) break
    if (at + length > bytes.length || at + length - 12 > 254) return null
    labels.push(bytes.toString('latin1', at, at + length).replace(/[A-Z]/g, ch => ch.toLowerCase()))
    at += length
  }
  if (at + 4 > bytes.length) return null
  return { labels, type: bytes.readUInt16BE(at), class: bytes.readUInt16BE(at + 2), raw: bytes.subarray(12, at + 4) }
}

/** The OPT record (RFC 6891); null for none, undefined for a message that cannot be read or holds two. */
function readEdns(bytes: Buffer): Query['edns'] | undefined {
  if (bytes.readUInt16BE(8) === 0 && bytes.readUInt16BE(10) === 0) return null
  let additionals: readonly Answer[]
  try {
    additionals = packet.decode(bytes).additionals ?? []
  } catch {
    return undefined
  }
  const opts = additionals.filter(a => a.type === 'OPT')
  const opt = opts[0]
  if (opts.length > 1) return undefined
  if (opt?.type !== 'OPT') return null
  return { size: opt.udpPayloadSize, version: opt.ednsVersion, dnssecOk: opt.flag_do }
}

/** How large a response to this question may be over UDP. */
export function udpSize(q: Query): number {
  return q.edns ? Math.min(Math.max(q.edns.size, PLAIN_SIZE), EDNS_SIZE) : PLAIN_SIZE
}

/**
 * The response's bytes. Over `limit` the additional records are left out; if that is not enough, all records are, and
 * the TC bit says so.
 */
export function encodeResponse(q: Query, r: Response, limit = 65_535): Buffer {
  const whole = encode(q, r)
  if (whole.length <= limit) return whole
  const shorter = encode(q, { ...r, additionals: [] })
  return shorter.length <= limit ? shorter : encode(q, { ...empty(r.rcode, r.authoritative), truncated: true })
}

function encode(q: Query, r: Response): Buffer {
  const opt: Answer[] = q.edns ? [optRecord(q.edns.dnssecOk, r.rcode >> 4)] : []
  const body = packet.encode({
    type: 'response',
    id: q.id,
    flags:
      (r.authoritative ? packet.AUTHORITATIVE_ANSWER : 0) |
      (r.truncated ? packet.TRUNCATED_RESPONSE : 0) |
      (q.recursionDesired ? packet.RECURSION_DESIRED : 0) |
      (r.rcode & 15),
    answers: [...r.answers],
    authorities: [...r.authorities],
    additionals: [...r.additionals, ...opt],
  })
  // The question goes back byte for byte. The encoder writes no pointers, so nothing behind it moves out of place.
  const out = Buffer.concat([body.subarray(0, 12), q.raw, body.subarray(12)])
  out.writeUInt16BE(1, 4)
  return out
}

/** A header alone: for questions that could not be read. */
export function encodeRefusal(id: number, rcode: number): Buffer {
  return packet.encode({ type: 'response', id, flags: rcode & 15 })
}

function optRecord(dnssecOk: boolean, extendedRcode: number): Answer {
  const flags = dnssecOk ? packet.DNSSEC_OK : 0
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: EDNS_SIZE,
    extendedRcode,
    ednsVersion: 0,
    flags,
    flag_do: dnssecOk,
    options: [],
  }
}
