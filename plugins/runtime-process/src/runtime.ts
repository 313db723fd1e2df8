import { createRequire } from 'node:module'
import {
  type Call,
  type Credential,
  type Ctx,
  FnaError,
  type Health,
  type Run,
  type RunStatus,
  type RuntimeService,
} from '@fnaa/core/plugin'
import { Folders } from './folders.js'
import { Host } from './host.js'
import type { RuntimeProcessOptions } from './index.js'

const require = createRequire(import.meta.url)
/** How often a host is started before whoever waits for it is told. */
const TRIES = 3

/** Spreads runs over a few hosts; a host that dies is started again, and its runs are reported gone. */
export class ProcessRuntime implements RuntimeService {
  readonly #ctx: Ctx
  readonly #program: string
  readonly #folders: Folders
  readonly #cleaned: Promise<void>
  readonly #most: number
  readonly #hosts: (Host | null)[]
  readonly #starting = new Map<number, Promise<Host>>()
  readonly #placed = new Map<string, { host: Host; epoch: number }>()
  readonly #known = new Map<string, RunStatus>()
  readonly #listeners = new Set<(s: RunStatus) => void>()
  readonly #closing = new AbortController()

  private constructor(ctx: Ctx, o: RuntimeProcessOptions) {
    this.#ctx = ctx
    this.#most = o.hosts ?? 1
    this.#hosts = Array.from({ length: this.#most }, () => null)
    this.#folders = new Folders(ctx.agent.directory)
    this.#cleaned = this.#folders.clean().catch(err => ctx.log.warn({ err }, 'what was left of earlier hosts stays'))
    this.#program = o.program ?? require.resolve('@fnaa/processor-host/main')
  }

  /** The first host starts in the background: the agent need not wait for it, the first run finds it warm. */
  static start(ctx: Ctx, o: RuntimeProcessOptions): ProcessRuntime {
    const runtime = new ProcessRuntime(ctx, o)
    void runtime.#warm(0)
    return runtime
  }

  async ensure(run: Run, secrets: Readonly<Record<string, Credential>>, c: Call): Promise<void> {
    const placed = this.#placed.get(run.id)
    if (placed && run.epoch < placed.epoch) throw new FnaError('FNA_ERR_FENCED', 'a higher epoch has been seen')
    const host = placed?.host.alive ? placed.host : await this.#host(this.#slot(run.id))
    this.#placed.set(run.id, { host, epoch: run.epoch })
    await host.create(run, secrets, c)
  }

  async remove(id: string, epoch: number, c: Call): Promise<'removed' | 'absent'> {
    const placed = this.#placed.get(id)
    if (!placed) return 'absent'
    if (epoch < placed.epoch) throw new FnaError('FNA_ERR_FENCED', 'a higher epoch has been seen')
    // A dead host neither reads nor writes.
    const removed = placed.host.alive ? await placed.host.destroy(id, epoch, c) : true
    this.#placed.delete(id)
    this.#known.delete(id)
    return removed ? 'removed' : 'absent'
  }

  async *status(c: Call): AsyncIterable<RunStatus> {
    const queue: RunStatus[] = [...this.#known.values()]
    let wake: (() => void) | null = null
    const tell = (s: RunStatus) => {
      queue.push(s)
      wake?.()
    }
    const stop = () => wake?.()
    this.#listeners.add(tell)
    c.signal.addEventListener('abort', stop, { once: true })
    try {
      while (!c.signal.aborted) {
        const next = queue.shift()
        if (next) yield next
        else await new Promise<void>(resolve => (wake = resolve))
      }
    } finally {
      this.#listeners.delete(tell)
      c.signal.removeEventListener('abort', stop)
    }
  }

  async health(): Promise<Health> {
    const alive = this.#hosts.filter(h => h?.alive).length
    return { ok: alive > 0, detail: `${alive} of ${this.#most} hosts alive` }
  }

  async close(): Promise<void> {
    // A host that is on its way up is not waited for.
    this.#closing.abort()
    await Promise.allSettled(this.#starting.values())
    await Promise.all(this.#hosts.map(h => h?.stop()))
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted
  }

  #slot(id: string): number {
    let sum = 0
    for (const ch of id) sum = (sum * 31 + ch.charCodeAt(0)) >>> 0
    return sum % this.#most
  }

  #host(slot: number): Promise<Host> {
    const host = this.#hosts[slot]
    if (host?.alive) return Promise.resolve(host)
    const known = this.#starting.get(slot)
    if (known) return known
    const starting = this.#begin(slot).finally(() => this.#starting.delete(slot))
    this.#starting.set(slot, starting)
    return starting
  }

  /** One that dies on its way up is started again at once: who waits for it would come back much later. */
  async #begin(slot: number): Promise<Host> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#start(slot)
      } catch (e) {
        if (this.#closed || tries === TRIES) throw e
        this.#ctx.log.warn({ err: e as Error }, 'a processor host died on its way up')
      }
    }
  }

  async #start(slot: number): Promise<Host> {
    if (this.#closed) throw new FnaError('FNA_ERR_CLOSED', 'the runtime is closed')
    await this.#cleaned
    const folder = await this.#folders.make()
    const host = await Host.start(this.#program, folder, this.#ctx.log, this.#closing.signal).catch(async e => {
      await folder.remove()
      throw e
    })
    this.#hosts[slot] = host
    host.watch(s => this.#tell(s))
    void host.exited.then(() => this.#died(slot, host))
    if (this.#closed) await host.stop()
    return host
  }

  #died(slot: number, host: Host): void {
    if (this.#hosts[slot] === host) this.#hosts[slot] = null
    const lost = [...this.#placed].filter(([, p]) => p.host === host)
    for (const [id, { epoch }] of lost) {
      this.#placed.delete(id)
      this.#tell({ id, epoch, phase: 'gone' })
    }
    if (this.#closed) return
    this.#ctx.log.warn({ pid: host.pid, runs: lost.length }, 'processor host died')
    void this.#warm(slot)
  }

  /** Starts a host that nobody waits for. */
  async #warm(slot: number): Promise<void> {
    await this.#host(slot).catch(e => {
      if (!this.#closed) this.#ctx.log.error({ err: e as Error }, 'processor host')
    })
  }

  #tell(s: RunStatus): void {
    if (s.phase === 'gone') this.#known.delete(s.id)
    else this.#known.set(s.id, s)
    for (const tell of this.#listeners) tell(s)
  }
}
