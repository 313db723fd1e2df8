import type { Call, Source } from '@fnaa/core/plugin'
import type { Batch, Gap, Position } from '@fnaa/protocol'
import { type Lane, pause } from './lane.js'

/** Milliseconds that lanes which keep up wait for one that does not, before it reads by itself. */
const PATIENCE_MS = 250

/** What a reading asks of the run around it. */
export interface Readers {
  open(place: Position, c: Call): Promise<{ readonly source: Source; close(): Promise<void> }>
  /** Events can be read now. */
  opened(): void
  /** Which lanes a batch is for. */
  wants(b: Batch, lane: Lane): boolean
  /** Resolves when events may move. */
  moving(): Promise<void>
  /** The lane does not keep up: it goes on by itself from this reading's place. */
  split(lane: Lane, r: Reading): void
  /** It stands somewhere new: perhaps where another one does. */
  moved(r: Reading): void
  gap(g: Gap): void
}

/** One read of the source, for all lanes that stand at the same place. */
export class Reading {
  readonly lanes = new Set<Lane>()
  readonly #around: Readers
  readonly #stop = new AbortController()
  readonly #gone = new Promise<void>(resolve => this.#stop.signal.addEventListener('abort', () => resolve()))
  #given: Position
  #source: Source | null = null
  readonly done: Promise<void>

  constructor(place: Position, lanes: readonly Lane[], around: Readers) {
    this.#given = place
    this.#around = around
    for (const lane of lanes) this.lanes.add(lane)
    this.done = this.#run()
    this.done.catch(() => undefined)
  }

  /** Behind what has been handed to its lanes. */
  get given(): Position {
    return this.#given
  }
  get source(): Source | null {
    return this.#source
  }
  get stopped(): boolean {
    return this.#stop.signal.aborted
  }

  stop(): void {
    this.#stop.abort()
  }

  async #run(): Promise<void> {
    const c: Call = { signal: this.#stop.signal }
    const opened = await this.#around.open(this.#given, c)
    try {
      if (this.stopped) return
      this.#source = opened.source
      this.#around.opened()
      for await (const piece of opened.source.read(c)) {
        await this.#around.moving()
        if (!(await this.#take(piece, opened.source, c))) return
        this.#around.moved(this)
        if (this.stopped) return
      }
      if (!this.stopped) throw new Error('the source has ended')
    } catch (e) {
      if (!this.stopped) throw e
    } finally {
      this.#stop.abort()
      this.#source = null
      await opened.source.close().catch(() => undefined)
      await opened.close().catch(() => undefined)
    }
  }

  /** @returns false where nobody is left to read for */
  async #take(piece: Batch | Gap, source: Source, c: Call): Promise<boolean> {
    if ('reason' in piece) {
      this.#around.gap(piece)
      this.#given = await beyond(this.#given, piece, source, c)
      for (const lane of this.lanes) lane.miss(this.#given)
      return !this.stopped
    }
    await this.#room(c)
    if (this.stopped || this.lanes.size === 0) return false
    this.#given = { epoch: this.#given.epoch, shards: { ...this.#given.shards, [piece.shard]: piece.last } }
    const wanting = new Set([...this.lanes].filter(lane => this.#around.wants(piece, lane)))
    let open = wanting.size
    const done = () => {
      if (--open === 0) source.release?.(piece)
    }
    for (const lane of this.lanes) {
      if (wanting.has(lane)) lane.write(piece, this.#given, done)
      else lane.pass(this.#given)
    }
    return true
  }

  /** The pace is that of the lanes that keep up. */
  async #room(c: Call): Promise<void> {
    const over = new AbortController()
    try {
      await this.#roomBefore(over.signal, c)
    } finally {
      over.abort()
    }
  }

  async #roomBefore(over: AbortSignal, c: Call): Promise<void> {
    let late: Promise<'late'> | null = null
    while (!this.stopped) {
      const full = [...this.lanes].filter(l => !l.room)
      if (full.length === 0) return
      const changed = Promise.race([...full.map(l => l.changed()), this.#gone])
      if (full.length === this.lanes.size) {
        await changed
        continue
      }
      late ??= pause(PATIENCE_MS, AbortSignal.any([c.signal, over])).then(() => 'late' as const)
      if ((await Promise.race([changed, late])) !== 'late') continue
      for (const lane of full) if (!lane.room && this.lanes.delete(lane)) this.#around.split(lane, this)
      return
    }
  }
}

/** The place behind a gap. */
async function beyond(at: Position, gap: Gap, source: Source, c: Call): Promise<Position> {
  const epoch = gap.reason === 'epoch' ? (await source.lag(c)).epoch : at.epoch
  return { epoch, shards: { ...(epoch === at.epoch ? at.shards : {}), [gap.shard]: gap.to } }
}

/** Two places are the same when this is. */
export const placeKey = (p: Position): string => {
  const shards = Object.entries(p.shards).sort(([a], [b]) => (a < b ? -1 : 1))
  return `${p.epoch} ${shards.map(([shard, cursor]) => `${shard}=${cursor}`).join(' ')}`
}
