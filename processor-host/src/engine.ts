import { AddressGuard, makeDial, Resolver } from '@fnaa/client'
import {
  type Call,
  type Dial,
  type Driver,
  isFna,
  type Logger,
  type Port,
  type Program,
  type RunStatus,
  type Sink,
  type Source,
  type Wire,
} from '@fnaa/core/plugin'
import type { Batch, From, Gap, Position } from '@fnaa/protocol'
import type { RunSpec } from './run-spec.js'

/**
 * What is under way to the sinks, for each source: enough to hide a round trip and to let a sink put small batches together, little
 * enough to bound memory. Bytes, and batches.
 */
const FLYING_BYTES = 8 << 20
const FLYING_BATCHES = 1000
/** What an event that has no raw bytes is taken to cost. */
const DECODED_BYTES = 1024
const LAG_MS = 1000

/**
 * The one engine: sources to sinks, N to M. It reads, lets the program say where a batch goes, writes, and commits a
 * position only after every sink has the batch durably. At least once, in order per shard.
 */
export class Engine {
  readonly #spec: RunSpec
  readonly #log: Logger
  readonly #report: (s: RunStatus) => void
  readonly #stop = new AbortController()
  readonly #wires: Wire[] = []
  #sources: Source[] = []
  #sinks: Sink[] = []
  #paused: boolean
  #resume: (() => void)[] = []
  #phase: RunStatus['phase'] = 'starting'
  #error: string | undefined
  #done: Promise<void> = Promise.resolve()
  readonly #counts = { events: 0, bytes: 0, gaps: 0, raw: 0, decoded: 0 }
  readonly #positions = new Map<string, Position>()
  /** Unknown until it has been measured. */
  #behind: { readonly behind: number; readonly behindMs: number } | undefined
  #sourceEpoch = ''
  /** Positions are kept beside the data, in the sink's transactions. */
  #exactly = false
  #resolver: Resolver | null = null

  constructor(spec: RunSpec, log: Logger, report: (s: RunStatus) => void) {
    this.#spec = spec
    this.#log = log
    this.#report = report
    this.#paused = spec.run.desired === 'pause'
  }

  get id(): string {
    return this.#spec.run.id
  }
  get epoch(): number {
    return this.#spec.run.epoch
  }

