import type { Clock } from '../contract/common.js'

const MOST_KEYS = 10_000

/** How often something may happen, by who does it: so many at once, then so many a second. In bounded memory. */
export class Pace {
  readonly #clock: Clock
  readonly #burst: number
  readonly #perSecond: number
  /** When all that somebody did will have been paid for (milliseconds of the clock). */
  readonly #paid = new Map<string, number>()

  constructor(clock: Clock, opt: { readonly burst: number; readonly perSecond: number }) {
    this.#clock = clock
    this.#burst = opt.burst
    this.#perSecond = opt.perSecond
  }

  /** Milliseconds until it may happen once more; 0 where it may now. */
  wait(key: string): number {
    const now = this.#clock.now()
    return Math.max(0, this.#after(key, now) - now - (this.#burst * 1000) / this.#perSecond)
  }

  /** It has happened, whether it might or not. */
  spend(key: string): void {
    const now = this.#clock.now()
    if (this.#paid.size >= MOST_KEYS) for (const [k, t] of this.#paid) if (t <= now) this.#paid.delete(k)
    const oldest = this.#paid.keys().next()
    if (this.#paid.size >= MOST_KEYS && !oldest.done) this.#paid.delete(oldest.value)
    this.#paid.set(key, this.#after(key, now))
  }

  /** It has not happened after all. */
  refund(key: string): void {
    const paid = this.#paid.get(key)
    if (paid !== undefined) this.#paid.set(key, paid - 1000 / this.#perSecond)
  }

  #after(key: string, now: number): number {
    return Math.max(this.#paid.get(key) ?? 0, now) + 1000 / this.#perSecond
  }
}
