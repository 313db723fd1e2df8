import { LIMITS, type Position } from '@fnaa/protocol'

/** What is stored of a reader's place. */
export interface PositionRecord extends Position {
  /** When it was last read from or moved (milliseconds since 1970): a cursor that nobody uses is forgotten. */
  readonly used?: number
}

export const encodeRecord = (r: PositionRecord): Buffer => Buffer.from(JSON.stringify(r))

/** @returns null where the bytes are no record: nothing that is stored is believed unseen */
export function decodeRecord(bytes: Uint8Array): PositionRecord | null {
  let r: Partial<PositionRecord> | null
  try {
    r = JSON.parse(Buffer.from(bytes).toString()) as Partial<PositionRecord> | null
  } catch {
    return null
  }
  if (typeof r?.epoch !== 'string' || typeof r.shards !== 'object' || r.shards === null || Array.isArray(r.shards))
    return null
  const places = Object.entries(r.shards)
  if (!places.every(([shard, at]) => isCursor(shard) && isCursor(at))) return null
  const used = typeof r.used === 'number' && Number.isFinite(r.used) ? { used: r.used } : {}
  return { epoch: r.epoch, shards: Object.fromEntries(places) as Record<string, string>, ...used }
}

const isCursor = (x: unknown): boolean => typeof x === 'string' && x !== '' && Buffer.byteLength(x) <= LIMITS.cursor
