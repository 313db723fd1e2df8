import type { Clock } from '@fnaa/core'

interface Timer {
  readonly due: number
  readonly fire: () => void
}

/** A clock that goes as the machine's does and can be turned forward: what comes due then, fires. */
export class TurnableClock implements Clock {
  #offset = 0
  readonly #timers = new Set<Timer>()

  now(): number {
    return Date.now() + this.#offset
  }

  timer(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      if (signal.aborted) return resolve()
      const real = setTimeout(() => fire(), Math.min(ms, 2 ** 31 - 1))
      real.unref()
      const fire = () => {
        clearTimeout(real)
        this.#timers.delete(timer)
        signal.removeEventListener('abort', fire)
        resolve()
      }
      const timer: Timer = { due: this.now() + ms, fire }
      this.#timers.add(timer)
      signal.addEventListener('abort', fire, { once: true })
    })
  }

  /** Milliseconds forward. */
  turn(ms: number): void {
    this.#offset += ms
    const now = this.now()
    for (const t of [...this.#timers].filter(t => t.due <= now).sort((a, b) => a.due - b.due)) t.fire()
  }
}

export const MINUTE = 60_000
export const DAY = 86_400_000
