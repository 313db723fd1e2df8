import { type Position, slowDown } from '@fnaa/protocol'
import type { Call, Clock, KeyValue, Logger } from '../contract/common.js'
import { FnaError } from '../contract/errors.js'
import { decodeRecord, encodeRecord, type PositionRecord } from './position-record.js'

/** A cursor of READ. Its key begins with its owner, who has a bounded number of them. */
export interface Cursor {
  readonly owner: string
  readonly key: string
}
export interface CursorLimits {
  /** Cursors of one owner; over all flows. */
  readonly cursors: number
  /** Days after which a cursor that nobody used is forgotten. */
  readonly cursorDays: number
}

/** What one key has moved to since it was last written. */
interface Move {
  readonly epoch: string
  readonly shards: Map<string, string>
  /** Set for a cursor, which the first move makes. */
  readonly owner: string | undefined
  changed: boolean
}
/** How many cursors an owner had before this write, and makes with it. */
interface Maker {
  readonly had: Promise<number>
  made: number
}

const DAY_MS = 86_400_000
const PAGE = 500
const COMPLAIN_MS = 10_000
const PROCESSORS = 'processor/'
const ANONYMOUS = 'anonymous/'

/**
 * Where readers stand: subscribers (by uid), our processors, and named cursors of READ. Moving one is cheap and may be lost in
 * a crash, which repeats events and loses none; making the first two is durable. Nothing is kept in memory but what is about to
 * be written.
 */
export class Positions {
  readonly #bucket: KeyValue
  readonly #clock: Clock
  readonly #log: Logger
  readonly #limits: CursorLimits
  readonly #moves = new Map<string, Move>()
  #writing: Promise<void> | null = null
  #complained = Number.NEGATIVE_INFINITY

  constructor(bucket: KeyValue, clock: Clock, log: Logger, limits: CursorLimits) {
    this.#bucket = bucket
    this.#clock = clock
    this.#log = log
    this.#limits = limits
  }

  /** What cannot be read back counts as nothing, and is said in the log: its reader begins anew. */
  async get(key: string, c: Call): Promise<Position | null> {
    const found = await this.#find(key, c)
    return found && { epoch: found.epoch, shards: found.shards }
  }

  /** Durable when it resolves. */
  async put(key: string, position: Position, c: Call): Promise<void> {
    this.#moves.delete(key)
    await this.#bucket.put(at(key), encodeRecord(position), {}, { ...c, reserve: true })
  }

