import { setImmediate as breath } from 'node:timers/promises'
import {
  encodeDataHead,
  encodeFrame,
  type FnapError,
  type Frame,
  FrameReader,
  type From,
  fnapError,
  LIMITS,
  type Position,
} from '@fnaa/protocol'
import type { Context } from '../commands/command.js'
import type { ReadOptions } from '../commands/read-flow.js'
import type { Source, Wire } from '../contract/broker.js'
import { isFna } from '../contract/errors.js'
import { toFnapError } from '../server/errors.js'
import type { Result, Session } from '../server/session.js'
import { checkBehind } from './behind.js'
import { type Piece, piecesOf } from './pieces.js'
import type { Cursor } from './positions.js'
import { Rate } from './rate.js'
import { isGap } from './read-lines.js'
import { cursorOf, fromOf, type Target } from './target.js'
import { all, upTo } from './up-to.js'

const HEARTBEAT_MS = 5_000
const WINDOW = 1 << 20
const MOST_WINDOW = 64 << 20
/** Cursors of one shard that may wait for their A. */
const MOST_EXPECTED = 10_000
/** The longest frame of a reader is its position, as JSON behind a byte of type. */
const READER_FRAME = 1 + LIMITS.jsonLine

/** READ as frames: batches go through as they are; the client gives credit, and acknowledges. */
export async function readBatches(cx: Context, t: Target, o: ReadOptions): Promise<Result> {
  if (o.epoch !== undefined && t.subscriber) {
    if (!(await cx.kernel.positions.fence(t.subscriber.uid, o.epoch, cx.call))) {
      throw fnapError('STALE', 'a run with a higher EPOCH reads this endpoint')
    }
    cx.kernel.provider.fence(t.subscriber.uid, cx.session)
  }
  const from = await start(cx, t, o)
  const wire = await cx.kernel.brokers.open(t.flow, cx.call)
  return { stream: session => new BatchStream(cx, t, o, wire, from).run(session) }
}

/** Where it begins; null: the client's first frame says it. */
async function start(cx: Context, t: Target, o: ReadOptions): Promise<From | null> {
  if (o.from?.at === 'position') return null
  if (!t.subscriber || o.from !== undefined) return fromOf(cx, t, o.from, o.follow)
  const position = await cx.kernel.positions.get(t.subscriber.uid, cx.call)
  return position ? { at: 'position', position } : t.subscriber.spec.from
}

/** One stream of frames to one reader. */
class BatchStream {
  readonly #cx: Context
  readonly #t: Target
  readonly #o: ReadOptions
  readonly #wire: Wire
  readonly #from: From | null
  /** What A moves: the endpoint's position, or the cursor that was named. */
  readonly #place: string | Cursor | null
  readonly #frames = new FrameReader(READER_FRAME)
  readonly #stop = new AbortController()
  #window = WINDOW
  /** Cursors that wait for their A, by shard. */
  readonly #sent = new Map<string, Set<string>>()
  #credit: (() => void) | null = null
  #position: ((p: Position) => void) | null = null
  #epoch = ''
  #ended = false
  #finish: (() => void) | null = null
  #failure: FnapError | null = null

  constructor(cx: Context, t: Target, o: ReadOptions, wire: Wire, from: From | null) {
    this.#cx = cx
    this.#t = t
    this.#o = o
    this.#wire = wire
    this.#from = from
    this.#place = t.subscriber?.uid ?? cursorOf(t, o.from)
  }

