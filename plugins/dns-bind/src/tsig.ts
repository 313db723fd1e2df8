import { createHmac, timingSafeEqual } from 'node:crypto'
import { canonical, wireName } from './names.js'

/** HMAC with SHA-2 of 256 bits and above (RFC 8945 §6); the older ones are not for new keys. */
export const ALGORITHMS = ['hmac-sha256', 'hmac-sha384', 'hmac-sha512'] as const
export type TsigAlgorithm = (typeof ALGORITHMS)[number]

export interface TsigKey {
  /** Canonical: lower case, without the final dot. */
  readonly name: string
  readonly algorithm: TsigAlgorithm
  readonly secret: Buffer
}

const TSIG = 250
const ANY = 255
/** Seconds that the two clocks may differ (RFC 8945 §10 proposes 300): a message is worth replaying for no longer. */
export const FUDGE = 60
/** Seconds that a server may claim for its answer. */
const LONGEST_FUDGE = 300

/** RFC 8945 §3 and RFC 2845: error codes inside the TSIG record. */
export const TSIG_ERRORS: Readonly<Record<number, string>> = {
  16: 'BADSIG',
  17: 'BADKEY',
  18: 'BADTIME',
  22: 'BADTRUNC',
}

export interface Signed {
  readonly message: Buffer
  /** Of the request: an answer's MAC covers it, so an answer to something else does not verify. */
  readonly mac: Buffer
}

/**
 * Signs a message (RFC 8945 §5.1): the TSIG record is put behind everything else.
 * @param now seconds since 1970
 */
export function sign(message: Buffer, key: TsigKey, now: number): Signed {
  const variables = {
    name: key.name,
    algorithm: key.algorithm,
    time: now,
    fudge: FUDGE,
    error: 0,
    other: Buffer.alloc(0),
  }
  const mac = createHmac(hashOf(key), key.secret).update(message).update(digested(variables)).digest()
  const record = recordOf(variables, mac, message.readUInt16BE(0))
  const out = Buffer.concat([message, record])
  out.writeUInt16BE(message.readUInt16BE(10) + 1, 10)
  return { message: out, mac }
}

export type Verified =
  /** Whoever sent it has the key, it answers this request, and it is fresh. */
  | {
      readonly ok: true
      readonly message: Buffer /** Seconds since 1970 by the server's clock. */
      readonly time: number
    }
  /** The server says by TSIG that it takes our signature for wrong. Not proved: it is a reason to fail, never to go on. */
  | { readonly ok: false; readonly refused: string; readonly serverTime?: number }
  /** It proves nothing: forged, cut, of another request, or unsigned. */
  | { readonly ok: false; readonly refused?: undefined; readonly why: string }

/**
 * Checks an answer (RFC 8945 §5.3): the record's place, key and algorithm, the MAC over the request's and the answer, the time.
 * @param now seconds since 1970
 */
export function verify(answer: Buffer, key: TsigKey, requestMac: Buffer, now: number): Verified {
  const found = last(answer)
  if (typeof found === 'string') return { ok: false, why: found }
  const { start, variables: v, mac, originalId } = found
  if (v.name !== key.name || v.algorithm !== key.algorithm) return { ok: false, why: 'it is signed with another key' }
  if (mac.length === 0) {
    const refused = TSIG_ERRORS[v.error]
    return refused ? { ok: false, refused } : { ok: false, why: 'its signature is empty' }
  }
  const message = Buffer.from(answer.subarray(0, start))
  message.writeUInt16BE(message.readUInt16BE(10) - 1, 10)
  message.writeUInt16BE(originalId, 0)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(requestMac.length)
  const hmac = createHmac(hashOf(key), key.secret).update(length).update(requestMac).update(message)
  const wanted = hmac.update(digested(v)).digest()
  // A truncated MAC is allowed by the RFC and by no policy of ours.
  if (mac.length !== wanted.length || !timingSafeEqual(mac, wanted)) return { ok: false, why: 'its signature is wrong' }
  if (v.error === 18 && v.other.length === 6)
    return { ok: false, refused: 'BADTIME', serverTime: v.other.readUIntBE(0, 6) }
  if (v.error !== 0) return { ok: false, refused: TSIG_ERRORS[v.error] ?? `TSIG error ${v.error}` }
  if (Math.abs(now - v.time) > Math.min(v.fudge, LONGEST_FUDGE))
    return { ok: false, why: 'it was signed at another time' }
  return { ok: true, message, time: v.time }
}

interface Variables {
  readonly name: string
  readonly algorithm: string
  /** Seconds since 1970. */
  readonly time: number
  readonly fudge: number
  readonly error: number
  readonly other: Buffer
}

const hashOf = (key: TsigKey): string => key.algorithm.slice('hmac-'.length)

