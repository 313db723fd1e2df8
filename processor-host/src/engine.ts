import type { Call, Logger, Port, Program, RunStatus, Sink, Source, Wire } from '@fnaa/core/plugin'
import { type Batch, type From, type Gap, isMarker, type Position, type Tier } from '@fnaa/protocol'
import { FanOut } from './fan-out.js'
import { Held, sumOf } from './held.js'
import { DRAIN_MS, describe, pause } from './lane.js'
import { awaits } from './marker.js'
import { load, Ports } from './ports.js'
import type { RunSpec } from './run-spec.js'
import { sizeOf } from './size.js'
import { tierOf } from './tier.js'

/**
 * What is under way to the sinks, for each source: enough to hide a round trip and to let a sink put small batches together, little
 * enough to bound memory. Bytes, and batches.
 */
const FLYING_BYTES = 4 << 20
const FLYING_BATCHES = 1000
/** Batches that are durable at the sinks while their position is not, at most. */
const UNCOMMITTED = 10_000
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
  /** Wires, sinks and sources, as they were opened. */
  readonly #ends: { close(): Promise<void> }[] = []
  #closed: Promise<void> | null = null
  #sources: Source[] = []
  #sinks: Sink[] = []
  /** By source. */
  #held: Held[] = []
  #paused: boolean
  #resume: (() => void)[] = []
  #phase: RunStatus['phase'] = 'starting'
  #error: string | undefined
  #done: Promise<void> = Promise.resolve()
  /** By source: what is under way, to the sinks and back to the source as a position. */
  #commits: Promise<void>[][] = []
  readonly #counts = { events: 0, bytes: 0, gaps: 0, raw: 0, rebatched: 0, decoded: 0 }
  readonly #positions = new Map<string, Position>()
  /** Unknown until it has been measured. */
  #behind: { readonly behind: number; readonly behindMs: number } | undefined
  #sourceEpoch = ''
  /** Positions are kept beside the data, in the sink's transactions. */
  #exactly = false
  /** Sources from which nothing has come that has to, before events can be said to pass. */
  readonly #awaited = new Set<number>()
  #open = false
  readonly #ports: Ports
  /** Where each sink has a place of its own. */
  #fan: FanOut | null = null
  /** What came before it was ready. */
  #next: RunSpec | null = null

  constructor(spec: RunSpec, log: Logger, report: (s: RunStatus) => void) {
    this.#spec = spec
    this.#log = log
    this.#report = report
    this.#paused = spec.run.desired === 'pause'
    this.#ports = new Ports(spec.run.network, log)
  }

  get id(): string {
    return this.#spec.run.id
  }
  get epoch(): number {
    return this.#spec.run.epoch
  }

  status(): RunStatus {
    const error = this.#error ?? this.#waiting()
    return {
      id: this.id,
      epoch: this.epoch,
      phase: this.#phase,
      ...(error === undefined ? {} : { error }),
      positions: this.#fan?.positions ?? Object.fromEntries(this.#positions),
      ...(this.#fan ? { sinks: this.#fan.sinks } : {}),
      rates: { ...this.#counts, ...this.#behind },
      ...(this.#sourceEpoch === '' ? {} : { sourceEpoch: this.#sourceEpoch }),
    }
  }

  start(): void {
    this.#done = this.#run().catch(e => this.#fail(e))
  }

  pause(): void {
    this.#paused = true
    this.#fan?.pause()
    if (this.#phase === 'running' || (this.#phase === 'starting' && this.#open)) this.#enter('paused')
  }

  resume(): void {
    this.#paused = false
    this.#fan?.resume()
    for (const go of this.#resume.splice(0)) go()
    if (this.#phase === 'paused') this.#enter(this.#turn)
  }

  /** What the same run does from now on: paused or not; other sinks, where each has a place of its own. */
  async update(spec: RunSpec): Promise<void> {
    if (spec.run.desired === 'pause') this.pause()
    else this.resume()
    if (this.#fan) await this.#fan.update(spec)
    else this.#next = spec
  }

  /** Resolves when nothing is read or written any more. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.resume()
    await this.#fan?.stop()
    await this.#done
    await this.#close()
  }

  async #run(): Promise<void> {
    const c: Call = { signal: this.#stop.signal }
    const { run } = this.#spec
    const program = await load<Program>(run.program)
    if (c.signal.aborted) return
    const route = program.route(run.config)
    if (run.sinks.some(p => p.from)) return this.#fanOut(route, c)
    const wires = (all: readonly Port[]) => Promise.all(all.map(p => this.#wire(p, c)))
    const [into, from] = await Promise.all([wires(run.sinks), wires(run.sources)])
    // Sinks first: they fence off whoever wrote before, and might still move the position that is read next.
    this.#sinks = await Promise.all(
      into.map(async wire => this.#kept(await wire.sink({ writer: this.id, epoch: this.epoch }, c))),
    )
    this.#exactly = run.guarantee === 'exactly-once'
    // What stands beside the data is where it was left: no commit at the source is as close.
    const kept = this.#exactly ? await this.#sinks[0]!.restore(this.id, c) : null
    this.#held = run.sources.map(() => new Held())
    this.#commits = run.sources.map(() => [])
    this.#sources = await Promise.all(run.sources.map((p, i) => this.#openSource(p, from[i]!, i, kept, c)))
    await this.#measure(c)
    // Stopped while it opened: a driver that only hears what aborts later would be read for ever.
    if (c.signal.aborted) return
    this.#open = true
    this.#enter(this.#turn)
    void this.#watchLag(c)
    try {
      await Promise.all(this.#sources.map((s, i) => this.#copy(s, i, route, c)))
    } catch (e) {
      // What was given before it broke off becomes durable yet: the next run might meet the same fault before it has got so far.
      await Promise.race([Promise.allSettled(this.#commits.flat()), pause(DRAIN_MS, c.signal)])
      throw e
    }
  }

  /** What it is once its ends are open. */
  get #turn(): RunStatus['phase'] {
    return this.#paused ? 'paused' : this.#awaited.size > 0 ? 'starting' : 'running'
  }

  /** Something has come from there: so can what follows. */
  #came(source: number): void {
    if (this.#awaited.delete(source) && this.#phase === 'starting') this.#enter(this.#turn)
  }

  /** Each sink at its own pace. */
  async #fanOut(route: ReturnType<Program['route']>, c: Call): Promise<void> {
    const fan = new FanOut(this.#spec, route, this.#ports, {
      log: this.#log,
      delivered: (b, size, tier) => this.#count(b, size, tier),
      gap: gap => this.#gap(gap),
      changed: () => this.#turned(),
    })
    this.#fan = fan
    if (this.#paused) fan.pause()
    void this.#watchLag(c)
    const over = fan.run()
    // It may fail while it is being changed.
    over.catch(() => undefined)
    if (this.#next) await fan.update(this.#next)
    await over
  }

  /** Runs once each sink has been opened, or has said why it cannot be, and events can pass to one of them. */
  #turned(): void {
    const fan = this.#fan!
    const all = Object.values(fan.sinks)
    if (this.#phase !== 'starting' || all.some(s => s.phase === 'starting')) this.#report(this.status())
    else if (all.length > 0 && all.every(s => s.phase === 'failed')) this.#fail(new Error(all[0]!.error))
    else if (fan.reads > 0) this.#enter(this.#paused ? 'paused' : 'running')
  }

  async #wire(p: Port, c: Call): Promise<Wire> {
    const credential = p.secret === undefined ? null : (this.#spec.secrets[p.secret] ?? null)
    return this.#kept(await this.#ports.open(p, credential, c))
  }

  /** What was opened, unless another one has failed meanwhile or all was stopped: then nobody will ask for it. */
  async #kept<T extends { close(): Promise<void> }>(end: T): Promise<T> {
    if (this.#phase !== 'failed' && !this.#stop.signal.aborted) {
      this.#ends.push(end)
      return end
    }
    await end.close().catch(() => undefined)
    throw new Error('stopped while it opened')
  }

  async #openSource(p: Port, wire: Wire, index: number, kept: Position | null, c: Call): Promise<Source> {
    const from: From = kept ? { at: 'position', position: kept } : (p.from ?? { at: 'latest' })
    const stood = p.stood === undefined ? {} : { stood: p.stood }
    const source = await this.#kept(await wire.source({ reader: this.id, epoch: this.epoch, from, ...stood }, c))
    if (await awaits(p, wire, source, c)) this.#awaited.add(index)
    return source
  }

  async #copy(source: Source, index: number, route: ReturnType<Program['route']>, c: Call): Promise<void> {
    const flying: { written: Promise<unknown>; bytes: number }[] = []
    // Positions follow behind, at the source's own pace.
    const commits = this.#commits[index]!
    let bytes = 0
    // What fails ends the read too: nothing more may come for a long time.
    const failed = new AbortController()
    const call: Call = { signal: AbortSignal.any([c.signal, failed.signal]) }
    let written: Promise<Tier> = Promise.resolve('raw')
    const { marker } = this.#spec.run.sources[index]!
    for await (const piece of source.read(call)) {
      this.#came(index)
      const safe = isGap(piece) ? undefined : this.#held[index]!.add(piece)
      while (this.#paused && !call.signal.aborted) await new Promise<void>(resolve => this.#resume.push(resolve))
      if (call.signal.aborted) break
      if (isGap(piece)) {
        this.#gap(piece)
        if (piece.reason === 'epoch') this.#sourceEpoch = (await source.lag(c)).epoch
        // So that it is told once, and not again by the next run.
        const told = written.then(() => source.commit(piece.shard, piece.to, c))
        told.catch(e => failed.abort(e))
        commits.push(told)
        continue
      }
      // A marker is for nobody: it is passed over when what came before it is safe.
      const marked = marker !== undefined && isMarker(piece, marker.id)
      const size = marked ? 0 : sizeOf(piece)
      if (!marked) written = this.#write(piece, route(piece, index), written, c)
      const commit = this.#commit(source, piece, marked ? null : size, written, c)
      commit.then(safe, e => failed.abort(e))
      flying.push({ written, bytes: size })
      commits.push(commit)
      bytes += size
      while (flying.length > 0 && (bytes >= FLYING_BYTES || flying.length >= FLYING_BATCHES)) {
        const oldest = flying.shift()!
        await oldest.written
        bytes -= oldest.bytes
      }
      if (commits.length < UNCOMMITTED) continue
      await Promise.all(commits.slice(0, UNCOMMITTED / 2))
      commits.splice(0, UNCOMMITTED / 2)
    }
    await Promise.all(commits)
    if (failed.signal.aborted) throw failed.signal.reason
    if (!c.signal.aborted) throw new Error('the source has ended')
  }

  /** Writes begin in order. Resolves when this one and all before it are durable, with what that took. */
  #write(b: Batch, to: readonly number[] | 'all', before: Promise<unknown>, c: Call): Promise<Tier> {
    const sinks = to === 'all' ? this.#sinks : to.map(i => this.#sinks[i]!)
    const opt = this.#exactly ? { exactly: { reader: this.id, epoch: this.#sourceEpoch } } : {}
    const writes = Promise.all(sinks.map(s => s.write(b, opt, c)))
    // A plain value: anything else would hold the one before it, back to the first.
    const done = Promise.all([before, writes]).then(([, all]) => tierOf(b, all))
    done.catch(() => undefined)
    return done
  }

  /**
   * A position is committed when everything up to it is durable; commits are made in order, and a source may gather them.
   * @param size null: nothing was written for it
   */
  async #commit(source: Source, b: Batch, size: number | null, written: Promise<Tier>, c: Call): Promise<void> {
    const tier = await written
    if (size !== null) this.#count(b, size, tier)
    const { shard, last } = b
    source.release?.(b)
    await source.commit(shard, last, c)
  }

  #count(b: Batch, size: number, tier: Tier): void {
    this.#counts.events += b.count
    this.#counts.bytes += size
    this.#counts[tier] += b.made?.batches ?? 1
  }

  #gap(gap: Gap): void {
    this.#counts.gaps++
    this.#log.warn({ processor: this.id, gap }, 'gap: events will never be seen')
  }

  async #measure(c: Call): Promise<void> {
    if (this.#fan) {
      const { epoch, ...behind } = await this.#fan.lag(c)
      this.#behind = behind
      this.#sourceEpoch = epoch || this.#sourceEpoch
      return
    }
    const lags = await Promise.all(this.#sources.map(s => s.lag(c)))
    const each = lags.map((l, i) => sumOf(l.shards, this.#held[i]!.lag))
    this.#behind = {
      behind: each.reduce((n, l) => n + l.behind, 0),
      behindMs: Math.max(0, ...each.map(l => l.behindMs)),
    }
    this.#sourceEpoch = lags[0]?.epoch ?? ''
    for (const [i, s] of this.#sources.entries())
      this.#positions.set(this.#spec.run.sources[i]!.name, await s.position(c))
  }

  /** A broker that does not answer holds up what is measured, not what is said of it. */
  async #watchLag(c: Call): Promise<void> {
    let measuring = false
    while (!c.signal.aborted && this.#phase !== 'failed') {
      await new Promise(resolve => setTimeout(resolve, LAG_MS).unref())
      if (c.signal.aborted) return
      if (!measuring) {
        measuring = true
        const measured = this.#measure(c).catch(() => undefined)
        await Promise.race([measured, new Promise(resolve => setTimeout(resolve, LAG_MS).unref())])
        void measured.then(() => {
          measuring = false
        })
      }
      this.#report(this.status())
    }
  }

  /** Why nothing passes at this moment, of a run that goes on. */
  #waiting(): string | undefined {
    const e =
      this.#fan?.waiting ?? [...this.#sources, ...this.#sinks].map(x => x.waiting?.()).find(x => x !== undefined)
    return e === undefined ? undefined : describe(e)
  }

  #enter(phase: RunStatus['phase']): void {
    this.#phase = phase
    this.#report(this.status())
  }

  #fail(e: unknown): void {
    if (this.#stop.signal.aborted) return
    this.#error = describe(e)
    this.#log.warn({ processor: this.id, err: e as Error }, 'run failed')
    void this.#close()
    this.#enter('failed')
  }

  /** Once, whoever asks: a run that has failed may still be closing when it is stopped. */
  #close(): Promise<void> {
    this.#closed ??= this.#closeAll()
    return this.#closed
  }

  async #closeAll(): Promise<void> {
    const all = this.#ends.splice(0).reverse()
    this.#sources = []
    this.#sinks = []
    for (const x of all) await x.close().catch(() => undefined)
    await this.#fan?.stop()
    this.#ports.close()
  }
}

const isGap = (x: Batch | Gap): x is Gap => 'reason' in x
