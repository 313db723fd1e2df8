import type { Call } from '@fnaa/core/plugin'
import { pause } from '@fnaa/kafka-wire'

/**
 * Milliseconds from the beginning of one commit to that of the next: each costs two requests, whatever it holds. What was delivered
 * meanwhile is delivered again after a crash.
 */
const EVERY_MS = 50

/**
 * Commits of one reader, written together: those that come while one is being written, or waits for its turn, go into the next,
 * and each caller waits for the one that holds his.
 */
export class Committer {
  readonly #write: (offsets: Map<number, number>, c: Call) => Promise<void>
  readonly #signal: AbortSignal
  readonly #hurry = new AbortController()
  #pending = new Map<number, number>()
  #next: Promise<void> | null = null
  #tail: Promise<void> = Promise.resolve()
  #begun = Number.NEGATIVE_INFINITY

  constructor(write: (offsets: Map<number, number>, c: Call) => Promise<void>, signal: AbortSignal) {
    this.#write = write
    this.#signal = signal
  }

  commit(partition: number, offset: number): Promise<void> {
    this.#pending.set(partition, offset)
    this.#next ??= this.#begin()
    return this.#next
  }

  /** What was given and is not being written yet holds no more. */
  forget(): void {
    this.#pending.clear()
  }

  /** Resolves when all that was given is written, or has failed; nothing waits for its turn any more. */
  drained(): Promise<void> {
    this.#hurry.abort()
    return this.#tail.catch(() => undefined)
  }

  #begin(): Promise<void> {
    const mine = this.#tail
      .catch(() => undefined)
      .then(() => this.#turn())
      .then(() => {
        const offsets = this.#pending
        this.#pending = new Map()
        this.#next = null
        return offsets.size === 0 ? undefined : this.#write(offsets, { signal: this.#signal })
      })
    this.#tail = mine
    mine.catch(() => undefined)
    return mine
  }

  async #turn(): Promise<void> {
    const wait = this.#begun + EVERY_MS - performance.now()
    if (wait > 0) await pause(wait, this.#hurry.signal)
    this.#begun = performance.now()
  }
}