/** RFC 8945 §4.3.3: what the MAC covers of the record itself. */
function digested(v: Variables): Buffer {
  const head = Buffer.alloc(6)
  head.writeUInt16BE(ANY, 0)
  return Buffer.concat([wireName(v.name), head, wireName(v.algorithm), timed(v), errors(v)])
}

function timed(v: Variables): Buffer {
  const out = Buffer.alloc(8)
  out.writeUIntBE(v.time, 0, 6)
  out.writeUInt16BE(v.fudge, 6)
  return out
}

function errors(v: Variables): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt16BE(v.error, 0)
  out.writeUInt16BE(v.other.length, 2)
  return Buffer.concat([out, v.other])
}

function recordOf(v: Variables, mac: Buffer, originalId: number): Buffer {
  const size = Buffer.alloc(2)
  size.writeUInt16BE(mac.length)
  const id = Buffer.alloc(2)
  id.writeUInt16BE(originalId)
  const data = Buffer.concat([wireName(v.algorithm), timed(v), size, mac, id, errors(v)])
  const head = Buffer.alloc(10)
  head.writeUInt16BE(TSIG, 0)
  head.writeUInt16BE(ANY, 2)
  head.writeUInt16BE(data.length, 8)
  return Buffer.concat([wireName(v.name), head, data])
}

interface Found {
  /** Where the record begins. */
  readonly start: number
  readonly variables: Variables
  readonly mac: Buffer
  readonly originalId: number
}

/** The TSIG record, which is the last of the message and the only one; else why not. */
function last(m: Buffer): Found | string {
  try {
    return new Cursor(m).tsig() ?? 'it is not signed'
  } catch (e) {
    if (e instanceof RangeError) return 'it is malformed'
    throw e
  }
}

/** Walks over a message, reading nothing but what TSIG needs. */
class Cursor {
  readonly #m: Buffer
  #at = 12

  constructor(m: Buffer) {
    this.#m = m
  }

  tsig(): Found | null {
    const m = this.#m
    const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map(at => m.readUInt16BE(at)) as [
      number,
      number,
      number,
      number,
    ]
    for (let n = questions; n > 0; n--) {
      this.#skipName()
      this.#at += 4
    }
    const records = answers + authorities + additionals
    if (additionals === 0) return null
    for (let n = records; n > 1; n--) if (this.#record() === TSIG) throw new RangeError('TSIG stands in the middle')
    const start = this.#at
    const name = this.#plainName()
    const at = this.#at
    if (m.readUInt16BE(at) !== TSIG) return null
    if (m.readUInt16BE(at + 2) !== ANY || m.readUInt32BE(at + 4) !== 0) throw new RangeError('no TSIG record')
    const end = at + 10 + m.readUInt16BE(at + 8)
    if (end !== m.length) throw new RangeError('something stands behind TSIG')
    this.#at = at + 10
    const algorithm = this.#plainName()
    const time = m.readUIntBE(this.#at, 6)
    const fudge = m.readUInt16BE(this.#at + 6)
    const size = m.readUInt16BE(this.#at + 8)
    const mac = this.#bytes(this.#at + 10, size)
    const tail = this.#at + 10 + size
    const otherLength = m.readUInt16BE(tail + 4)
    const other = this.#bytes(tail + 6, otherLength)
    if (tail + 6 + otherLength !== end) throw new RangeError('the data of TSIG has another length')
    const variables = { name, algorithm, time, fudge, error: m.readUInt16BE(tail + 2), other }
    return { start, variables, mac, originalId: m.readUInt16BE(tail) }
  }

  #bytes(from: number, length: number): Buffer {
    if (from + length > this.#m.length) throw new RangeError('cut off')
    return this.#m.subarray(from, from + length)
  }

  /** @returns the record's type */
  #record(): number {
    this.#skipName()
    const type = this.#m.readUInt16BE(this.#at)
    this.#at += 10 + this.#m.readUInt16BE(this.#at + 8)
    if (this.#at > this.#m.length) throw new RangeError('cut off')
    return type
  }

  #skipName(): void {
    for (;;) {
      const size = this.#m.readUInt8(this.#at)
      if (size >= 0xc0) {
        this.#at += 2
        return
      }
      if (size > 63) throw new RangeError('a label is too long')
      this.#at += size + 1
      if (size === 0) return
    }
  }

  /** Names of TSIG are never compressed (RFC 8945 §4.2). */
  #plainName(): string {
    const labels: string[] = []
    for (;;) {
      const size = this.#m.readUInt8(this.#at)
      if (size > 63) throw new RangeError('a label is too long, or compressed')
      const label = this.#bytes(this.#at + 1, size).toString('latin1')
      this.#at += size + 1
      if (size === 0) return canonical(labels.join('.'))
      if (!/^[\w-]+$/.test(label) || labels.length > 127) throw new RangeError('no name of a key')
      labels.push(label)
    }
  }
}
