import type { Disk, Put, Table } from '@fnaa/lib-lmdb'
import { decodeBatch, LIMITS, readBatchHeader, rebaseInPlace } from '@fnaa/protocol'
import type { Parcel } from './incoming.js'
import { inLog, logKey, notedKey, noteOf, offsetOf, shardKey } from './layout.js'

/** Where a shard is. Offsets count events; `end` is that of the next one. */
interface State {
  readonly start: number
  readonly end: number
  /** Bytes that were ever appended, and those of them that are gone. */
  readonly total: number
  readonly gone: number
  /** The newest time stamp so far. */
  readonly newest: number
  /** `total` at the last entry of the time index. */
  readonly indexed: number
}

/** A batch as it is stored. */
export interface Stored {
  readonly base: number
  readonly count: number
  /** When it was appended, milliseconds since 1970. */
  readonly appended: number
  readonly bytes: Buffer
}

/** An entry in the time index every so many bytes: what a search by time looks through at most. */
const INDEX_EVERY = 1 << 20
const TRIM_BATCHES = 256
const TRIM_BYTES = 16 << 20
const EMPTY: State = { start: 0, end: 0, total: 0, gone: 0, newest: -1, indexed: 0 }

/** One ordered log. Writes are steps of the disk's jobs; reads see only what is on disk. */
export class Shard {
  private state: State
  private draft: State
  private group = -1
  private readonly log: Table
  private readonly times: Table
  private readonly states: Table

  constructor(
    disk: Disk,
    private readonly queue: number,
    readonly number: number,
  ) {
    this.log = disk.table('log')
    this.times = disk.table('times')
    this.states = disk.table('shards')
    this.state = this.load()
    this.draft = this.state
  }

  get name(): string {
    return String(this.number)
  }
  get start(): number {
    return this.state.start
  }
  get end(): number {
    return this.state.end
  }
  get bytes(): number {
    return this.state.total - this.state.gone
  }

  /**
   * Inside a job: writes a batch at the end of the log.
   * @param now milliseconds since 1970
   * @returns what `publish` takes when the commit is done
   */
  append(put: Put, group: number, batch: Omit<Parcel, 'shard'>, now: number): State {
    const s = this.current(group)
    const { length } = batch.bytes
    const indexed = s.total - s.indexed >= INDEX_EVERY || s.end === s.start
    // What the index says of an offset is the newest time stamp before it: that only ever rises, so it can be searched.
    if (indexed) put(this.times, this.key(s.end), Buffer.from(String(s.newest)))
    const next: State = {
      start: s.start,
      end: s.end + batch.count,
      total: s.total + length,
      gone: s.gone,
      newest: Math.max(s.newest, batch.newest),
      indexed: indexed ? s.total : s.indexed,
    }
    const note = { appended: now, total: next.total, newest: next.newest }
    put(this.log, notedKey(this.queue, this.number, s.end, note), batch.bytes)
    this.draft = next
    return next
  }

  /**
   * Inside a job: removes batches from the start of the log as long as `old` says so, a bounded number of them.
   * `old` is given when the batch was appended and how many bytes the shard holds with it.
   * @returns undefined where nothing was to be removed; else what `publish` takes
   */
  trim(put: Put, group: number, old: (appended: number, bytes: number) => boolean): State | undefined {
    const s = this.current(group)
    let { start, gone } = s
    let n = 0
    for (const { key, value } of this.log.getRange({ start: this.key(s.start), end: this.key(s.end) })) {
      if (n === TRIM_BATCHES || gone - s.gone > TRIM_BYTES) break
      const b = parse(key, value)
      if (!old(b.appended, s.total - gone)) break
      put(this.log, Buffer.from(key), null)
      start = b.base + b.count
      gone += value.length
      n++
    }
    if (n === 0) return undefined
    for (const key of this.times.getKeys({ start: this.key(s.start), end: this.key(start) }))
      put(this.times, Buffer.from(key), null)
    this.draft = { ...s, start, gone }
    put(this.states, shardKey(this.queue, this.number), Buffer.from(JSON.stringify(this.draft)))
    return this.draft
  }

  /** The commit is on disk. */
  publish(state: State): void {
    this.state = state
  }

  /** Batches from the one that holds `offset` on: at least one, where there is any, and no more than about `bytes`. */
  page(offset: number, bytes: number): Stored[] {
    const page: Stored[] = []
    if (offset >= this.end) return page
    let size = 0
    for (const { key, value } of this.log.getRange({ start: this.key(this.locate(offset)), end: this.key(this.end) })) {
      page.push(parse(key, value))
      size += value.length
      if (size >= bytes) break
    }
    return page
  }

  /** When the batch that holds `offset` was appended; undefined at the end. */
  appendedAt(offset: number): number | undefined {
    return this.page(Math.max(offset, this.start), 1)[0]?.appended
  }

  /** Offset of the first event whose time stamp is `time` or later, `end` where there is none. */
  find(time: number): number {
    let from = this.start
    for (const { key, value } of this.times.getRange({ start: this.key(this.start), end: this.key(this.end) })) {
      if (Number(value.toString()) >= time) break
      from = offsetOf(key)
    }
    while (from < this.end) {
      for (const b of this.page(from, INDEX_EVERY)) {
        if (readBatchHeader(b.bytes).maxTimestamp >= time) return b.base + before(b.bytes, time)
        from = b.base + b.count
      }
    }
    return this.end
  }

  private key(offset: number): Buffer {
    return logKey(this.queue, this.number, offset)
  }

  /** Offset of the batch that `offset` lies in, which is the last one that begins at it or before. */
  private locate(offset: number): number {
    const [key] = this.log.getKeys({ start: this.key(offset + 1), reverse: true, limit: 1 })
    return key && inLog(key as Buffer, this.queue, this.number) ? offsetOf(key as Buffer) : offset
  }

  /** What the next step of this group builds on. Another group's draft may never have reached the disk. */
  private current(group: number): State {
    if (this.group !== group) this.draft = this.state
    this.group = group
    return this.draft
  }

  /** What the last trim noted, and what was appended since. */
  private load(): State {
    const kept = this.states.get(shardKey(this.queue, this.number))
    const state = kept ? (JSON.parse(kept.toString()) as State) : EMPTY
    const behind = this.key(Number.MAX_SAFE_INTEGER)
    const [last] = this.log.getRange({ start: behind, end: this.key(state.start), reverse: true, limit: 1 })
    if (!last || !inLog(last.key, this.queue, this.number) || offsetOf(last.key) < state.end) return state
    const { total, newest } = noteOf(last.key)
    const { base, count } = parse(last.key, last.value)
    return { ...state, end: base + count, total, newest, indexed: total }
  }
}

/** The value is a copy out of the file, so that the offset, which no checksum covers, can be put into it here. */
function parse(key: Buffer, value: Buffer): Stored {
  const base = offsetOf(key)
  const bytes = rebaseInPlace(value, base)
  return { base, count: readBatchHeader(bytes).count, appended: noteOf(key).appended, bytes }
}

/** How many events of a batch come before the first one of `time` or later; 0 where nobody can look inside. */
function before(bytes: Buffer, time: number): number {
  try {
    let n = 0
    for (const event of decodeBatch(bytes, { bytes: LIMITS.expanded })) {
      if (event.timestamp >= time) return n
      n++
    }
  } catch {
    // A codec that is not here: the reader then sees a few older events too.
  }
  return 0
}
