import { fnapError } from './errors.js'

// Zigzag varints, as the records of a batch have them: 32-bit for lengths and counts, 64-bit for time stamps.

/** Bytes that a number takes, up to 53 bits. */
export function varintSize(n: number): number {
  let rest = n >= 0 ? n * 2 : -n * 2 - 1
  let size = 1
  while (rest >= 128) {
    rest = Math.floor(rest / 128)
    size++
  }
  return size
}

/** Writes a number; gives the position behind it. */
export function writeVarint(bytes: Uint8Array, n: number, at: number): number {
  let rest = n >= 0 ? n * 2 : -n * 2 - 1
  while (rest >= 128) {
    bytes[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  bytes[at++] = rest
  return at
}

const truncated = () => fnapError('BADEVENT', 'a batch ends inside a record')

/** Reads through the records of a batch. Every read is checked against the end. */
export class VarintReader {
  at = 0
  constructor(readonly bytes: Uint8Array) {}

  /** A length or a count: 32 bits. */
  int(): number {
    const first = this.bytes[this.at]
    if (first === undefined) throw truncated()
    if (first < 0x80) {
      this.at++
      return (first >>> 1) ^ -(first & 1)
    }
    const n = this.long()
    if (n < -0x80000000 || n > 0x7fffffff) throw fnapError('BADEVENT', 'a number in a record is out of range')
    return n
  }

  /** A time stamp's difference: 64 bits, as near as 53 bits come to them. */
  long(): number {
    let n = 0
    let scale = 1
    const negative = ((this.bytes[this.at] ?? 0) & 1) === 1
    for (let size = 0; size < 10; size++) {
      const byte = this.bytes[this.at]
      if (byte === undefined) throw truncated()
      this.at++
      n += (byte & 0x7f) * scale
      if (byte < 0x80) return negative ? -(n + 1) / 2 : n / 2
      scale *= 128
    }
    throw fnapError('BADEVENT', 'a number in a record is out of range')
  }

  /** Steps over `n` bytes and gives where they began. */
  skip(n: number): number {
    const from = this.at
    if (n < 0 || n > this.bytes.length - from) throw truncated()
    this.at = from + n
    return from
  }
}
