import type { Duplex } from 'node:stream'
import { isFnapError, LineReader } from '@fnaa/protocol'
import { ClientError } from './errors.js'

/**
 * Lines, and later frames, over a byte stream. It pulls: nothing is read from the stream that nobody asked for, so a
 * slow reader stops the other side by TCP alone, and no byte is ever taken past a STARTTLS.
 */
export class Transport {
  #stream: Duplex
  #reader: LineReader
  #wake: (() => void) | null = null
  #ended = false
  #error: Error | null = null
  #drained: Promise<void> | null = null
  readonly #closed: Promise<void>
  #close!: () => void

  constructor(stream: Duplex) {
    this.#reader = new LineReader()
    this.#closed = new Promise(resolve => {
      this.#close = resolve
    })
    this.#stream = stream
    this.#attach(stream)
  }

  get stream(): Duplex {
    return this.#stream
  }

  /** Resolves when the connection is over, for whatever reason. */
  get closed(): Promise<void> {
    return this.#closed
  }

  get open(): boolean {
    return this.#error === null && !this.#ended && !this.#stream.destroyed
  }

  /** Longest line, in bytes with its CRLF, from the next line on. */
  set limit(bytes: number) {
    this.#reader.limit = bytes
  }

  /** Bytes that came and that nobody has read. */
  get buffered(): number {
    return this.#reader.buffered + this.#stream.readableLength
  }

  /**
   * The next line without CRLF.
   * @throws FNA_ERR_CORRUPT for bytes that are no line, FNA_ERR_TOO_LARGE over the limit (both end the connection),
   * FNA_ERR_UNAVAILABLE when the connection is over
   */
  async line(): Promise<string> {
    for (;;) {
      const line = this.#nextLine()
      if (line !== null) return line
      const chunk = this.#stream.read() as Buffer | null
      if (chunk) this.#reader.push(chunk)
      else await this.#moreOrThrow()
    }
  }

  /** The next bytes as they came, or null at the end of the stream: for frames. */
  async chunk(): Promise<Buffer | null> {
    for (;;) {
      const rest = this.#reader.rest()
      if (rest.length > 0) return rest
      const chunk = this.#stream.read() as Buffer | null
      if (chunk) return chunk
      if (this.#ended && !this.#error) return null
      await this.#moreOrThrow()
    }
  }

  /** Gives bytes back that belong to what follows: lines again after the last frame. */
  unread(bytes: Buffer): void {
    if (bytes.length > 0) this.#reader.push(bytes)
  }

  /** Resolves when the stream takes more: awaiting it is the back-pressure of the sending side. */
  async send(data: string | Uint8Array): Promise<void> {
    if (!this.open) throw this.#reason()
    if (this.#stream.write(data)) return
    this.#drained ??= this.#drain()
    await this.#drained
    if (this.#error) throw this.#reason()
  }

  /** One wait for all who send: a listener for each of them would be many. */
  async #drain(): Promise<void> {
    const stream = this.#stream
    await new Promise<void>(resolve => {
      const done = () => {
        stream.off('drain', done).off('close', done)
        resolve()
      }
      stream.on('drain', done).on('close', done)
    })
    this.#drained = null
  }

  /** Lets go of the stream, for a TLS handshake on it. */
  detach(): Duplex {
    const stream = this.#stream
    stream
      .off('readable', this.#onReadable)
      .off('end', this.#onEnd)
      .off('error', this.#onError)
      .off('close', this.#onClose)
    return stream
  }

  /** Goes on with another stream and an empty buffer: what was read before TLS must not count after it. */
  replace(stream: Duplex): void {
    const { limit } = this.#reader
    this.#reader = new LineReader(limit)
    this.#stream = stream
    this.#attach(stream)
  }

  /** Says good-bye by TCP: what was written still goes out. */
  end(): void {
    if (!this.#stream.destroyed) this.#stream.end()
  }

  destroy(error?: Error): void {
    this.#error ??= error ?? new ClientError('FNA_ERR_CLOSED', 'the connection was closed on this side')
    this.#stream.destroy()
    this.#finish()
  }

  #nextLine(): string | null {
    try {
      return this.#reader.next()
    } catch (e) {
      const long = isFnapError(e) && e.symbol === 'LINETOOLONG'
      const error = long
        ? new ClientError('FNA_ERR_TOO_LARGE', 'the other side sent a line over the limit')
        : new ClientError('FNA_ERR_CORRUPT', 'the other side sent bytes that are no line')
      this.destroy(error)
      throw error
    }
  }

  async #moreOrThrow(): Promise<void> {
    if (this.#error || this.#ended || this.#stream.destroyed) throw this.#reason()
    await new Promise<void>(resolve => {
      this.#wake = resolve
    })
  }

  #reason(): Error {
    return this.#error ?? new ClientError('FNA_ERR_UNAVAILABLE', 'the other side closed the connection')
  }

  #attach(stream: Duplex): void {
    stream.on('readable', this.#onReadable).on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose)
    if (stream.destroyed) this.#onClose()
  }

  #rouse(): void {
    const wake = this.#wake
    this.#wake = null
    wake?.()
  }

  #finish(): void {
    this.#rouse()
    this.#close()
  }

  readonly #onReadable = (): void => {
    // While nobody reads, an empty `readable` is the end of the stream, which shows only when it is read.
    if (this.#wake) this.#rouse()
    else if (this.#stream.readableLength === 0) this.#stream.read()
  }
  readonly #onEnd = (): void => {
    this.#ended = true
    this.#rouse()
  }
  readonly #onError = (cause: Error): void => {
    this.#error ??= new ClientError('FNA_ERR_UNAVAILABLE', 'the connection broke', { cause })
    this.#rouse()
  }
  readonly #onClose = (): void => {
    this.#ended = true
    this.#finish()
  }
}
