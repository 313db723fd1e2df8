import { once } from 'node:events'

export interface Message {
  readonly head: object
  readonly body: Buffer
}

/** Messages of a line of JSON and bytes behind it, for the broker of the tests. */
export class Messages {
  readonly #stream: NodeJS.ReadWriteStream
  #held = Buffer.alloc(0)
  #wake: (() => void)[] = []
  #over = false

  constructor(stream: NodeJS.ReadWriteStream) {
    this.#stream = stream
    stream.on('data', (d: Buffer) => {
      this.#held = Buffer.concat([this.#held, d])
      this.#stir()
    })
    const end = () => {
      this.#over = true
      this.#stir()
    }
    stream.on('close', end).on('end', end).on('error', end)
  }

  send(head: object, body: Uint8Array = Buffer.alloc(0)): boolean {
    if (this.#over) return true
    return this.#stream.write(
      Buffer.concat([Buffer.from(`${JSON.stringify({ ...head, length: body.length })}\n`), body]),
    )
  }

  /** Waits until the other side has read. */
  async flow(head: object, body: Uint8Array): Promise<void> {
    if (!this.send(head, body) && !this.#over)
      await Promise.race([once(this.#stream, 'drain'), once(this.#stream, 'close')])
  }

  async next(): Promise<Message | null> {
    for (;;) {
      const line = this.#held.indexOf(10)
      if (line >= 0) {
        const head = JSON.parse(this.#held.subarray(0, line).toString()) as { length: number }
        if (this.#held.length >= line + 1 + head.length) {
          const body = Buffer.from(this.#held.subarray(line + 1, line + 1 + head.length))
          this.#held = this.#held.subarray(line + 1 + head.length)
          return { head, body }
        }
      }
      if (this.#over) return null
      await new Promise<void>(resolve => this.#wake.push(resolve))
    }
  }

  #stir(): void {
    for (const go of this.#wake.splice(0)) go()
  }
}
