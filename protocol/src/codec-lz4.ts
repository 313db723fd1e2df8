import { asBuffer, type CodecImpl, notOf } from './codec.js'
import { lz4Size } from './lz4-frame.js'
import { native } from './native.js'

interface Lz4 {
  compressFrameSync(bytes: Uint8Array): Buffer
  decompressFrameSync(bytes: Uint8Array): Buffer
  decompressFrame(bytes: Uint8Array): Promise<Buffer>
}
const library = native<Lz4>('lz4', 'lz4-napi')

/** The LZ4 frame format, as every client of Kafka's writes it since magic 2. The library knows no bound: it is kept before. */
export const lz4: CodecImpl = {
  compress: bytes => library().compressFrameSync(asBuffer(bytes)),
  expand(bytes, limit) {
    const frame = asBuffer(bytes)
    const size = lz4Size(frame, limit)
    const { decompressFrameSync } = library()
    try {
      return whole(decompressFrameSync(frame), size)
    } catch (e) {
      throw notOf('lz4', e)
    }
  },
  async expandApart(bytes, limit) {
    const frame = asBuffer(bytes)
    const size = lz4Size(frame, limit)
    const { decompressFrame } = library()
    try {
      return whole(await decompressFrame(frame), size)
    } catch (e) {
      throw notOf('lz4', e)
    }
  },
}

function whole(expanded: Buffer, size: number): Buffer {
  if (expanded.length !== size) throw new RangeError('a frame expands to another size than it shows')
  return expanded
}
