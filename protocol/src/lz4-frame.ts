import { notOf, tooMuch } from './codec.js'

const MAGIC = 0x184d2204
const VERSION = 0x40
/** Flags of a frame's descriptor. */
const HAS = {
  version: 0xc0,
  blockChecksum: 0x10,
  size: 0x08,
  checksum: 0x04,
  reserved: 0x02,
  dictionary: 0x01,
} as const
/** The largest block, by the descriptor's code, in bytes. */
const BLOCK: Readonly<Record<number, number>> = { 4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20 }
const STORED = 0x80000000
const SHORTEST_MATCH = 4

/**
 * What an LZ4 frame expands to, in bytes, found by stepping over its blocks without making anything of them (LZ4 Frame Format
 * 1.6.x and Block Format, github.com/lz4/lz4/doc). Nothing may stand behind the frame.
 * @throws FnapError BADEVENT where it is none, or passes `limit`
 */
export function lz4Size(bytes: Buffer, limit: number): number {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== MAGIC) throw notOf('lz4')
  const flags = bytes[4]!
  const most = BLOCK[(bytes[5]! >> 4) & 7]
  const known = (flags & HAS.version) === VERSION && (flags & (HAS.reserved | HAS.dictionary)) === 0
  if (!known || most === undefined) throw notOf('lz4')
  let at = 7 + (flags & HAS.size ? 8 : 0)
  const behindBlock = flags & HAS.blockChecksum ? 4 : 0
  let sum = 0
  for (;;) {
    if (at + 4 > bytes.length) throw notOf('lz4')
    const word = bytes.readUInt32LE(at)
    at += 4
    if (word === 0) break
    const length = word % STORED
    if (length === 0 || length > most || at + length > bytes.length) throw notOf('lz4')
    const size = word >= STORED ? length : blockSize(bytes, at, at + length)
    if (size > most) throw notOf('lz4')
    sum += size
    if (sum > limit) throw tooMuch()
    at += length + behindBlock
  }
  if (at + (flags & HAS.checksum ? 4 : 0) !== bytes.length) throw notOf('lz4')
  // What the frame itself says of its size is allocated by some: it may not lie.
  if (flags & HAS.size && bytes.readBigUInt64LE(6) !== BigInt(sum)) throw notOf('lz4')
  return sum
}

/** A block is sequences of literals and of a match; the last has literals only. Only their lengths matter here. */
function blockSize(bytes: Buffer, start: number, end: number): number {
  let at = start
  let size = 0
  while (at < end) {
    const token = bytes[at++]!
    let literals = token >> 4
    if (literals === 15) {
      let more = 255
      while (more === 255 && at < end) {
        more = bytes[at++]!
        literals += more
      }
    }
    at += literals
    size += literals
    if (at === end) return size
    // Two bytes say how far back the match is.
    at += 2
    let match = token & 15
    if (match === 15) {
      let more = 255
      while (more === 255 && at < end) {
        more = bytes[at++]!
        match += more
      }
    }
    size += match + SHORTEST_MATCH
  }
  throw notOf('lz4')
}
