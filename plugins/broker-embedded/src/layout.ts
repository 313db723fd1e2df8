import { randomBytes } from 'node:crypto'

/**
 * What a log's key says of its batch beside the offset: when it was appended (milliseconds since 1970), how many bytes
 * were ever appended to the shard with it, and the newest time stamp up to and with it. It stands in the key, behind what
 * orders it, so that the value is the producer's bytes and nothing has to be copied before it is written.
 */
export interface Note {
  readonly appended: number
  readonly total: number
  readonly newest: number
}

const ORDER = 14
const KEY = ORDER + 24

/**
 * The beginning of a batch's key: number of the queue, shard, offset of its first event, big end first. One table holds
 * all logs, because LMDB wants the number of its tables fixed at opening; the keys keep each log together and in order.
 */
export function logKey(queue: number, shard: number, offset: number, size = ORDER): Buffer {
  const key = Buffer.allocUnsafe(size)
  key.writeUInt32BE(queue, 0)
  key.writeUInt16BE(shard, 4)
  key.writeUInt32BE(Math.floor(offset / 2 ** 32), 6)
  key.writeUInt32BE(offset % 2 ** 32, 10)
  return key
}

/** The whole key of a batch. */
export function notedKey(queue: number, shard: number, offset: number, note: Note): Buffer {
  const key = logKey(queue, shard, offset, KEY)
  key.writeDoubleBE(note.appended, ORDER)
  key.writeDoubleBE(note.total, ORDER + 8)
  key.writeDoubleBE(note.newest, ORDER + 16)
  return key
}

export function noteOf(key: Buffer): Note {
  return {
    appended: key.readDoubleBE(ORDER),
    total: key.readDoubleBE(ORDER + 8),
    newest: key.readDoubleBE(ORDER + 16),
  }
}

export const offsetOf = (key: Buffer): number => key.readUInt32BE(6) * 2 ** 32 + key.readUInt32BE(10)

/** True where `key` is that of a batch of this log. */
export function inLog(key: Buffer, queue: number, shard: number): boolean {
  return key.length === KEY && key.readUInt32BE(0) === queue && key.readUInt16BE(4) === shard
}

export function shardKey(queue: number, shard: number): Buffer {
  return logKey(queue, shard, 0).subarray(0, 6)
}

/** The range of everything of a queue in a table whose keys begin with its number. */
export function queueRange(queue: number): { start: Buffer; end: Buffer } {
  const start = Buffer.alloc(4)
  start.writeUInt32BE(queue)
  const end = Buffer.alloc(4)
  end.writeUInt32BE(queue + 1)
  return { start, end }
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** 26 characters of base32 (130 random bits): the epoch of a queue. */
export function uid(): string {
  return Array.from(randomBytes(26), b => BASE32[b & 31]).join('')
}
