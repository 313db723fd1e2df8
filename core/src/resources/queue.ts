import type { Clock } from '../contract/common.js'

/** Returns milliseconds until it wants to look again, or nothing. Throwing means: try again later, with backoff. */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<number | undefined>

export interface QueueOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly reconcile: Reconcile
  readonly onError?: (key: string, error: unknown, retryMs: number) => void
  /** Normal and urgent workers; without the urgent ones a revoke waits behind every stuck key. */
  readonly workers?: number
  readonly urgentWorkers?: number
  /** Milliseconds of the first and the longest pause after a failure. */
  readonly base?: number
  readonly max?: number
  readonly random?: () => number
}

interface Run {
  readonly abort: AbortController
  readonly urgent: boolean
  /** It waits for another key's run, so it holds no worker. */
  parked: boolean
}

/**
 * The controllers' queue: one run per key at a time, an urgent lane with workers of its own, preemption when the spec
 * changed, exponential backoff with jitter. A key that is added while it runs, runs again afterwards.
 */
export class WorkQueue {
  readonly #o: Required<Omit<QueueOptions, 'onError'>> & Pick<QueueOptions, 'onError'>
  readonly #lanes = { urgent: new Set<string>(), normal: new Set<string>() }
  readonly #running = new Map<string, Run>()
  readonly #again = new Map<string, boolean>()
  readonly #failures = new Map<string, number>()
  readonly #later = new Map<string, AbortController>()
  #idle: (() => void)[] = []

  constructor(options: QueueOptions) {
    this.#o = { workers: 16, urgentWorkers: 4, base: 100, max: 300_000, random: Math.random, ...options }
  }

  /** `preempt` aborts the run under way, whose work a newer spec has overtaken. */
  add(key: string, opt: { urgent?: boolean; preempt?: boolean } = {}): void {
    if (this.#o.signal.aborted) return
    this.#later.get(key)?.abort()
    this.#later.delete(key)
    const urgent = opt.urgent ?? false
    const run = this.#running.get(key)
    if (run) {
      this.#again.set(key, urgent || (this.#again.get(key) ?? false))
      if (opt.preempt) run.abort.abort()
      return
    }
    if (urgent) this.#lanes.normal.delete(key)
    if (!this.#lanes.urgent.has(key)) this.#lanes[urgent ? 'urgent' : 'normal'].add(key)
    this.#pump()
  }

  /** Adds the key after `ms` milliseconds of the clock, unless it is added before. */
  addAfter(key: string, ms: number): void {
    this.#later.get(key)?.abort()
    const wait = new AbortController()
    this.#later.set(key, wait)
    void this.#o.clock.timer(ms, AbortSignal.any([wait.signal, this.#o.signal])).then(() => {
      if (wait.signal.aborted || this.#o.signal.aborted) return
      this.#later.delete(key)
      this.add(key)
    })
  }

  /** Forgets the failures of a key: something it depends on has changed. */
  fresh(key: string): void {
    if (this.#failures.delete(key)) this.add(key)
  }

  /**
   * Waits, inside the run of `key`, for what other keys' runs do. The worker is given back meanwhile: else as many waiting
   * runs as there are workers would wait for ever.
   */
  async park<T>(key: string, work: Promise<T>): Promise<T> {
    const run = this.#running.get(key)
    if (!run) return work
    run.parked = true
    this.#pump()
    try {
      return await work
    } finally {
      run.parked = false
    }
  }

  get size(): number {
    return this.#lanes.urgent.size + this.#lanes.normal.size + this.#running.size
  }

  /** Resolves when nothing runs and nothing waits for a worker (what waits for a time is not counted). */
  async idle(): Promise<void> {
    if (this.size > 0) await new Promise<void>(resolve => this.#idle.push(resolve))
  }

  /** Aborts what runs and waits until it has ended. */
  async stop(): Promise<void> {
    for (const wait of this.#later.values()) wait.abort()
    this.#lanes.normal.clear()
    this.#lanes.urgent.clear()
    this.#again.clear()
    for (const run of this.#running.values()) run.abort.abort()
    await this.idle()
  }

  #pick(): [string, boolean] | undefined {
    let busy = 0
    let urgentBusy = 0
    for (const r of this.#running.values()) {
      if (r.parked) continue
      busy++
      if (r.urgent) urgentBusy++
    }
    if (busy < this.#o.workers + this.#o.urgentWorkers) {
      for (const key of this.#lanes.urgent) if (!this.#running.has(key)) return [key, true]
    }
    if (busy - urgentBusy < this.#o.workers) {
      for (const key of this.#lanes.normal) if (!this.#running.has(key)) return [key, false]
    }
    return undefined
  }

  #pump(): void {
    for (let next = this.#pick(); next; next = this.#pick()) {
      const [key, urgent] = next
      this.#lanes[urgent ? 'urgent' : 'normal'].delete(key)
      void this.#run(key, urgent)
    }
  }

  async #run(key: string, urgent: boolean): Promise<void> {
    const abort = new AbortController()
    this.#running.set(key, { abort, urgent, parked: false })
    let wait: number | undefined
    try {
      wait = await this.#o.reconcile(key, AbortSignal.any([abort.signal, this.#o.signal]))
      this.#failures.delete(key)
    } catch (e) {
      if (!abort.signal.aborted && !this.#o.signal.aborted) wait = this.#backoff(key, e)
    }
    this.#running.delete(key)
    const again = this.#again.get(key)
    this.#again.delete(key)
    if (again !== undefined) this.add(key, { urgent: again })
    else if (wait !== undefined && !this.#o.signal.aborted) this.addAfter(key, wait)
    this.#pump()
    if (this.size === 0) for (const done of this.#idle.splice(0)) done()
  }

  #backoff(key: string, error: unknown): number {
    const n = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, n)
    const ms = Math.min(this.#o.max, this.#o.base * 2 ** Math.min(n - 1, 20)) * (0.5 + this.#o.random() / 2)
    this.#o.onError?.(key, error, Math.round(ms))
    return ms
  }
}
