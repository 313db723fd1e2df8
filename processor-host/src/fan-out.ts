import { createHash } from 'node:crypto'
import type { Call, Credential, Logger, Port, Program, RunStatus } from '@fnaa/core/plugin'
import type { Batch, Gap, Position, Tier } from '@fnaa/protocol'
import { type Lag, sumOf } from './held.js'
import { describe, Lane } from './lane.js'
import type { Ports } from './ports.js'
import { placeKey, Reading } from './reading.js'
import type { RunSpec } from './run-spec.js'

/** Milliseconds between two tries to read for lanes whose read has broken off. */
const AGAIN_MS = 1000

/** What the run around it is told. */
export interface Report {
  readonly log: Logger
  delivered(b: Batch, bytes: number, tier: Tier): void
  gap(g: Gap): void
  changed(): void
}

/**
 * 1:N where each sink has its own place in the source. Sinks that stand at the same place share one read; one that lags
 * reads by itself until it stands where others do; one that fails is opened again and goes on from its place.
 */
export class FanOut {
  readonly #spec: RunSpec
  readonly #source: Port
  readonly #route: ReturnType<Program['route']>
  readonly #ports: Pick<Ports, 'open'>
  readonly #report: Report
  readonly #stop = new AbortController()
  readonly #lanes = new Map<string, Lane>()
  readonly #readings = new Set<Reading>()
  readonly #left = new Map<string, Position>()
  #lags: ReadonlyMap<Lane, Lag> = new Map()
  #order: readonly string[] = []
  #broken: (e: unknown) => void = () => undefined
  #paused: { readonly over: Promise<void>; readonly go: () => void } | null = null

  constructor(spec: RunSpec, route: ReturnType<Program['route']>, ports: Pick<Ports, 'open'>, report: Report) {
    this.#spec = spec
    this.#source = spec.run.sources[0]!
    this.#route = route
    this.#ports = ports
    this.#report = report
  }

