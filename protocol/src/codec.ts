import { fnapError } from './errors.js'

/** Compresses and expands the records of a batch. */
export interface CodecImpl {
  compress(bytes: Uint8Array): Buffer
  /** Never gives more than `limit` bytes: throws instead, before it has made them. */
  expand(bytes: Uint8Array, limit: number): Buffer
  /** The same on another thread, where there is such a way. */
  expandApart?(bytes: Uint8Array, limit: number): Promise<Buffer>
}

export const tooMuch = () => fnapError('BADEVENT', 'the records of a batch expand to too many bytes')
export const notOf = (codec: string, cause?: unknown) =>
  fnapError('BADEVENT', `the records of a batch are not ${codec}`, cause)
/** Its batches may still be passed on as they are: see `isCodecUnavailable`. */
export const notHere = (codec: string, why: string) =>
  fnapError('NOTSUPPORTED', `the codec ${codec} is not available here: ${why}`, { codecUnavailable: codec })

/** The same bytes as a Buffer, without copying. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