  status(): RunStatus {
    return {
      id: this.id,
      epoch: this.epoch,
      phase: this.#phase,
      ...(this.#error === undefined ? {} : { error: this.#error }),
      positions: Object.fromEntries(this.#positions),
      rates: { ...this.#counts, ...this.#behind },
      ...(this.#sourceEpoch === '' ? {} : { sourceEpoch: this.#sourceEpoch }),
    }
  }

  start(): void {
    this.#done = this.#run().catch(e => this.#fail(e))
  }

  pause(): void {
    this.#paused = true
    if (this.#phase === 'running') this.#enter('paused')
  }

  resume(): void {
    this.#paused = false
    for (const go of this.#resume.splice(0)) go()
    if (this.#phase === 'paused') this.#enter('running')
  }

  /** Resolves when nothing is read or written any more. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.resume()
    await this.#done
    await this.#close()
  }

  async #run(): Promise<void> {
    const c: Call = { signal: this.#stop.signal }
    const { run } = this.#spec
    const program = await load<Program>(run.program)
    const route = program.route(run.config)
    const dial = this.#dial()
    // Sinks first: what cannot be written need not be read.
    this.#sinks = await Promise.all(run.sinks.map(p => this.#openSink(p, dial, c)))
    this.#exactly = run.guarantee === 'exactly-once'
    // What stands beside the data is where it was left: no commit at the source is as close.
    const kept = this.#exactly ? await this.#sinks[0]!.restore(this.id, c) : null
    this.#sources = await Promise.all(run.sources.map(p => this.#openSource(p, kept, dial, c)))
    await this.#measure(c)
    this.#enter(this.#paused ? 'paused' : 'running')
    void this.#watchLag(c)
    await Promise.all(this.#sources.map((s, i) => this.#copy(s, i, route, c)))
  }

  #dial(): Dial {
    const { servers, trustAd, allow } = this.#spec.run.network
    const at = servers.map(s => ({
      host: s.slice(0, s.lastIndexOf(':')).replace(/^\[|\]$/g, ''),
      port: Number(s.slice(s.lastIndexOf(':') + 1)),
    }))
    this.#resolver = new Resolver({ servers: at, trustAd })
    const strict = makeDial({ resolve: this.#resolver.resolve as never, guard: new AddressGuard({ allow }) })
    return strict
  }

  async #wire(p: Port, dial: Dial, c: Call): Promise<Wire> {
    const driver = await load<Driver>(p.driver)
    const credential = p.secret === undefined ? null : (this.#spec.secrets[p.secret] ?? null)
    // Our own endpoints are named by our own agent, so the guard against strangers' addresses does not apply.
    const own = makeDial({
      resolve: this.#resolver!.resolve as never,
      guard: new AddressGuard({ allow: ['0.0.0.0/0', '::/0'] }),
    })
    const wire = await driver.open(
      p.endpoint,
      credential,
      { log: this.#log, dial: p.foreign ? dial : own, foreign: p.foreign },
      c,
    )
    this.#wires.push(wire)
    return wire
  }

  async #openSource(p: Port, kept: Position | null, dial: Dial, c: Call): Promise<Source> {
    const wire = await this.#wire(p, dial, c)
    const from: From = kept ? { at: 'position', position: kept } : (p.from ?? { at: 'latest' })
    return wire.source({ reader: this.id, epoch: this.epoch, from }, c)
  }

  async #openSink(p: Port, dial: Dial, c: Call): Promise<Sink> {
    const wire = await this.#wire(p, dial, c)
    return wire.sink({ writer: this.id, epoch: this.epoch }, c)
  }

  async #copy(source: Source, index: number, route: ReturnType<Program['route']>, c: Call): Promise<void> {
    const flying: { work: Promise<void>; bytes: number }[] = []
    let bytes = 0
    // What fails ends the read too: nothing more may come for a long time.
    const failed = new AbortController()
    const call: Call = { signal: AbortSignal.any([c.signal, failed.signal]) }
    let written: Promise<unknown> = Promise.resolve()
    for await (const piece of source.read(call)) {
      while (this.#paused && !call.signal.aborted) await new Promise<void>(resolve => this.#resume.push(resolve))
      if (call.signal.aborted) break
      if (isGap(piece)) {
        this.#counts.gaps++
        this.#log.warn({ processor: this.id, gap: piece }, 'gap: events will never be seen')
        if (piece.reason === 'epoch') this.#sourceEpoch = (await source.lag(c)).epoch
        continue
      }
      const size = piece.raw?.bytes.length ?? piece.count * DECODED_BYTES
      written = this.#write(piece, route(piece, index), written, c)
      const work = this.#commit(source, piece, size, written, c)
      work.catch(e => failed.abort(e))
      flying.push({ work, bytes: size })
      bytes += size
      while (flying.length > 0 && (bytes >= FLYING_BYTES || flying.length >= FLYING_BATCHES)) {
        const oldest = flying.shift()!
        await oldest.work
        bytes -= oldest.bytes
      }
    }
    await Promise.all(flying.map(f => f.work))
    if (failed.signal.aborted) throw failed.signal.reason
    if (!c.signal.aborted) throw new Error('the source has ended')
  }

  /** Writes begin in order. Resolves when this one and all before it are durable. */
  #write(b: Batch, to: readonly number[] | 'all', before: Promise<unknown>, c: Call): Promise<unknown> {
    const sinks = to === 'all' ? this.#sinks : to.map(i => this.#sinks[i]!)
    const opt = this.#exactly ? { exactly: { reader: this.id, epoch: this.#sourceEpoch } } : {}
    const writes = Promise.all(sinks.map(s => s.write(b, opt, c)))
    const done = Promise.all([before, writes])
    done.catch(() => undefined)
    return done
  }

  /** A position is committed when everything up to it is durable; commits are made in order, and a source may gather them. */
  async #commit(source: Source, b: Batch, size: number, written: Promise<unknown>, c: Call): Promise<void> {
    await written
    await source.commit(b.shard, b.last, c)
    this.#counts.events += b.count
    this.#counts.bytes += size
    this.#counts[b.raw ? 'raw' : 'decoded']++
  }

  async #measure(c: Call): Promise<void> {
    const lags = await Promise.all(this.#sources.map(s => s.lag(c)))
    const shards = lags.flatMap(l => Object.values(l.shards))
    this.#behind = {
      behind: shards.reduce((n, s) => n + s.behind, 0),
      behindMs: Math.max(0, ...shards.map(s => s.behindMs ?? 0)),
    }
    this.#sourceEpoch = lags[0]?.epoch ?? ''
    for (const [i, s] of this.#sources.entries())
      this.#positions.set(this.#spec.run.sources[i]!.name, await s.position(c))
  }

  async #watchLag(c: Call): Promise<void> {
    while (!c.signal.aborted && this.#phase !== 'failed') {
      await new Promise(resolve => setTimeout(resolve, LAG_MS).unref())
      if (c.signal.aborted) return
      await this.#measure(c).catch(() => undefined)
      this.#report(this.status())
    }
  }

  #enter(phase: RunStatus['phase']): void {
    this.#phase = phase
    this.#report(this.status())
  }

  #fail(e: unknown): void {
    if (this.#stop.signal.aborted) return
    const code = isFna(e) ? `${e.code} ` : ''
    this.#error = `${code}${(e as Error).message}`.slice(0, 500)
    this.#log.warn({ processor: this.id, err: e as Error }, 'run failed')
    void this.#close()
    this.#enter('failed')
  }

  async #close(): Promise<void> {
    const all = [...this.#sources, ...this.#sinks, ...this.#wires]
    this.#sources = []
    this.#sinks = []
    this.#wires.length = 0
    for (const x of all) await x.close().catch(() => undefined)
    this.#resolver?.close()
  }
}

const isGap = (x: Batch | Gap): x is Gap => 'reason' in x

async function load<T>(url: string): Promise<T> {
  return ((await import(url)) as { default: T }).default
}
