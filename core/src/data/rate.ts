import type { Clock } from '../contract/common.js'
import type { Limits } from '../contract/kinds.js'

/** A token bucket of one second for events and bytes: `wait` resolves when the next batch may go. */
export class Rate {
  readonly #clock: Clock
  readonly #limits: () => Limits
  #due = 0

  /** `limits` is asked each time: an owner's UPDATE SUBSCRIBER holds at once. */
  constructor(clock: Clock, limits: () => Limits) {
    this.#clock = clock
    this.#limits = limits
  }

  async wait(events: number, bytes: number, signal: AbortSignal): Promise<void> {
    const { bytesPerSecond, eventsPerSecond } = this.#limits()
    if (bytesPerSecond === undefined && eventsPerSecond === undefined) return
    const now = this.#clock.now()
    const cost = Math.max(
      bytesPerSecond === undefined ? 0 : (bytes / Math.max(1, bytesPerSecond)) * 1000,
      eventsPerSecond === undefined ? 0 : (events / Math.max(1, eventsPerSecond)) * 1000,
    )
    // A second's worth may go at once; what was spent above it is waited for.
    this.#due = Math.max(this.#due, now - 1000) + cost
    if (this.#due > now) await this.#clock.timer(this.#due - now, signal)
  }
}
