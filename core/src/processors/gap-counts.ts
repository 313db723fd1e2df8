import { signalAfter } from '@fnaa/client'
import type { RunStatus } from '../contract/processor.js'
import type { Kernel } from '../kernel.js'
import { SUBSCRIBER } from './feeds.js'

/** What runs tell of gaps, kept: in the subscription that a run is for, and in the subscriber whose copy lacks something. */
export class GapCounts {
  readonly #k: Kernel
  /** What has been counted of each run, and of each of its sinks. */
  readonly #counted = new Map<string, { readonly epoch: number; readonly gaps: ReadonlyMap<string, number> }>()

  constructor(kernel: Kernel) {
    this.#k = kernel
  }

  count(s: RunStatus): void {
    const known = this.#counted.get(s.id)
    const before = known?.epoch === s.epoch ? known.gaps : new Map<string, number>()
    const now = new Map([['', s.rates?.['gaps'] ?? 0]])
    for (const [sink, { gaps }] of Object.entries(s.sinks ?? {})) now.set(sink, gaps ?? 0)
    this.#counted.set(s.id, { epoch: s.epoch, gaps: now })
    for (const [sink, gaps] of now) {
      const more = gaps - (before.get(sink) ?? 0)
      if (more <= 0) continue
      const kept = sink === '' ? this.#subscription(s.id, more) : this.#subscriber(sink, more)
      kept.catch(err => this.#k.log.warn({ processor: s.id, err }, 'a gap is not counted'))
    }
  }

  forget(run: string): void {
    this.#counted.delete(run)
  }

  async #subscription(id: string, more: number): Promise<void> {
    const c = { signal: signalAfter(10_000), reserve: true }
    await this.#k.resources.update(
      'Subscription',
      id,
      n => ({ status: { ...n.status, gaps: (n.status.gaps ?? 0) + more } }),
      c,
    )
  }

  /** Its agent hears of it when it asks, which it is told to. */
  async #subscriber(sink: string, more: number): Promise<void> {
    if (!sink.startsWith(SUBSCRIBER)) return
    const c = { signal: signalAfter(10_000), reserve: true }
    const s = await this.#k.resources.update(
      'Subscriber',
      sink.slice(SUBSCRIBER.length),
      n => ({ status: { ...n.status, gaps: (n.status.gaps ?? 0) + more } }),
      c,
    )
    if (s) this.#k.peers.hint(s.spec.peer, s.spec.flow, s.spec.id)
  }
}
