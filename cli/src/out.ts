import type { Writable } from 'node:stream'
import { OutputClosed } from './errors.js'

/** Standard output for data: it waits while its reader is slow, and ends quietly when the reader has gone. */
export class Out {
  readonly #stream: Writable & { isTTY?: boolean; columns?: number }
  readonly #closed = new AbortController()
  #wake: (() => void) | null = null

  constructor(stream: Writable) {
    this.#stream = stream
    stream.on('error', (e: NodeJS.ErrnoException) => {
      // EPIPE: `fnua read … | head -1`. Any other error, such as a full disk, leaves no output either.
      this.#closed.abort(e.code === 'EPIPE' ? new OutputClosed() : e)
      this.#wake?.()
    })
    stream.on('drain', () => this.#wake?.())
  }

  get terminal(): boolean {
    return this.#stream.isTTY === true
  }
  /** Aborts when the reader has gone. */
  get closed(): AbortSignal {
    return this.#closed.signal
  }

  /** @throws OutputClosed */
  async write(text: string): Promise<void> {
    this.#closed.signal.throwIfAborted()
    if (this.#stream.write(text)) return
    await new Promise<void>(resolve => {
      this.#wake = resolve
    })
    this.#wake = null
    this.#closed.signal.throwIfAborted()
  }

  /** Resolves when all that was written has left the process. @throws OutputClosed */
  async flush(): Promise<void> {
    await new Promise<void>(resolve => this.#stream.write('', () => resolve()))
    this.#closed.signal.throwIfAborted()
  }
}
