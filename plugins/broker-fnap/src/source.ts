import type { FnapConnection, FrameStream } from '@fnaa/client'
import type { Call, Source } from '@fnaa/core/plugin'
import { FnaError } from '@fnaa/core/plugin'
import {
  type Batch,
  batchOf,
  CODECS,
  checkBatch,
  type Frame,
  type From,
  formatCommand,
  type Gap,
  LIMITS,
  type Position,
  readBatchHeader,
} from '@fnaa/protocol'
import type { Where } from './login.js'

const CREDIT = 4 << 20
const IDLE_MS = 20_000
type Data = Extract<Frame, { type: 'D' }>
type Lost = Extract<Frame, { type: 'G' }>

/** READ FOLLOW FORMAT BATCH. Resolves after the first heartbeat: the source is open, authorised and positioned. */
export async function openSource(
  connection: FnapConnection,
  where: Where,
  opt: { epoch: number; from: From },
  c: Call,
): Promise<Source> {
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
  /** What has come and was not asked for yet: as much as there was credit for. */
  readonly #come: (Data | Lost)[] = []
  #comeBytes = 0
  #failure: unknown
  #more: () => void = () => undefined
  #room: () => void = () => undefined
  #heartbeat: Extract<Frame, { type: 'H' }> | null = null
  /** Events that have come since the last heartbeat: what it counted behind them is no more. */
  #since = 0
  /** Events that wait here. */
  #waiting = 0
  #position: Position

  constructor(connection: FnapConnection, stream: FrameStream, foreign: boolean, position: Position | null) {
    this.#connection = connection
    this.#stream = stream
    this.#foreign = foreign
    this.#position = position ?? { epoch: '', shards: {} }
    void this.#listen()
  }

  /** Resolves after the first heartbeat. */
  async begin(): Promise<void> {
    while (!this.#heartbeat) await this.#change()
  }

  async *read(c: Call): AsyncIterable<Batch | Gap> {
    const stop = () => {
      this.#connection.destroy()
      this.#more()
    }
    c.signal.addEventListener('abort', stop, { once: true })
    try {
      while (!c.signal.aborted) {
        const frame = this.#come.shift()
        if (!frame) {
          await this.#change()
          continue
        }
        if (frame.type === 'G') {
          yield frame.gap
          continue
        }
        this.#comeBytes -= frame.batch.length
        this.#room()
        const { shard, cursor: last, batch: bytes } = frame
        // What a stranger sends is checked before anyone passes it on.
        const batch = batchOf({ shard, last, bytes, ...(this.#foreign && { oldest: checkBatch(bytes).oldest }) })
        this.#waiting -= batch.count
        yield batch
        await this.#stream.send({ type: 'W', bytes: frame.batch.length })
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
    const behind = Math.max(0, (h?.lag.events ?? 0) - this.#since) + this.#waiting
    const behindMs = behind === 0 ? 0 : h?.lag.ms
    return { epoch: h?.epoch ?? '', shards: { '*': { behind, ...(behindMs === undefined ? {} : { behindMs }) } } }
  }

  async position(): Promise<Position> {
    return this.#position
  }

  async close(): Promise<void> {
    this.#connection.destroy()
  }

  /** Resolves when something has come. @throws what the stream ended by, when there is nothing more */
  async #change(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    await new Promise<void>(resolve => {
      this.#more = resolve
    })
  }

  /** Heartbeats are heard also while nobody asks for events: those wait here, and the other side sends no more than it has credit for. */
  async #listen(): Promise<void> {
    try {
      for (;;) {
        while (this.#comeBytes > CREDIT + LIMITS.frame) await new Promise<void>(resolve => (this.#room = resolve))
        const frame = await this.#next()
        if (frame.type === 'H') this.#heard(frame)
        else if (frame.type === 'D' || frame.type === 'G') this.#take(frame)
        this.#more()
      }
    } catch (e) {
      this.#failure = e
      this.#more()
    }
  }

  #take(frame: Data | Lost): void {
    if (frame.type === 'D') {
      const { count } = readBatchHeader(frame.batch)
      this.#since += count
      this.#waiting += count
      this.#comeBytes += frame.batch.length
    }
    this.#come.push(frame)
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
