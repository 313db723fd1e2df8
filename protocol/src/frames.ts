import { fnapError } from './errors.js'
import type { Gap, Position } from './events.js'
import { parseFrameJson } from './frame-json.js'
import { LIMITS } from './limits.js'

/**
 * A frame of FNAP's stream mode. D data, A acknowledgement (durable), W window (bytes more that may be sent), P where to
 * read from, H heartbeat with lag, G gap, X please stop, E end.
 */
export type Frame =
  | { readonly type: 'D'; readonly shard: string; readonly cursor: string; readonly batch: Uint8Array }
  | { readonly type: 'A'; readonly shard: string; readonly cursor: string }
  | { readonly type: 'W'; readonly bytes: number }
  | { readonly type: 'P'; readonly position: Position }
  | Heartbeat
  | { readonly type: 'G'; readonly gap: Gap }
  | { readonly type: 'X' }
  | End

/** Lag in events, and in milliseconds where it is known. */
export interface Heartbeat {
  readonly type: 'H'
  readonly epoch: string
  readonly lag: { readonly events: number; readonly ms?: number }
}
/** How the stream ended: code 220, or an error's. */
export interface End {
  readonly type: 'E'
  readonly code: number
  readonly symbol?: string
  readonly text: string
}

/** The length, of four bytes, and the type. */
const HEAD = 5

function head(type: Frame['type'], payload: number, room: number): Buffer {
  if (payload + 1 > LIMITS.frame) throw fnapError('TOOLONG', 'the frame is too long')
  const out = Buffer.allocUnsafe(HEAD + room)
  out.writeUInt32BE(payload + 1, 0)
  out[4] = type.charCodeAt(0)
  return out
}

function withPlace(type: 'D' | 'A', shard: string, cursor: string, batch: number): Buffer {
  const sizes = [Buffer.byteLength(shard), Buffer.byteLength(cursor)]
  if (Math.max(...sizes) > LIMITS.cursor) throw new RangeError('a shard and a cursor have at most 64 bytes')
  const room = sizes[0]! + sizes[1]! + 2
  const out = head(type, room + batch, room)
  let at = HEAD
  for (const text of [shard, cursor]) {
    out[at] = out.write(text, at + 1, 'utf8')
    at += 1 + out[at]!
  }
  return out
}

/**
 * What stands before the batch of a D frame: for who writes the batch behind it without copying it.
 * @param batchLength bytes of the batch that follows
 * @throws FnapError TOOLONG, RangeError for a shard or a cursor over 64 bytes
 */
export const encodeDataHead = (shard: string, cursor: string, batchLength: number): Buffer =>
  withPlace('D', shard, cursor, batchLength)

/**
 * A frame with its length before it.
 * @throws FnapError TOOLONG, RangeError for numbers out of range
 */
export function encodeFrame(frame: Frame): Buffer {
  switch (frame.type) {
    case 'D':
      return Buffer.concat([encodeDataHead(frame.shard, frame.cursor, frame.batch.length), frame.batch])
    case 'A':
      return withPlace('A', frame.shard, frame.cursor, 0)
    case 'W': {
      const out = head('W', 4, 4)
      out.writeUInt32BE(frame.bytes, HEAD)
      return out
    }
    case 'X':
      return head('X', 0, 0)
    case 'P':
      return withJson('P', frame.position)
    case 'G':
      return withJson('G', frame.gap)
    case 'H':
      return withJson('H', { epoch: frame.epoch, lag: frame.lag })
    case 'E':
      return withJson('E', { code: frame.code, symbol: frame.symbol, text: frame.text })
  }
}

function withJson(type: 'P' | 'G' | 'H' | 'E', value: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(value), 'utf8')
  if (json.length > LIMITS.jsonLine) throw fnapError('TOOLONG', 'the frame is too long')
  return Buffer.concat([head(type, json.length, 0), json])
}

const broken = () => fnapError('BADLINE', 'a frame is not what its type says')

/**
 * Cuts a stream of bytes into frames. The length is checked before the frame is waited for, and a frame that lies whole
 * in one chunk is not copied: D's batch is then a view into the chunk. After a fault every `next` throws it again.
 */
export class FrameReader {
  #chunks: Buffer[] = []
  #size = 0
  #need = 0
  #fault: unknown = null

  /** @param limit the longest frame in bytes, its length not counted */
  constructor(readonly limit: number = LIMITS.frame) {}

  /** Bytes that no frame has taken yet. */
  get buffered(): number {
    return this.#size
  }

  /** Takes a chunk. Call `next` until it gives null before the next chunk comes. */
  push(chunk: Buffer): void {
    if (this.#fault !== null || chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#size += chunk.length
  }

  /**
   * The next frame, or null until more bytes come.
   * @throws FnapError TOOLONG as soon as a length passes the limit, BADLINE for a frame that is not what its type says
   */
  next(): Frame | null {
    if (this.#fault !== null) throw this.#fault
    try {
      if (this.#need === 0) {
        if (this.#size < 4) return null
        this.#need = this.#length()
      }
      if (this.#size < this.#need) return null
      const bytes = this.#take(this.#need)
      this.#need = 0
      return readFrame(bytes.subarray(4))
    } catch (error) {
      this.#fault = error
      this.rest()
      throw error
    }
  }

  /** The bytes that no frame has taken, once: the reader is empty afterwards (lines begin again). */
  rest(): Buffer {
    const left = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    this.#chunks = []
    this.#size = 0
    this.#need = 0
    return left
  }

  #length(): number {
    if (this.#chunks[0]!.length < 4) this.#chunks = [Buffer.concat(this.#chunks)]
    const length = this.#chunks[0]!.readUInt32BE(0)
    if (length > this.limit) throw fnapError('TOOLONG', 'the frame is too long')
    if (length < 1) throw broken()
    return length + 4
  }

  #take(n: number): Buffer {
    const all = this.#chunks[0]!.length >= n ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    const left = all === this.#chunks[0] ? this.#chunks.slice(1) : []
    this.#chunks = all.length > n ? [all.subarray(n), ...left] : left
    this.#size -= n
    return all.subarray(0, n)
  }
}

function readFrame(bytes: Buffer): Frame {
  const type = String.fromCharCode(bytes[0]!)
  const payload = bytes.subarray(1)
  switch (type) {
    case 'D':
    case 'A': {
      const shard = readText(payload, 0)
      const cursor = readText(payload, shard.end)
      const place = { shard: shard.text, cursor: cursor.text }
      if (type === 'D') return { type, ...place, batch: payload.subarray(cursor.end) }
      if (cursor.end !== payload.length) throw broken()
      return { type, ...place }
    }
    case 'W':
      if (payload.length !== 4) throw broken()
      return { type, bytes: payload.readUInt32BE(0) }
    case 'X':
      if (payload.length !== 0) throw broken()
      return { type }
    case 'P':
    case 'G':
    case 'H':
    case 'E':
      return parseFrameJson(type, payload)
    default:
      throw broken()
  }
}

/** A shard or a cursor: its length in one byte, at most 64, and visible ASCII. */
function readText(payload: Buffer, at: number): { text: string; end: number } {
  const size = payload[at]
  if (size === undefined || size > LIMITS.cursor || at + 1 + size > payload.length) throw broken()
  const text = payload.toString('latin1', at + 1, at + 1 + size)
  if (!/^[\x21-\x7e]*$/.test(text)) throw broken()
  return { text, end: at + 1 + size }
}
