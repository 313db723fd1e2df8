import { asBuffer, type CodecImpl, notOf, tooMuch } from './codec.js'
import { native } from './native.js'

interface Snappy {
  compressSync(bytes: Uint8Array): Buffer
  uncompressSync(bytes: Uint8Array): Buffer
  uncompress(bytes: Uint8Array): Promise<Buffer>
}
const library = native<Snappy>('snappy', 'snappy')

/** What Java clients put before their blocks (xerial's snappy-java): a mark, its version, the oldest that can read it. */
const MARK = Buffer.from('82534e4150505900', 'hex')
const HEAD = MARK.length + 8
/** Bytes of one block, before compression, as Java clients cut them. */
const BLOCK = 32_768

/** Raw, as librdkafka and others write it, or in xerial's blocks, as Java does; written in blocks, which both read. */
export const snappy: CodecImpl = {
  compress(bytes) {
    const head = Buffer.alloc(HEAD)
    MARK.copy(head)
    head.writeInt32BE(1, MARK.length)
    head.writeInt32BE(1, MARK.length + 4)
    const pieces: Buffer[] = [head]
    for (let at = 0; at < bytes.length; at += BLOCK) {
      const block = library().compressSync(bytes.subarray(at, at + BLOCK))
      const length = Buffer.alloc(4)
      length.writeInt32BE(block.length)
      pieces.push(length, block)
    }
    return Buffer.concat(pieces)
  },
  expand(bytes, limit) {
    const blocks = bounded(asBuffer(bytes), limit)
    const { uncompressSync } = library()
    return joined(blocks.map(b => expanded(() => uncompressSync(b))))
  },
  async expandApart(bytes, limit) {
    const blocks = bounded(asBuffer(bytes), limit)
    const { uncompress } = library()
    const out: Buffer[] = []
    for (const b of blocks)
      out.push(
        await uncompress(b).catch((e: unknown) => {
          throw notOf('snappy', e)
        }),
      )
    return joined(out)
  },
}

/** The raw blocks. Each begins with the length that it expands to, which the library allocates and holds to: they are summed first. */
function bounded(bytes: Buffer, limit: number): Buffer[] {
  const blocks = blocksOf(bytes)
  let sum = 0
  for (const b of blocks) {
    sum += lengthOf(b)
    if (sum > limit) throw tooMuch()
  }
  return blocks
}

function blocksOf(bytes: Buffer): Buffer[] {
  if (!bytes.subarray(0, MARK.length).equals(MARK)) return [bytes]
  const blocks: Buffer[] = []
  let at = HEAD
  while (at < bytes.length) {
    const length = bytes.length - at < 4 ? -1 : bytes.readInt32BE(at)
    at += 4
    // No writer makes a block of nothing; a reader would be kept busy by many of them.
    if (length < 2 || length > bytes.length - at) throw notOf('snappy')
    blocks.push(bytes.subarray(at, at + length))
    at += length
  }
  return blocks
}

/** A base-128 number of at most 32 bits, the lowest seven first (snappy's format description, §1). */
function lengthOf(block: Buffer): number {
  let n = 0
  for (let i = 0; i < 5; i++) {
    const byte = block[i]
    if (byte === undefined) break
    n += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return n
  }
  throw notOf('snappy')
}

function expanded(work: () => Buffer): Buffer {
  try {
    return work()
  } catch (e) {
    throw notOf('snappy', e)
  }
}

const joined = (pieces: readonly Buffer[]): Buffer => (pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces))