  /** Runs until it is stopped. @throws what broke the read of all sinks at once */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#broken = reject
      this.#stop.signal.addEventListener('abort', () => resolve(), { once: true })
      void this.update(this.#spec)
    })
  }

  pause(): void {
    if (this.#paused) return
    let go = () => undefined as void
    const over = new Promise<void>(resolve => (go = resolve))
    this.#paused = { over, go }
  }
  resume(): void {
    this.#paused?.go()
    this.#paused = null
  }

  /** The sinks from now on. One that stays as it is goes on undisturbed. Resolves when the others are not written any more. */
  async update({ run, secrets }: RunSpec): Promise<void> {
    const wanted = new Map(run.sinks.map(p => [p.name, p]))
    const places = new Map<string, Position>()
    const dropped: Lane[] = []
    for (const [name, lane] of this.#lanes) {
      const now = wanted.get(name)
      if (now && now.driver === lane.port.driver && same(now.endpoint, lane.port.endpoint)) wanted.delete(name)
      else dropped.push(lane)
      // Where the same sink comes back with another endpoint, it goes on from here.
      if (now) places.set(name, lane.place)
    }
    for (const lane of dropped) {
      this.#lanes.delete(lane.name)
      this.#leave(lane)
    }
    this.#order = run.sinks.map(p => p.name)
    for (const [name, port] of wanted) {
      const place = places.get(name) ?? (port.from?.at === 'position' ? port.from.position : null)
      if (!place) continue
      const credential = port.secret === undefined ? null : (secrets[port.secret] ?? null)
      this.#lanes.set(name, this.#lane(port, credential, place))
    }
    await Promise.all(dropped.map(lane => lane.stop()))
    for (const lane of dropped) if (!this.#lanes.has(lane.name)) this.#left.set(lane.name, lane.place)
    this.#report.changed()
    this.#left.clear()
  }

  /** Where each sink stands; one that has just left, once more. */
  get positions(): Record<string, Position> {
    const places = [...this.#lanes].map(([name, lane]) => [name, lane.place] as const)
    return Object.fromEntries([...this.#left, ...places])
  }
  get sinks(): NonNullable<RunStatus['sinks']> {
    return Object.fromEntries(
      [...this.#lanes].map(([name, lane]) => [name, { ...lane.status, ...this.#lags.get(lane) }]),
    )
  }

  /** Looks how far behind each sink is that is being read for. @returns that of the last of them */
  async lag(c: Call): Promise<{ epoch: string; behind: number; behindMs: number }> {
    const found = { epoch: '', behind: 0, behindMs: 0 }
    const seen = new Map<Lane, Lag>()
    for (const { source, lanes } of this.#readings) {
      if (!source) continue
      const { epoch, shards } = await source.lag(c)
      found.epoch = epoch
      for (const lane of lanes) {
        const lag = sumOf(shards, lane.held)
        seen.set(lane, lag)
        found.behind = Math.max(found.behind, lag.behind)
        found.behindMs = Math.max(found.behindMs, lag.behindMs)
      }
    }
    this.#lags = seen
    return found
  }
  /** Why nothing is read at this moment, or is written to none of the sinks. */
  get waiting(): unknown {
    const late = [...this.#readings].map(r => r.source?.waiting?.()).find(e => e !== undefined)
    const sinks = [...this.#lanes.values()].map(l => l.status.error)
    return late ?? (sinks.length > 0 && sinks.every(e => e !== undefined) ? sinks[0] : undefined)
  }
  /** How many reads of the source are open. */
  get reads(): number {
    return [...this.#readings].filter(r => r.source !== null).length
  }

  /** Resolves when nothing is read or written any more. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.resume()
    for (const r of this.#readings) r.stop()
    await Promise.all([...this.#lanes.values()].map(l => l.stop()))
    await Promise.all([...this.#readings].map(r => r.done.catch(() => undefined)))
  }

  #lane(port: Port, credential: Credential | null, place: Position): Lane {
    const { run } = this.#spec
    return new Lane(port, credential, place, {
      log: this.#report.log,
      open: async (p, cred, c) => {
        const wire = await this.#ports.open(p, cred, c)
        const sink = await wire.sink({ writer: writerOf(run.id, p.name), epoch: run.epoch }, c).catch(async e => {
          await wire.close().catch(() => undefined)
          throw e
        })
        const close = async () => {
          await sink.close().catch(() => undefined)
          await wire.close()
        }
        return { sink, close }
      },
      opened: lane => this.#read([lane], lane.place),
      failed: lane => this.#leave(lane),
      delivered: (b, bytes, tier) => this.#report.delivered(b, bytes, tier),
      changed: () => this.#report.changed(),
    })
  }

  #leave(lane: Lane): void {
    for (const r of this.#readings) if (r.lanes.delete(lane) && r.lanes.size === 0) this.#end(r)
  }

  #end(r: Reading): void {
    this.#readings.delete(r)
    r.stop()
  }

  #read(lanes: readonly Lane[], place: Position): void {
    if (this.#stop.signal.aborted) return
    const known = [...this.#readings].find(r => placeKey(r.given) === placeKey(place))
    if (known) for (const lane of lanes) known.lanes.add(lane)
    else this.#readAnew(lanes, place)
  }

  #readAnew(lanes: readonly Lane[], place: Position): void {
    const r = new Reading(place, lanes, {
      open: async (at, c) => {
        const p = this.#source
        const credential = p.secret === undefined ? null : (this.#spec.secrets[p.secret] ?? null)
        const wire = await this.#ports.open(p, credential, c)
        const from = { at: 'position', position: at } as const
        const source = await wire.source({ reader: this.#spec.run.id, epoch: 0, from }, c).catch(async e => {
          await wire.close().catch(() => undefined)
          throw e
        })
        return { source, close: () => wire.close() }
      },
      wants: (b, lane) => {
        const to = this.#route(b, 0)
        return to === 'all' || to.includes(this.#order.indexOf(lane.name))
      },
      opened: () => this.#report.changed(),
      moving: async () => this.#paused?.over,
      split: (lane, from) => this.#split(lane, from.given),
      moved: now => this.#meet(now),
      gap: g => this.#report.gap(g),
    })
    this.#readings.add(r)
    r.done.catch(e => this.#onBroken(r, e))
  }

  /** Its place is where it has been given events up to, some of which are still under way. */
  #split(lane: Lane, given: Position): void {
    this.#report.log.info({ sink: lane.name }, 'a sink lags: it reads by itself')
    this.#readAnew([lane], given)
  }

  #meet(r: Reading): void {
    if (this.#readings.size < 2) return
    const key = placeKey(r.given)
    for (const other of this.#readings) {
      if (other === r || other.source === null || placeKey(other.given) !== key) continue
      for (const lane of r.lanes) other.lanes.add(lane)
      r.lanes.clear()
      this.#end(r)
      return
    }
  }

  /** A read broke off. Where no other goes on it is the source's fault, and the whole run's. */
  #onBroken(r: Reading, e: unknown): void {
    this.#readings.delete(r)
    if (this.#stop.signal.aborted) return
    if (this.#readings.size === 0) {
      this.#broken(e)
      return
    }
    this.#report.log.warn({ error: describe(e), sinks: r.lanes.size }, 'a read of the source broke off')
    const lanes = [...r.lanes]
    const timer = setTimeout(() => {
      const open = lanes.filter(l => this.#lanes.get(l.name) === l && l.status.phase === 'running')
      if (open.length > 0) this.#read(open, r.given)
    }, AGAIN_MS)
    timer.unref()
  }
}

/** Two sinks may be at one broker, where a writer's name is one writer. */
const writerOf = (id: string, sink: string): string =>
  `${id}.${createHash('sha256').update(sink).digest('hex').slice(0, 16)}`

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
