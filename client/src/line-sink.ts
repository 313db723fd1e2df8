import type { Dialogue } from './dialogue.js'
import { ClientError } from './errors.js'
import { type Reply, ReplyError } from './reply.js'

/** The lines of a WRITE, after the agent's 354. Awaiting `send` is the back-pressure. */
export class LineSink {
  readonly #dialogue: Dialogue
  readonly #reply: () => Promise<Reply>
  readonly #release: () => void
  #over = false

  /** `reply` reads the last reply, `release` lets the next command go out. */
  constructor(dialogue: Dialogue, reply: () => Promise<Reply>, release: () => void) {
    this.#dialogue = dialogue
    this.#reply = reply
    this.#release = release
  }

  /**
   * One event. A leading dot is doubled here.
   * @throws FNA_ERR_INVALID for a CR, LF or NUL inside; ReplyError where the agent has refused already
   */
  async send(line: string): Promise<void> {
    if (this.#over) throw new ClientError('FNA_ERR_CLOSED', 'this WRITE is over')
    if (/[\r\n\0]/.test(line)) throw new ClientError('FNA_ERR_INVALID', 'an event line holds no CR, LF or NUL')
    // An agent speaks before the final dot only to refuse.
    if (this.#dialogue.transport.buffered > 0) throw new ReplyError(await this.#finish())
    await this.#dialogue.send(line.startsWith('.') ? `.${line}` : line)
  }

  /** Ends the body; resolves with the agent's reply, which comes when the events are durable. Errors are a Reply too. */
  async end(): Promise<Reply> {
    if (this.#over) throw new ClientError('FNA_ERR_CLOSED', 'this WRITE is over')
    await this.#dialogue.send('.')
    return this.#finish()
  }

  /** Gives up: nothing is written. The connection ends, since half a body cannot be taken back. */
  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#dialogue.transport.destroy(new ClientError('FNA_ERR_CLOSED', 'a WRITE was given up'))
    this.#release()
  }

  async #finish(): Promise<Reply> {
    this.#over = true
    try {
      return await this.#reply()
    } finally {
      this.#release()
    }
  }
}
