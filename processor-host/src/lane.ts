import {
  type Call,
  type Credential,
  isFna,
  type Logger,
  type Port,
  type Sink,
  type SinkStatus,
} from '@fnaa/core/plugin'
import type { Batch, Position, Tier } from '@fnaa/protocol'
import { Held, type Lag } from './held.js'
import { sizeOf } from './size.js'
import { tierOf } from './tier.js'

/** What may be under way to one sink: enough to hide a round trip, little enough to bound memory. */
const IN_FLIGHT = { batches: 100, bytes: 8 << 20 } as const
/** Milliseconds until a sink that failed is tried again, doubling. */
const RETRY = { base: 100, max: 30_000 } as const
/** Milliseconds that what is under way may take to become durable once nothing more comes. */
export const DRAIN_MS = 2000

/** What a lane asks of the run around it. */
export interface Around {
  readonly log: Logger
  open(p: Port, credential: Credential | null, c: Call): Promise<{ readonly sink: Sink; close(): Promise<void> }>
  /** The sink is open: events may come, from `place` on. */
  opened(lane: Lane): void
  /** It takes nothing more until it is opened again. */
  failed(lane: Lane): void
  /** So much is durable at this sink. */
  delivered(b: Batch, bytes: number, tier: Tier): void
  changed(): void
}

/** One sink, with its own place in the source. It opens itself, and again whenever it fails. */
export class Lane {
  readonly port: Port
  readonly #credential: Credential | null
  readonly #around: Around
  readonly #stop = new AbortController()
  #place: Position
  #sink: { readonly sink: Sink; close(): Promise<void> } | null = null
  /** Cut off whenever the sink fails: what was under way to it counts no more. */
  #life = new AbortController()
  #flying = { batches: 0, bytes: 0, held: new Held() }
  #tail: Promise<void> = Promise.resolve()
  #waiting: (() => void)[] = []
  #failures = 0
  #gaps = 0
  #error: string | undefined
  readonly #done: Promise<void>

  constructor(port: Port, credential: Credential | null, place: Position, around: Around) {
    this.port = port
    this.#credential = credential
    this.#place = place
    this.#around = around
    this.#done = this.#run()
  }

  get name(): string {
    return this.port.name
  }
  /** Behind the last event that the sink has durably, with all before it. */
  get place(): Position {
    return this.#place
  }
  get room(): boolean {
    return this.#flying.batches < IN_FLIGHT.batches && this.#flying.bytes < IN_FLIGHT.bytes
  }
  /** What has been read for it, and is not safe yet. */
  get held(): Lag {
    return this.#flying.held.lag
  }
  get status(): SinkStatus {
    const gaps = this.#gaps === 0 ? {} : { gaps: this.#gaps }
    if (this.#error !== undefined) return { phase: 'failed', error: this.#error, ...gaps }
    const late = this.#sink?.sink.waiting?.()
    const error = late === undefined ? {} : { error: describe(late) }
    return { phase: this.#sink ? 'running' : 'starting', ...error, ...gaps }
  }

  /** Resolves when there may be room again, or nothing is open any more. */
  changed(): Promise<void> {
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  /**
   * Begins a write; writes begin in the order of the calls.
   * @param behind the place behind this batch
   * @param done called when the sink has it durably; never, where its fate stays open
   */
  write(b: Batch, behind: Position, done: () => void): void {
    const life = this.#life
    if (!this.#sink || life.signal.aborted) return
    const bytes = sizeOf(b)
    this.#flying.batches++
    this.#flying.bytes += bytes
    const flying = this.#flying
    const safe = flying.held.add(b)
    const written = this.#sink.sink.write(b, {}, { signal: life.signal })
    let tier: Tier = 'raw'
    this.#after(
      written.then(w => {
        tier = tierOf(b, [w])
      }),
      behind,
      () => {
        this.#failures = 0
        this.#around.delivered(b, bytes, tier)
        done()
      },
    ).finally(() => {
      safe()
      flying.batches--
      flying.bytes -= bytes
      this.#wake()
    })
  }

  /** Events that this sink would have got are not there any more. */
  miss(behind: Position): void {
    this.#gaps++
    this.pass(behind)
  }

  /** Nothing to write up to there: filtered out, or a gap. */
  pass(behind: Position): void {
    if (this.#sink) void this.#after(Promise.resolve(), behind, () => undefined)
  }

  /** What is under way may become durable yet, so that it is not written again; a sink that hangs is not waited for long. */
  async stop(): Promise<void> {
    if (!this.#life.signal.aborted) await Promise.race([this.#tail, pause(DRAIN_MS, this.#life.signal)])
    this.#stop.abort()
    this.#life.abort()
    this.#wake()
    await this.#done
  }

  /** The place moves when this and everything before it is durable. */
  #after(written: Promise<void>, behind: Position, then: () => void): Promise<void> {
    const life = this.#life
    const before = this.#tail
    const done = (async () => {
      await Promise.all([before, written])
      if (life.signal.aborted) return
      this.#place = behind
      then()
    })().catch(e => this.#fail(life, e))
    this.#tail = done
    return done
  }

  #fail(life: AbortController, e: unknown): void {
    if (life.signal.aborted) return
    this.#error = describe(e)
    life.abort()
    this.#around.log.warn({ sink: this.name, err: e as Error }, 'sink failed: it is tried again')
    this.#around.failed(this)
    this.#wake()
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const life = new AbortController()
      this.#life = life
      this.#flying = { batches: 0, bytes: 0, held: new Held() }
      this.#tail = Promise.resolve()
      try {
        this.#sink = await this.#around.open(this.port, this.#credential, { signal: this.#stop.signal })
        if (this.#stop.signal.aborted) break
        this.#error = undefined
        this.#around.opened(this)
        this.#around.changed()
        await ended(life.signal)
      } catch (e) {
        this.#fail(life, e)
      }
      const was = this.#sink
      this.#sink = null
      await was?.close().catch(() => undefined)
      if (this.#stop.signal.aborted) break
      this.#around.changed()
      await pause(Math.min(RETRY.max, RETRY.base * 2 ** this.#failures++), this.#stop.signal)
    }
    const was = this.#sink
    this.#sink = null
    await was?.close().catch(() => undefined)
  }

  #wake(): void {
    for (const go of this.#waiting.splice(0)) go()
  }
}

export const describe = (e: unknown): string =>
  `${isFna(e) ? `${e.code} ` : ''}${e instanceof Error ? e.message : String(e)}`.slice(0, 500)

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => {
    const timer = setTimeout(done, ms)
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done, { once: true })
  })
}
