import { KafkaError } from './errors.js'

const GROW = 256
/** Elements of all lists of one answer: some 20,000 partitions with all that is told of them. */
const MOST_ELEMENTS = 300_000

/**
 * Writes Kafka's primitive types (big-endian). `flexible` versions of a request use compact lengths and end each structure with
 * tagged fields (KIP-482), of which none is ever written.
 */
export class Writer {
  #bytes = Buffer.allocUnsafe(GROW)
  #at = 0
  /** Record sets, which are written beside and never copied: where they stand, and what. */
  readonly #beside: { at: number; bytes: Uint8Array }[] = []
  #extra = 0

  constructor(readonly flexible = false) {}

  /** Bytes so far, those beside included. */
  get length(): number {
    return this.#at + this.#extra
  }

  int8(n: number): this {
    this.#room(1)
    this.#at = this.#bytes.writeInt8(n, this.#at)
    return this
  }
  int16(n: number): this {
    this.#room(2)
    this.#at = this.#bytes.writeInt16BE(n, this.#at)
    return this
  }
  int32(n: number): this {
    this.#room(4)
    this.#at = this.#bytes.writeInt32BE(n, this.#at)
    return this
  }
  int64(n: bigint): this {
    this.#room(8)
    this.#at = this.#bytes.writeBigInt64BE(n, this.#at)
    return this
  }
  float64(n: number): this {
    this.#room(8)
    this.#at = this.#bytes.writeDoubleBE(n, this.#at)
    return this
  }
  boolean(b: boolean): this {
    return this.int8(b ? 1 : 0)
  }
  uvarint(n: number): this {
    this.#room(5)
    let rest = n
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#bytes[this.#at++] = rest
    return this
  }
  /** 16 bytes as they are. */
  uuid(bytes: Uint8Array): this {
    return this.#raw(bytes)
  }
  string(s: string | null): this {
    if (s === null) return this.flexible ? this.uvarint(0) : this.int16(-1)
    const bytes = Buffer.from(s, 'utf8')
    if (this.flexible) this.uvarint(bytes.length + 1)
    else this.int16(bytes.length)
    return this.#raw(bytes)
  }
  bytes(b: Uint8Array | null): this {
    if (b === null) return this.flexible ? this.uvarint(0) : this.int32(-1)
    if (this.flexible) this.uvarint(b.length + 1)
    else this.int32(b.length)
    return this.#raw(b)
  }
  /** A record set in pieces: its length is written here, the pieces go out from where they are. */
  records(pieces: readonly Uint8Array[]): this {
    const length = pieces.reduce((n, p) => n + p.length, 0)
    if (this.flexible) this.uvarint(length + 1)
    else this.int32(length)
    for (const bytes of pieces) this.#beside.push({ at: this.#at, bytes })
    this.#extra += length
    return this
  }
  array<T>(items: readonly T[] | null, each: (item: T) => void): this {
    if (items === null) return this.flexible ? this.uvarint(0) : this.int32(-1)
    if (this.flexible) this.uvarint(items.length + 1)
    else this.int32(items.length)
    for (const item of items) each(item)
    return this
  }
  /** The end of a structure. */
  end(): this {
    return this.flexible ? this.uvarint(0) : this
  }

  /** The pieces in order, for one gathered write. */
  pieces(): Uint8Array[] {
    const out: Uint8Array[] = []
    let from = 0
    for (const { at, bytes } of this.#beside) {
      if (at > from) out.push(this.#bytes.subarray(from, at))
      out.push(bytes)
      from = at
    }
    if (this.#at > from) out.push(this.#bytes.subarray(from, this.#at))
    return out
  }

  #raw(bytes: Uint8Array): this {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
    return this
  }

  #room(n: number): void {
    if (this.#at + n <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + n))
    this.#bytes.copy(grown, 0, 0, this.#at)
    this.#bytes = grown
  }
}

/** Reads them. What a broker sends is not trusted: every length is checked against what is there. */
export class Reader {
  #at = 0
  #elements = 0
  flexible = false

  constructor(readonly buffer: Buffer) {}

  get left(): number {
    return this.buffer.length - this.#at
  }

  int8(): number {
    return this.buffer.readInt8(this.#step(1))
  }
  int16(): number {
    return this.buffer.readInt16BE(this.#step(2))
  }
  int32(): number {
    return this.buffer.readInt32BE(this.#step(4))
  }
  int64(): bigint {
    return this.buffer.readBigInt64BE(this.#step(8))
  }
  /** A 64-bit number that fits into 53 bits. @throws KafkaError */
  long(): number {
    const n = Number(this.int64())
    if (!Number.isSafeInteger(n)) throw broken('a number is out of range')
    return n
  }
  boolean(): boolean {
    return this.int8() !== 0
  }
  uvarint(): number {
    let n = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer[this.#step(1)]!
      n += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return n
    }
    throw broken('a number is too long')
  }
  uuid(): Buffer {
    return this.#take(16)
  }
  string(): string | null {
    const n = this.flexible ? this.uvarint() - 1 : this.int16()
    return n < 0 ? null : this.#take(n).toString('utf8')
  }
  bytes(): Buffer | null {
    const n = this.flexible ? this.uvarint() - 1 : this.int32()
    return n < 0 ? null : this.#take(n)
  }
  array<T>(each: () => T): T[] {
    const n = this.flexible ? this.uvarint() - 1 : this.int32()
    // Every element has a byte at least: a count that cannot be is refused before memory is asked for.
    if (n > this.left) throw broken('a list counts more than there is')
    // A few bytes become an object of a hundred.
    this.#elements += Math.max(0, n)
    if (this.#elements > MOST_ELEMENTS) throw broken('its lists are longer than any cluster needs')
    const out: T[] = []
    for (let i = 0; i < n; i++) out.push(each())
    return out
  }
  /** The end of the answer. @throws KafkaError where something stands behind it */
  over(): void {
    if (this.left > 0) throw broken('something stands behind it')
  }
  /** The end of a structure: tagged fields of versions to come are passed over. */
  end(): void {
    if (!this.flexible) return
    for (let n = this.uvarint(); n > 0; n--) {
      this.uvarint()
      this.#take(this.uvarint())
    }
  }

  #take(n: number): Buffer {
    const at = this.#step(n)
    return this.buffer.subarray(at, at + n)
  }

  #step(n: number): number {
    const at = this.#at
    if (at + n > this.buffer.length) throw broken('it ends too early')
    this.#at = at + n
    return at
  }
}

const broken = (why: string) => new KafkaError('INVALID_RESPONSE', `the answer of a broker cannot be read: ${why}`)
