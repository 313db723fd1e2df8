import * as zlib from 'node:zlib'
import { asBuffer, type CodecImpl, notOf, tooMuch } from './codec.js'

const refused = (codec: string, error: unknown) =>
  (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? tooMuch() : notOf(codec, error)

export const none: CodecImpl = {
  compress: bytes => asBuffer(bytes),
  expand(bytes, limit) {
    if (bytes.length > limit) throw tooMuch()
    return asBuffer(bytes)
  },
}

type Options = { readonly maxOutputLength: number }
interface Zlib {
  compress(bytes: Uint8Array): Buffer
  expand(bytes: Uint8Array, opt: Options): Buffer
  apart(bytes: Uint8Array, opt: Options, done: (error: Error | null, expanded: Buffer) => void): void
}

/** A codec of Node's own: it stops by itself where `limit` is passed. */
const ofZlib = (name: string, z: Zlib): CodecImpl => ({
  compress: bytes => z.compress(bytes),
  expand(bytes, limit) {
    try {
      return z.expand(bytes, { maxOutputLength: Math.max(1, limit) })
    } catch (error) {
      throw refused(name, error)
    }
  },
  expandApart: (bytes, limit) =>
    new Promise((resolve, reject) => {
      z.apart(bytes, { maxOutputLength: Math.max(1, limit) }, (error, expanded) =>
        error ? reject(refused(name, error)) : resolve(expanded),
      )
    }),
})

export const gzip = ofZlib('gzip', { compress: zlib.gzipSync, expand: zlib.gunzipSync, apart: zlib.gunzip })

interface Zstd {
  readonly zstdCompressSync?: Zlib['compress']
  readonly zstdDecompressSync?: Zlib['expand']
  readonly zstdDecompress?: Zlib['apart']
}
const { zstdCompressSync, zstdDecompressSync, zstdDecompress } = zlib as Zstd

/** Null on a Node before 22.15 (23.8): it has none. */
export const zstd: CodecImpl | null =
  zstdCompressSync && zstdDecompressSync && zstdDecompress
    ? ofZlib('zstd', { compress: zstdCompressSync, expand: zstdDecompressSync, apart: zstdDecompress })
    : null