  async run(session: Session): Promise<void> {
    const signal = AbortSignal.any([session.gone.signal, this.#stop.signal])
    const { subject, kernel } = this.#cx
    const untrack = kernel.provider.track({
      session,
      flow: this.#t.flow.name,
      right: 'read',
      subject,
      name: this.#t.name,
    })
    let source: Source | null = null
    const client = new Promise<void>(resolve => {
      this.#finish = resolve
      session.gone.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    try {
      const first = this.#from ? null : new Promise<Position>(resolve => (this.#position = resolve))
      session.write('220 STREAM\r\n')
      session.take({ bytes: chunk => this.#onBytes(session, chunk) })
      const from = this.#from ?? { at: 'position', position: await raceAbort(first!, signal) }
      source = await this.#open(session, from, signal)
      await this.#beat(session, source)
      void this.#heartbeat(session, source, signal)
      await this.#pump(session, source, signal)
    } catch (e) {
      if (!signal.aborted) this.#failure = toFnapError(e)
      if (!signal.aborted) kernel.log.warn({ flow: this.#t.flow.name, err: e }, 'stream failed')
    } finally {
      this.#stop.abort()
      untrack()
      await source?.close().catch(() => undefined)
      await this.#wire.close().catch(() => undefined)
    }
    await this.#farewell(session, client)
  }

  /** @throws BADVALUE where the broker does not know a cursor that the client's P frame named */
  async #open(session: Session, from: From, signal: AbortSignal): Promise<Source> {
    try {
      return await this.#wire.source({ reader: `stream-${session.id}`, epoch: 0, from }, { signal })
    } catch (e) {
      if (this.#from || !isFna(e, 'FNA_ERR_INVALID')) throw e
      throw fnapError('BADVALUE', 'POSITION holds a cursor that the broker of this flow does not know', e)
    }
  }

  /** Both sides send E; then lines go on. */
  async #farewell(session: Session, client: Promise<void>): Promise<void> {
    if (session.gone.signal.aborted) return
    const e = this.#failure
    session.write(
      encodeFrame(
        e ? { type: 'E', code: e.code, symbol: e.symbol, text: e.sentence } : { type: 'E', code: 220, text: 'OK' },
      ),
    )
    const late = setTimeout(() => session.destroy(), 10_000)
    await client
    clearTimeout(late)
    session.release(this.#frames.rest())
  }

  async #pump(session: Session, source: Source, signal: AbortSignal): Promise<void> {
    const rate = new Rate(this.#cx.kernel.clock, () => this.#limits())
    let left = this.#o.max ?? Number.POSITIVE_INFINITY
    const lag = await source.lag({ signal })
    this.#epoch = lag.epoch
    const until = this.#o.follow
      ? Number.POSITIVE_INFINITY
      : Object.values(lag.shards).reduce((n, s) => n + s.behind, 0)
    if (until <= 0) return
    const pieces = source.read({ signal })[Symbol.asyncIterator]()
    const first = pieces.next()
    for await (const piece of this.#o.follow ? all(first, pieces) : upTo(source, first, pieces, until, signal)) {
      if (isGap(piece)) {
        session.write(encodeFrame({ type: 'G', gap: piece }))
        continue
      }
      for (const part of piecesOf(piece, this.#o.codecs ?? ['none', 'gzip'])) {
        if (!(await this.#send(session, piece.shard, part, signal))) return
        left -= part.count
        if (left <= 0) return
        // Others get their turn between two pieces of a large batch.
        if (part.bytes !== piece.raw?.bytes) await breath()
        await rate.wait(part.count, part.bytes.length, signal)
      }
    }
  }

  /** Waits for credit, and until the client has read what went before. @returns false where it was called off */
  async #send(session: Session, shard: string, { cursor, bytes }: Piece, signal: AbortSignal): Promise<boolean> {
    while (this.#window <= 0 && !signal.aborted) await new Promise<void>(resolve => (this.#credit = resolve))
    if (signal.aborted) return false
    this.#window -= bytes.length
    if (this.#place !== null) this.#expect(shard, cursor)
    session.write(encodeDataHead(shard, cursor, bytes.length))
    session.write(bytes)
    await session.drained(signal)
    return true
  }

  #expect(shard: string, cursor: string): void {
    const waiting = this.#sent.get(shard) ?? new Set()
    this.#sent.set(shard, waiting.add(cursor))
    // A client that acknowledges nothing costs no more than this; the oldest are what it can do without.
    if (waiting.size > MOST_EXPECTED) waiting.delete(waiting.values().next().value!)
  }

  #limits() {
    return this.#t.subscriber ? this.#cx.kernel.provider.limits(this.#t.subscriber) : this.#t.limits
  }

  #onBytes(session: Session, chunk: Buffer): void {
    try {
      this.#frames.push(chunk)
      while (!this.#ended) {
        const frame = this.#frames.next()
        if (!frame) break
        session.partial(false)
        this.#onFrame(frame)
      }
      session.partial(!this.#ended && this.#frames.buffered > 0)
      if (this.#ended) checkBehind(this.#frames)
    } catch (e) {
      this.#cx.kernel.log.warn({ session: session.id, err: e }, 'bad frame')
      session.destroy()
    }
  }

  #onFrame(f: Frame): void {
    switch (f.type) {
      case 'W':
        this.#window = Math.min(MOST_WINDOW, this.#window + f.bytes)
        this.#wake()
        return
      case 'A':
        // Only what was sent on this stream can be acknowledged.
        if (!this.#sent.get(f.shard)?.delete(f.cursor)) return
        if (this.#place) this.#cx.kernel.positions.move(this.#place, this.#epoch, f.shard, f.cursor)
        if (this.#t.subscriber) this.#cx.kernel.provider.renew(this.#t.subscriber.name)
        return
      case 'P':
        this.#position?.(f.position)
        return
      case 'X':
        this.#stop.abort()
        this.#wake()
        return
      case 'E':
        this.#ended = true
        this.#stop.abort()
        this.#wake()
        this.#finish?.()
        return
      default:
    }
  }

  #wake(): void {
    const credit = this.#credit
    this.#credit = null
    credit?.()
  }

  async #heartbeat(session: Session, source: Source, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#cx.kernel.clock.timer(HEARTBEAT_MS, signal)
      if (signal.aborted) return
      await this.#beat(session, source).catch(() => undefined)
    }
  }

  async #beat(session: Session, source: Source): Promise<void> {
    const lag = await source.lag({ signal: session.gone.signal })
    this.#epoch = lag.epoch
    const shards = Object.values(lag.shards)
    const events = shards.reduce((n, s) => n + s.behind, 0)
    const ms = Math.max(0, ...shards.map(s => s.behindMs ?? 0))
    if (!this.#stop.signal.aborted) session.write(encodeFrame({ type: 'H', epoch: lag.epoch, lag: { events, ms } }))
  }
}

function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    work.then(resolve, reject)
  })
}
