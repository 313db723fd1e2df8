import { isAscii, isUtf8 } from 'node:buffer'
import { type FnapError, fnapError } from './errors.js'
import { LIMITS } from './limits.js'

const CR = 13
const LF = 10
const EMPTY = Buffer.alloc(0)

/**
 * Cuts a stream of bytes into lines that end in CRLF, and in nothing else: a bare CR, a bare LF or a NUL is the end of
 * the stream (request smuggling). Bytes that are not UTF-8 come out as lone surrogates U+DC80 to U+DCFF, so that the
 * parser refuses the line and nobody mistakes it for text.
 *
 * Lines are handed out in order up to the fault; from there every `next` throws the same error.
 */
export class LineReader {
  /** The longest line in bytes, its CRLF included. Change it between lines, as the exchange needs. */
  limit: number
  #chunk: Buffer = EMPTY
  #start = 0
  /** The chunk as text, where it is all ASCII: searching a string stays in compiled code, searching a Buffer leaves it. */
  #text: string | null = null
  #tail: Buffer[] = []
  #held = 0
  #fault: FnapError | null = null

  constructor(limit: number = LIMITS.line) {
    this.limit = limit
  }

  /** Bytes that no line has taken yet. */
  get buffered(): number {
    return this.#held + this.#chunk.length - this.#start
  }

  /** Takes a chunk. Call `next` until it gives null before the next chunk comes, so that little is held. */
  push(chunk: Buffer): void {
    if (this.#fault || chunk.length === 0) return
    if (this.#start < this.#chunk.length) chunk = Buffer.concat([this.#chunk.subarray(this.#start), chunk])
    this.#chunk = chunk
    this.#start = 0
    // Looked at once for the whole chunk: most hold neither NUL nor anything beyond ASCII.
    this.#text = isPlain(chunk) ? latin1(chunk, 0, chunk.length) : null
  }

  /**
   * The next line without its CRLF, or null until more bytes come.
   * @throws FnapError BADLINE (bare CR, bare LF, NUL), LINETOOLONG as soon as the limit is passed
   */
  next(): string | null {
    if (this.#fault) throw this.#fault
    const chunk = this.#chunk
    const start = this.#start
    if (start === chunk.length) return null
    const text = this.#text
    const end = text === null ? chunk.indexOf(LF, start) : text.indexOf('\n', start)
    if (end < 0) return this.#keep()
    const size = this.#held + end + 1 - start
    // The CR may be the last byte of the tail, when the chunk began with the LF.
    const before = end > start ? chunk[end - 1] : this.#lastHeld()
    if (size > this.limit || before !== CR) throw this.#fail(this.#firstFault(end + 1))
    this.#start = end + 1
    if (this.#held > 0) return this.#join(chunk.subarray(start, end + 1))
    if (text !== null) {
      if (text.indexOf('\r', start) !== end - 1) throw this.#fail('BADLINE')
      // A slice of 13 or more would keep the whole chunk's text alive for as long as anyone keeps the line.
      return size < 15 ? text.slice(start, end - 1) : latin1(chunk, start, end - 1)
    }
    return this.#decode(chunk.subarray(start, end - 1))
  }

  /** The bytes that no line has taken, once: the reader is empty afterwards (frames begin, or TLS). */
  rest(): Buffer {
    const left = Buffer.concat([...this.#tail, this.#chunk.subarray(this.#start)])
    this.#tail = []
    this.#held = 0
    this.#chunk = EMPTY
    this.#text = null
    this.#start = 0
    return left
  }

  /** No end of line in the chunk: checks what is there, and keeps it. */
  #keep(): null {
    const part = this.#chunk.subarray(this.#start)
    const size = this.#held + part.length
    const cr = part.indexOf(CR)
    // A CR at the very end waits for its LF.
    const bare = this.#lastHeld() === CR || (cr >= 0 && cr < part.length - 1) || part.indexOf(0) >= 0
    if (bare || size > this.limit - (cr >= 0 ? 1 : 2)) throw this.#fail(this.#firstFault(this.#chunk.length))
    // A copy: the chunk may be a large one of which only these bytes are still needed.
    this.#tail.push(part.length * 2 < part.buffer.byteLength ? Buffer.from(part) : part)
    this.#held = size
    this.#chunk = EMPTY
    this.#text = null
    this.#start = 0
    return null
  }

  #join(end: Buffer): string {
    const line = Buffer.concat([...this.#tail, end])
    this.#tail = []
    this.#held = 0
    return this.#decode(line.subarray(0, -2))
  }

  #decode(line: Buffer): string {
    if (line.indexOf(0) >= 0 || line.indexOf(CR) >= 0) throw this.#fail('BADLINE')
    return isUtf8(line) ? line.toString('utf8') : escapeBytes(line)
  }

  #lastHeld(): number | undefined {
    const last = this.#tail[this.#tail.length - 1]
    return last?.[last.length - 1]
  }

  /** The first fault, byte by byte, so that it does not depend on how the bytes were cut into chunks. */
  #firstFault(end: number): 'BADLINE' | 'LINETOOLONG' {
    let before = this.#lastHeld()
    for (let i = this.#start; i < end; i++) {
      const byte = this.#chunk[i]!
      if (byte === 0 || (byte === LF) !== (before === CR)) return 'BADLINE'
      // A CR may be the last but one of the line, anything else the third from the end.
      if (byte !== LF && this.#held + i + 1 - this.#start > this.limit - (byte === CR ? 1 : 2)) return 'LINETOOLONG'
      before = byte
    }
    return 'BADLINE'
  }

  #fail(symbol: 'BADLINE' | 'LINETOOLONG'): FnapError {
    this.#fault = fnapError(symbol)
    this.rest()
    return this.#fault
  }
}

/** Bytes up to which a loop here is done before a call into Node has begun. */
const SHORT = 48

/** Nothing beyond ASCII, and no NUL. */
function isPlain(chunk: Buffer): boolean {
  if (chunk.length > SHORT) return isAscii(chunk) && chunk.indexOf(0) < 0
  for (let i = 0; i < chunk.length; i++) {
    const byte = chunk[i]!
    if (byte === 0 || byte > 0x7f) return false
  }
  return true
}

type Slice = (this: Buffer, start: number, end: number) => string
const slice = (Buffer.prototype as unknown as { latin1Slice?: Slice }).latin1Slice

/** Node's own slice where it has one: a tenth of a line's whole cost less than `toString` with its checks. */
function latin1(chunk: Buffer, start: number, end: number): string {
  return slice ? slice.call(chunk, start, end) : chunk.toString('latin1', start, end)
}

/** Valid UTF-8 as text, every other byte as the lone surrogate U+DC00 + byte. */
function escapeBytes(bytes: Buffer): string {
  let text = ''
  let from = 0
  for (let i = 0; i < bytes.length; ) {
    const size = sequenceAt(bytes, i)
    if (size > 0) {
      i += size
      continue
    }
    text += bytes.toString('utf8', from, i) + String.fromCharCode(0xdc00 + bytes[i]!)
    from = ++i
  }
  return text + bytes.toString('utf8', from, bytes.length)
}

/** The length of the valid UTF-8 sequence at `i`, or 0. */
function sequenceAt(bytes: Buffer, i: number): number {
  const first = bytes[i]!
  const size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
  return size > 0 && i + size <= bytes.length && isUtf8(bytes.subarray(i, i + size)) ? size : 0
}

const LONE = /[\ud800-\udfff]/u

/** Was the line valid UTF-8 on the wire? */
export const isWellFormed = (line: string): boolean => !LONE.test(line)
