import type { Codec } from './events.js'
/** Compresses and expands the records of a batch. `expand` never gives more than `limit` bytes: it throws. */
export interface CodecImpl {
  compress(bytes: Uint8Array): Buffer
  expand(bytes: Uint8Array, limit: number): Buffer
}
export const codecs: Map<Codec, CodecImpl> = new Map()
