import type { Clock } from '@fnaa/core/plugin'

interface Timer {
  readonly due: number
  readonly fire: () => void
}

/** A clock that stands still until it is turned. Milliseconds since 1970-01-01T00:00Z. */
export class TestClock implements Clock {
  private time: number
  private readonly timers = new Set<Timer>()

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.time = start
  }

  now(): number {
    return this.time
  }

  timer(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const fire = () => {
        this.timers.delete(timer)
        signal.removeEventListener('abort', fire)
        resolve()
      }
      const timer = { due: this.time + ms, fire }
      this.timers.add(timer)
      signal.addEventListener('abort', fire)
    })
  }

  /** How many timers wait. */
  get waiting(): number {
    return this.timers.size
  }

  /**
   * Turns the clock forward by `ms`. Timers that come due fire one after the other, each at its own time, and what they
   * set going gets turns of the event loop before the next: a loop that sets its timer anew is run as often as it would be.
   */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms
    for (;;) {
      const next = [...this.timers].filter(t => t.due <= end).sort((a, b) => a.due - b.due)[0]
      if (!next) break
      this.time = Math.max(this.time, next.due)
      next.fire()
      await turns()
    }
    this.time = end
    await turns()
  }
}

const TURNS = 5

/** A few turns of the event loop. */
async function turns(): Promise<void> {
  for (let i = 0; i < TURNS; i++) await new Promise(resolve => setImmediate(resolve))
}
