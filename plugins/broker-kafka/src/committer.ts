import type { Call } from '@fnaa/core/plugin'

/**
 * Commits of one reader, written together: those that come while one is being written go into the next, and each caller waits
 * for the one that holds his.
 */
export class Committer {
  readonly #write: (offsets: Map<number, number>, c: Call) => Promise<void>
  readonly #signal: AbortSignal
  #pending = new Map<number, number>()
  #next: Promise<void> | null = null
  #tail: Promise<void> = Promise.resolve()

  constructor(write: (offsets: Map<number, number>, c: Call) => Promise<void>, signal: AbortSignal) {
    this.#write = write
    this.#signal = signal
  }

  commit(partition: number, offset: number): Promise<void> {
    this.#pending.set(partition, offset)
    this.#next ??= this.#begin()
    return this.#next
  }

  /** Resolves when all that was given is written, or has failed. */
  drained(): Promise<void> {
    return this.#tail.catch(() => undefined)
  }

  #begin(): Promise<void> {
    const mine = this.#tail
      .catch(() => undefined)
      .then(() => {
        const offsets = this.#pending
        this.#pending = new Map()
        this.#next = null
        return this.#write(offsets, { signal: this.#signal })
      })
    this.#tail = mine
    mine.catch(() => undefined)
    return mine
  }
}