  /**
   * The place of a cursor that is about to be read from; null: it is a new one, and there is room for it.
   * @param room throws where nothing new may be made now
   * @throws QUOTA where its owner has too many
   */
  async open(cursor: Cursor, room: () => Promise<void>, c: Call): Promise<Position | null> {
    const found = await this.#find(cursor.key, c)
    if (found) {
      // Noted once a day at most: it is about weeks.
      if (found.used === undefined || this.#clock.now() - found.used > DAY_MS) this.#moved(cursor, found.epoch)
      return { epoch: found.epoch, shards: found.shards }
    }
    await room()
    if ((await this.#count(cursor.owner, c)) < this.#limits.cursors) return null
    const text = `FROM CURSOR: you have ${this.#limits.cursors} cursors; unused ones go after ${this.#limits.cursorDays} days`
    throw slowDown('QUOTA', 900, text)
  }

  /** Moves one shard; written behind, many at once. A `Cursor` that is not there is made. */
  move(what: string | Cursor, epoch: string, shard: string, cursor: string): void {
    const move = this.#moved(what, epoch)
    move.shards.set(shard, cursor)
  }

  async delete(key: string, c: Call): Promise<void> {
    this.#moves.delete(key)
    await this.#bucket.delete(at(key), {}, c)
  }

  /** Everything of a subscriber that has ended: its position, its fence, its cursors. */
  async forget(uid: string, c: Call): Promise<void> {
    await this.delete(uid, c)
    await this.#bucket.delete(`epoch/${uid}`, {}, c)
    const owned = await this.#bucket.list(at(`subscriber/${uid}/`), { limit: this.#limits.cursors + PAGE }, c)
    for (const [key] of owned) await this.delete(key.slice(at('').length), c)
  }

  /** The highest epoch of a reader's runs that was let in; a lower one is refused (federation rule 8). */
  async fence(key: string, epoch: number, c: Call): Promise<boolean> {
    const entry = await this.#bucket.get(`epoch/${key}`, c)
    const seen = entry ? Number(Buffer.from(entry.value).toString()) : 0
    if (epoch < seen) return false
    if (epoch > seen) await this.#bucket.put(`epoch/${key}`, Buffer.from(String(epoch)), {}, { ...c, reserve: true })
    return true
  }

  /** Forgets the cursors that nobody has used for long; those of anonymous readers, which nobody makes any more, at once. */
  async expire(c: Call): Promise<void> {
    const before = this.#clock.now() - this.#limits.cursorDays * DAY_MS
    let after: string | undefined
    for (;;) {
      const page = await this.#bucket.list(at(''), { limit: PAGE, ...(after === undefined ? {} : { after }) }, c)
      for (const [name, entry] of page) {
        const key = name.slice(at('').length)
        if (!key.includes('/') || key.startsWith(PROCESSORS) || this.#moves.has(key)) continue
        const record = decodeRecord(entry.value)
        if (record && record.used === undefined && !key.startsWith(ANONYMOUS))
          await this.#bucket.put(
            name,
            encodeRecord({ ...record, used: this.#clock.now() }),
            {},
            { ...c, reserve: true },
          )
        else if (key.startsWith(ANONYMOUS) || !record || record.used! < before) await this.delete(key, c)
      }
      after = page.at(-1)?.[0]
      if (page.length < PAGE || after === undefined) return
    }
  }

  async flush(): Promise<void> {
    while (this.#writing) await this.#writing
  }

  async #stored(key: string, c: Call): Promise<PositionRecord | null> {
    const entry = await this.#bucket.get(at(key), c)
    if (!entry) return null
    const record = decodeRecord(entry.value)
    if (!record) this.#log.error({ key }, 'a stored position cannot be read: its reader begins anew')
    return record
  }

  async #count(owner: string, c: Call): Promise<number> {
    const most = this.#limits.cursors
    return most === 0 ? 0 : (await this.#bucket.list(at(`${owner}/`), { limit: most }, c)).length
  }

  /** With what has been moved and not been written yet. */
  async #find(key: string, c: Call): Promise<PositionRecord | null> {
    const stored = await this.#stored(key, c)
    const move = this.#moves.get(key)
    return move ? { ...merged(stored, move), used: this.#clock.now() } : stored
  }

  #moved(what: string | Cursor, epoch: string): Move {
    const [key, owner] = typeof what === 'string' ? [what, undefined] : [what.key, what.owner]
    const known = this.#moves.get(key)
    if (known?.epoch === epoch) {
      known.changed = true
      return known
    }
    const move = { epoch, shards: new Map<string, string>(), owner, changed: true }
    this.#moves.set(key, move)
    this.#writing ??= this.#write()
    return move
  }

  async #write(): Promise<void> {
    while (this.#moves.size > 0) {
      const makers = new Map<string, Maker>()
      let lost = 0
      let cause: unknown
      const save = async ([key, move]: [string, Move]) => {
        try {
          await this.#save(key, move, makers)
        } catch (e) {
          // The move is lost, not the agent: events are repeated then.
          move.changed = false
          lost++
          cause = e
        }
        if (!move.changed && this.#moves.get(key) === move) this.#moves.delete(key)
      }
      await Promise.all([...this.#moves].map(save))
      if (lost > 0) this.#complain(cause, lost)
    }
    this.#writing = null
  }

  #complain(err: unknown, positions: number): void {
    const now = this.#clock.now()
    if (now - this.#complained < COMPLAIN_MS) return
    this.#complained = now
    this.#log.error({ err, positions }, 'positions not written: their events will be repeated')
  }

  async #save(key: string, move: Move, makers: Map<string, Maker>): Promise<void> {
    const c = { signal: new AbortController().signal, reserve: true }
    const stored = await this.#stored(key, c)
    if (!stored && move.owner !== undefined) {
      const maker = makers.get(move.owner) ?? { had: this.#count(move.owner, c), made: 0 }
      makers.set(move.owner, maker)
      if ((await maker.had) + ++maker.made > this.#limits.cursors) throw tooMany()
    }
    // It may have been deleted meanwhile.
    if (this.#moves.get(key) !== move) return
    move.changed = false
    const used = move.owner === undefined ? {} : { used: this.#clock.now() }
    await this.#bucket.put(at(key), encodeRecord({ ...merged(stored, move), ...used }), { durable: false }, c)
  }
}

const tooMany = () => new FnaError('FNA_ERR_FULL', 'one reader made too many cursors at once')
const at = (key: string) => `at/${key}`

function merged(stored: Position | null, move: Move): Position {
  const before = stored?.epoch === move.epoch ? stored.shards : {}
  return { epoch: move.epoch, shards: { ...before, ...Object.fromEntries(move.shards) } }
}
