import type { AnyAnswer } from './resolver.js'

/** Answers until their TTL ends; the oldest go when there are too many. */
export class AnswerCache {
  readonly #entries = new Map<string, { readonly answer: AnyAnswer; readonly until: number }>()
  readonly #size: number
  readonly #now: () => number

  constructor(size: number, now: () => number) {
    this.#size = size
    this.#now = now
  }

  /** The answer with what is left of its TTL (seconds), or null. */
  get(key: string): AnyAnswer | null {
    const entry = this.#entries.get(key)
    if (!entry) return null
    const left = entry.until - this.#now()
    if (left > 0) return { ...entry.answer, ttl: Math.ceil(left / 1000) }
    this.#entries.delete(key)
    return null
  }

  put(key: string, answer: AnyAnswer): void {
    if (this.#size <= 0 || answer.ttl <= 0 || this.#entries.has(key)) return
    const oldest = this.#entries.keys().next()
    if (this.#entries.size >= this.#size && !oldest.done) this.#entries.delete(oldest.value)
    this.#entries.set(key, { answer, until: this.#now() + answer.ttl * 1000 })
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }

  /** Keys are `<type> <name>`. */
  forget(name?: string): void {
    for (const key of [...this.#entries.keys()]) {
      if (name === undefined || key.endsWith(` ${name}`)) this.#entries.delete(key)
    }
  }
}
