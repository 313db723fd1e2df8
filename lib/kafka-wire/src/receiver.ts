import { KafkaError } from './errors.js'

/**
 * Cuts a stream into answers. Each is received into memory of exactly its size, so that what is cut out of it later keeps nothing
 * else alive, and no byte is copied twice.
 */
export class Receiver {
  readonly #most: number
  readonly #done: (answer: Buffer) => void
  readonly #head = Buffer.alloc(4)
  #headAt = 0
  #body: Buffer | null = null
  #bodyAt = 0

  /** @param most the longest answer in bytes */
  constructor(most: number, done: (answer: Buffer) => void) {
    this.#most = most
    this.#done = done
  }

  /** @throws KafkaError for a length that cannot be */
  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#body === null) {
        while (this.#headAt < 4 && at < chunk.length) this.#head[this.#headAt++] = chunk[at++]!
        if (this.#headAt < 4) return
        const length = this.#head.readInt32BE(0)
        if (length < 4 || length > this.#most)
          throw new KafkaError(
            'INVALID_RESPONSE',
            `an answer of ${length} bytes: is this a Kafka listener, and is it one with TLS?`,
          )
        this.#body = Buffer.allocUnsafeSlow(length)
        this.#bodyAt = 0
        this.#headAt = 0
      }
      const n = Math.min(chunk.length - at, this.#body.length - this.#bodyAt)
      this.#body.set(n === chunk.length ? chunk : chunk.subarray(at, at + n), this.#bodyAt)
      this.#bodyAt += n
      at += n
      if (this.#bodyAt === this.#body.length) {
        const body = this.#body
        this.#body = null
        this.#done(body)
      }
    }
  }
}
