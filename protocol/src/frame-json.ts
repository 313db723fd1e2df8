import { isUtf8 } from 'node:buffer'
import { fnapError } from './errors.js'
import type { Gap, Position } from './events.js'
import type { End, Frame, Heartbeat } from './frames.js'
import { LIMITS } from './limits.js'

type Fields = Readonly<Record<string, unknown>>

const broken = (detail?: unknown) => fnapError('BADLINE', 'a frame is not what its type says', detail)
const isText = (value: unknown, max: number): value is string => typeof value === 'string' && value.length <= max
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const own = (fields: Fields, key: string): unknown => (Object.hasOwn(fields, key) ? fields[key] : undefined)

/** Shards of one position (a count). */
const MAX_SHARDS = 10_000

/**
 * The frames whose payload is JSON: P, G, H, E. Known fields are copied, others ignored.
 * @throws FnapError BADLINE
 */
export function parseFrameJson(type: 'P' | 'G' | 'H' | 'E', payload: Buffer): Frame {
  if (payload.length > LIMITS.jsonLine || !isUtf8(payload)) throw broken()
  let value: unknown
  try {
    value = JSON.parse(payload.toString('utf8'))
  } catch (error) {
    throw broken(error)
  }
  if (!isRecord(value)) throw broken()
  if (type === 'P') return { type, position: readPosition(value) }
  if (type === 'G') return { type, gap: readGap(value) }
  return type === 'H' ? readHeartbeat(value) : readEnd(value)
}

function readPosition(fields: Fields): Position {
  const epoch = own(fields, 'epoch')
  const shards = own(fields, 'shards')
  if (!isText(epoch, 128) || !isRecord(shards)) throw broken()
  const entries = Object.entries(shards)
  if (entries.length > MAX_SHARDS) throw broken()
  const cursors: Record<string, string> = Object.create(null)
  for (const [shard, cursor] of entries) {
    if (!isText(shard, LIMITS.cursor) || !isText(cursor, LIMITS.cursor)) throw broken()
    cursors[shard] = cursor
  }
  return { epoch, shards: cursors }
}

const REASONS: readonly string[] = ['retention', 'epoch', 'truncated']

function readGap(fields: Fields): Gap {
  const [shard, from, to, reason] = ['shard', 'from', 'to', 'reason'].map(key => own(fields, key))
  if (!isText(shard, LIMITS.cursor) || !isText(from, LIMITS.cursor) || !isText(to, LIMITS.cursor)) throw broken()
  if (!isText(reason, 32) || !REASONS.includes(reason)) throw broken()
  return { shard, from, to, reason: reason as Gap['reason'] }
}

function readHeartbeat(fields: Fields): Heartbeat {
  const epoch = own(fields, 'epoch')
  const lag = own(fields, 'lag')
  if (!isText(epoch, 128) || !isRecord(lag)) throw broken()
  const events = own(lag, 'events')
  const ms = own(lag, 'ms')
  if (!isCount(events) || !(ms === undefined || ms === null || isCount(ms))) throw broken()
  return { type: 'H', epoch, lag: isCount(ms) ? { events, ms } : { events } }
}

function readEnd(fields: Fields): End {
  const code = own(fields, 'code')
  const symbol = own(fields, 'symbol')
  const text = own(fields, 'text')
  if (!isCount(code) || code < 100 || code > 599) throw broken()
  if (!isText(text ?? '', LIMITS.line) || !(symbol === undefined || symbol === null || isText(symbol, 32)))
    throw broken()
  return { type: 'E', code, ...(symbol ? { symbol } : {}), text: (text as string | undefined) ?? '' }
}
