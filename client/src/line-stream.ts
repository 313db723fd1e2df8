import { LIMITS } from '@fnaa/protocol'
import type { Dialogue } from './dialogue.js'
import { abandon, isEnd } from './reply.js'

/** A line with an event: base64 and escapes make it longer than the event is. */
export const EVENT_LINE = 2 * LIMITS.event + LIMITS.jsonLine

/** How long an iteration that was left early waits for the end of its reply, in milliseconds. */
const DRAIN_MS = 5000

/**
 * The data lines of one reply, pulled one by one: a reader that does not read stops the agent. A reply that breaks off
 * before `220 OK` throws FNA_ERR_UNAVAILABLE; what came before it has been seen by then, and may be void.
 */
export class LineStream implements AsyncIterableIterator<string> {
  readonly #dialogue: Dialogue
  readonly #release: () => void
  readonly #limit: number
  #over = false
  #stopped = false

  constructor(dialogue: Dialogue, release: () => void, limit = EVENT_LINE) {
    this.#dialogue = dialogue
    this.#release = release
    this.#limit = limit
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<string, undefined>> {
    if (this.#over) return { done: true, value: undefined }
    const { transport } = this.#dialogue
    transport.limit = this.#limit
    try {
      const line = await transport.line()
      this.#dialogue.seen(line)
      if (!isEnd(line)) return { done: false, value: line }
    } catch (e) {
      this.#finish()
      throw e
    }
    this.#finish()
    return { done: true, value: undefined }
  }

  /** Asks a READ with FOLLOW to end. The lines that are under way still come, then the end. */
  async stop(): Promise<void> {
    if (this.#over || this.#stopped) return
    this.#stopped = true
    await this.#dialogue.send('')
  }

  /** Leaving a `for await` early stops the reply and reads up to its end; a reply that goes on is cut with the connection. */
  async return(): Promise<IteratorResult<string, undefined>> {
    if (!this.#over) {
      const timer = setTimeout(() => {
        abandon(this.#dialogue.transport, 'FNA_ERR_CLOSED', 'the reply was given up before its end')
      }, DRAIN_MS)
      await this.stop().catch(() => {})
      while (!this.#over) await this.next().catch(() => {})
      clearTimeout(timer)
    }
    return { done: true, value: undefined }
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.#release()
  }
}
