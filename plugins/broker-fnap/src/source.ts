import type { FnapConnection, FrameStream } from '@fnaa/client'
import type { Call, Source } from '@fnaa/core/plugin'
import { FnaError } from '@fnaa/core/plugin'
import {
  type Batch,
  batchOf,
  CODECS,
  checkPassing,
  type Frame,
  type From,
  formatCommand,
  type Gap,
  LIMITS,
  type Position,
} from '@fnaa/protocol'
import { login, type Where } from './login.js'

const CREDIT = 4 << 20
const IDLE_MS = 20_000

/** READ FOLLOW FORMAT BATCH. Resolves after the first heartbeat: the source is open, authorised and positioned. */
export async function openSource(where: Where, opt: { epoch: number; from: From }, c: Call): Promise<Source> {
  const connection = await login(where, c)
  try {
    const { cursor } = (where.endpoint.options ?? {}) as { cursor?: string }
    const position = opt.from.at === 'position' ? opt.from.position : null
    const from = position
      ? { from: { at: 'position' } }
      : cursor === undefined
        ? {}
        : { from: { at: 'cursor', label: cursor } }
    const line = formatCommand(
      'READ FLOW',
      { flow: where.endpoint.queue },
      { follow: true, format: 'batch', codecs: CODECS, epoch: Math.max(1, opt.epoch), ...from },
    )
    const stream = await connection.stream(line, { idleMs: IDLE_MS, signal: c.signal })
    if (position) await stream.send({ type: 'P', position })
    await stream.send({ type: 'W', bytes: CREDIT })
    const source = new FnapSource(connection, stream, where.host.foreign, position)
    await source.begin()
    return source
  } catch (e) {
    connection.destroy()
    throw e
  }
}

class FnapSource implements Source {
  readonly #connection: FnapConnection
  readonly #stream: FrameStream
  readonly #foreign: boolean
  readonly #early: Frame[] = []
  #heartbeat: Extract<Frame, { type: 'H' }> | null = null
  /** Events that have come since the last heartbeat: what it counted behind them is no more. */
  #since = 0
  #position: Position

  constructor(connection: FnapConnection, stream: FrameStream, foreign: boolean, position: Position | null) {
    this.#connection = connection
    this.#stream = stream
    this.#foreign = foreign
    this.#position = position ?? { epoch: '', shards: {} }
  }

  async begin(): Promise<void> {
    while (!this.#heartbeat) {
      const frame = await this.#next()
      if (frame.type === 'H') this.#heard(frame)
      else this.#early.push(frame)
    }
  }

  async *read(c: Call): AsyncIterable<Batch | Gap> {
    const stop = () => this.#connection.destroy()
    c.signal.addEventListener('abort', stop, { once: true })
    try {
      for (;;) {
        if (c.signal.aborted) return
        const frame = this.#early.shift() ?? (await this.#next())
        if (frame.type === 'H') this.#heard(frame)
        else if (frame.type === 'G') yield frame.gap
        else if (frame.type === 'D') {
          // What a stranger sends is checked before anyone passes it on.
          if (this.#foreign) checkPassing(frame.batch)
          const batch = batchOf({ shard: frame.shard, last: frame.cursor, bytes: frame.batch })
          this.#since += batch.count
          yield batch
          await this.#stream.send({ type: 'W', bytes: frame.batch.length })
        }
      }
    } catch (e) {
      if (!c.signal.aborted) throw e
    } finally {
      c.signal.removeEventListener('abort', stop)
    }
  }

  async commit(shard: string, last: string): Promise<void> {
    this.#position = { epoch: this.#position.epoch, shards: { ...this.#position.shards, [shard]: last } }
    await this.#stream.send({ type: 'A', shard, cursor: last })
  }

  /** As the owner measured it last, each five seconds, less what has come since: else a moment's lag would stand for long. */
  async lag() {
    const h = this.#heartbeat
    const behind = Math.max(0, (h?.lag.events ?? 0) - this.#since)
    const behindMs = behind === 0 ? 0 : h?.lag.ms
    return { epoch: h?.epoch ?? '', shards: { '*': { behind, ...(behindMs === undefined ? {} : { behindMs }) } } }
  }

  async position(): Promise<Position> {
    return this.#position
  }

  async close(): Promise<void> {
    this.#connection.destroy()
  }

  #heard(frame: Extract<Frame, { type: 'H' }>): void {
    this.#heartbeat = frame
    this.#since = 0
    if (this.#position.epoch !== frame.epoch) this.#position = { epoch: frame.epoch, shards: {} }
  }

  async #next(): Promise<Frame> {
    const frame = await this.#stream.next()
    if (frame && frame.type !== 'E') return frame
    const e = frame ?? this.#stream.ended
    const why = e && e.code >= 400 ? `${e.code} ${e.symbol ?? ''} ${e.text}` : 'it ended'
    throw new FnaError(
      e?.symbol === 'STALE' ? 'FNA_ERR_FENCED' : 'FNA_ERR_UNAVAILABLE',
      `the stream of the other agent is over: ${why}`,
    )
  }
}
export const MOST_BATCH = LIMITS.frame
