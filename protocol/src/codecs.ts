import { gunzip, gunzipSync, gzipSync } from 'node:zlib'
import { fnapError, isFnapError } from './errors.js'
import type { Codec } from './events.js'

/** Compresses and expands the records of a batch. */
export interface CodecImpl {
  compress(bytes: Uint8Array): Buffer
  /** Never gives more than `limit` bytes: throws instead, before it has made them. */
  expand(bytes: Uint8Array, limit: number): Buffer
  /** The same on another thread, where there is such a way. */
  expandApart?(bytes: Uint8Array, limit: number): Promise<Buffer>
}

const tooMuch = () => fnapError('BADEVENT', 'the records of a batch expand to too many bytes')

const notGzip = (error: unknown) =>
  (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    ? tooMuch()
    : fnapError('BADEVENT', 'the records of a batch are not gzip', error)

const none: CodecImpl = {
  compress: bytes => asBuffer(bytes),
  expand(bytes, limit) {
    if (bytes.length > limit) throw tooMuch()
    return asBuffer(bytes)
  },
}

const gzip: CodecImpl = {
  compress: bytes => gzipSync(bytes),
  expand(bytes, limit) {
    try {
      return gunzipSync(bytes, { maxOutputLength: Math.max(1, limit) })
    } catch (error) {
      throw notGzip(error)
    }
  },
  expandApart: (bytes, limit) =>
    new Promise((resolve, reject) => {
      const options = { maxOutputLength: Math.max(1, limit) }
      gunzip(bytes, options, (error, expanded) => (error ? reject(notGzip(error)) : resolve(expanded)))
    }),
}

/**
 * The codecs that this process has: none and gzip of Node's own; snappy, lz4 and zstd are added by whoever brings them
 * (`codecs.set('lz4', …)`).
 */
export const codecs: Map<Codec, CodecImpl> = new Map([
  ['none', none],
  ['gzip', gzip],
])

/** The same bytes as a Buffer, without copying. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/**
 * A codec that is there.
 * @throws FnapError NOTSUPPORTED, for which `isCodecUnavailable` is true
 */
export function codecOf(codec: Codec): CodecImpl {
  const found = codecs.get(codec)
  if (!found) throw fnapError('NOTSUPPORTED', `the codec ${codec} is not available here`, { codecUnavailable: codec })
  return found
}

/** Did this fail because nobody registered the codec? Then the batch may still be passed on as it is. */
export const isCodecUnavailable = (error: unknown): boolean =>
  isFnapError(error) && (error.detail as { codecUnavailable?: Codec } | undefined)?.codecUnavailable !== undefined
