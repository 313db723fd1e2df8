import { encodeBatch } from './batch-encode.js'
import { AT as BATCH_AT } from './batch-header.js'
import { asBuffer } from './codecs.js'
import type { Batch } from './events.js'

/** The header that says so; its value is the subscription's id. */
const HEADER = 'fnap-marker'
const NEEDLE = Buffer.from(HEADER)
/** Bytes: a marker is shorter, whatever a broker compresses it with. */
const MOST = 1024

/**
 * The one batch that stands in a copy before its feed: who reads it knows that the way is open (docs/fnap.md, 12.2).
 * @param now milliseconds since 1970
 */
export function markerBatch(id: string, now: number): Buffer {
  const value = Buffer.from(id)
  return encodeBatch([{ key: null, value, headers: [[HEADER, value]], timestamp: now }])
}

/** Is it the marker of this subscription? Costs a look at the header for nearly every other batch. */
export function isMarker(b: Batch, id: string): boolean {
  if (b.count !== 1) return false
  const { raw } = b
  if (raw && (raw.bytes.length > MOST || (raw.codec === 'none' && !holds(raw.bytes)))) return false
  try {
    const [event] = b.events({ bytes: MOST })
    return event?.headers.some(([name, value]) => name === HEADER && Buffer.from(value).toString() === id) ?? false
  } catch {
    // What cannot be opened here is for the sink to judge.
    return false
  }
}

/** Might this be somebody's marker? It is not put together with other batches then: whoever looks for it has to find it alone. */
export const mayBeMarker = (bytes: Uint8Array): boolean =>
  bytes.length <= MOST && asBuffer(bytes).readInt32BE(BATCH_AT.count) === 1 && holds(bytes)

const holds = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(NEEDLE)
