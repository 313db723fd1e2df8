import { KafkaError } from './errors.js'

/** Bytes: what is read before it is known how long the answer is. Most answers are shorter. */
const AHEAD = 8192

/**
 * Cuts a stream into answers. Each lies in memory of its own, so that what is cut out of it later keeps nothing else alive; but
 * for its first bytes it is received straight into it.
 */
export class Receiver {
  readonly #most: () => number
  readonly #done: (answer: Buffer) => void
  readonly #take: (length: number) => Buffer
  readonly #head = Buffer.alloc(4)
  #headAt = 0
  #body: Buffer | null = null
  #bodyAt = 0
  #ahead: Buffer | null = null

  /**
   * @param most the longest that the next answer may be in bytes
   * @param take where an answer goes
   */
  constructor(
    most: () => number,
    done: (answer: Buffer) => void,
    take: (length: number) => Buffer = n => Buffer.allocUnsafeSlow(n),
  ) {
    this.#most = most
    this.#done = done
    this.#take = take
  }

  /** Where the next bytes may be written. */
  room(): Buffer {
    if (this.#body && this.#body.length - this.#bodyAt >= AHEAD) return this.#body.subarray(this.#bodyAt)
    this.#ahead ??= Buffer.allocUnsafeSlow(AHEAD)
    return this.#ahead
  }

  /** So many have been, into what `room` gave. @throws KafkaError for a length that cannot be */
  filled(bytes: number): void {
    if (this.#body && this.#body.length - this.#bodyAt >= AHEAD) this.#grown(bytes)
    else this.push(this.#ahead!.subarray(0, bytes))
  }

  /** Takes bytes from wherever they lie. @throws KafkaError for a length that cannot be */
  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#body === null) {
        while (this.#headAt < 4 && at < chunk.length) this.#head[this.#headAt++] = chunk[at++]!
        if (this.#headAt < 4) return
        this.#begin(this.#head.readInt32BE(0))
      }
      const body = this.#body!
      const n = Math.min(chunk.length - at, body.length - this.#bodyAt)
      body.set(n === chunk.length ? chunk : chunk.subarray(at, at + n), this.#bodyAt)
      at += n
      this.#grown(n)
    }
  }

  #begin(length: number): void {
    if (length < 4 || length > this.#most())
      throw new KafkaError(
        'INVALID_RESPONSE',
        `an answer of ${length} bytes: is this a Kafka listener, and is it one with TLS?`,
      )
    this.#body = this.#take(length)
    this.#bodyAt = 0
    this.#headAt = 0
  }

  #grown(by: number): void {
    this.#bodyAt += by
    if (this.#bodyAt < this.#body!.length) return
    const body = this.#body!
    this.#body = null
    this.#done(body)
  }
}
