import type { Socket } from 'node:net'

/** Characters of replies that are held back at most while a chunk's lines run. */
const OUT_HIGH = 1 << 20

/** What goes out on a connection: replies are held while a chunk's lines run, and written once. */
export class Output {
  readonly #socket: Socket
  /** Replies are held. */
  holding = false
  /** What is written and not read holds up the lines that would make more. */
  crowded = false
  #out = ''
  #wide = false
  #acknowledge: (() => void) | null = null
  #armed = false
  #written = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Appends to the reply under way, which is written with the chunk. `wide`: the text may hold more than Latin-1. */
  send(text: string, wide = false): void {
    this.#out += text
    if (wide) this.#wide = true
    if (this.holding && this.#out.length <= OUT_HIGH) return
    this.flush()
    this.crowded = this.#socket.writableNeedDrain
  }

  /** Writes at once. */
  write(data: string | Uint8Array): boolean {
    this.flush()
    if (this.#socket.destroyed) return false
    return typeof data === 'string' ? this.#socket.write(data, 'utf8') : this.#socket.write(data)
  }

  flush(): void {
    if (this.#out === '' || this.#socket.destroyed) return
    const encoding = this.#wide ? 'utf8' : 'latin1'
    const out = this.#out
    this.#out = ''
    this.#wide = false
    this.#armed = false
    const ack = this.#acknowledge
    if (ack === null) this.#socket.write(out, encoding)
    else {
      this.#socket.write(out, encoding, () => {
        if (ack === this.#acknowledge) this.#armed = true
      })
    }
  }

  /** Resolves when what was written is below the high-water mark, the connection has gone, or `signal` aborts. */
  drained(signal?: AbortSignal): Promise<void> {
    this.flush()
    if (!this.#socket.writableNeedDrain || this.#socket.destroyed || signal?.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const done = () => {
        this.#socket.off('drain', done)
        this.#socket.off('close', done)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      this.#socket.on('drain', done)
      this.#socket.on('close', done)
      signal?.addEventListener('abort', done)
    })
  }

  /** Runs `done` when a line arrives after the last byte of the reply was written out (hardening H29). */
  acknowledge(done: () => void): void {
    this.#acknowledge = done
    this.#armed = false
  }

  /** Bytes have arrived; the end of a line in them is an acknowledgement. */
  heard(chunk: Buffer): void {
    if (!this.#armed || !chunk.includes(10)) return
    const done = this.#acknowledge
    this.#acknowledge = null
    this.#armed = false
    done?.()
  }

  /** False where the client has read nothing of what waits for it since the last call. */
  progress(): boolean {
    const written = this.#socket.bytesWritten - this.#socket.writableLength
    const moved = written !== this.#written
    this.#written = written
    return moved || this.#socket.writableLength === 0
  }
}
