import { encodeDataHead, encodeFrame, type Frame, FrameReader, isFnapError } from '@fnaa/protocol'
import { ClientError } from './errors.js'
import { abandon } from './reply.js'
import type { Transport } from './transport.js'

export interface FrameStreamOptions {
  /** Milliseconds without any frame after which the connection is taken for dead; absent, for ever. */
  readonly idleMs?: number
}
export type EndFrame = Extract<Frame, { type: 'E' }>

/** How long `end` waits for the other side's E, in milliseconds. */
const END_MS = 10_000

/**
 * Frames after `220 STREAM`, in both directions. Frames are pulled: while nobody asks for the next one, nothing is read
 * from the socket. When both sides have sent E the connection speaks lines again.
 */
export class FrameStream implements AsyncIterable<Frame> {
  readonly #transport: Transport
  readonly #release: () => void
  readonly #idleMs: number | undefined
  readonly #reader = new FrameReader()
  #theirs: EndFrame | null = null
  #sentEnd = false
  #released = false
  #tail: Promise<unknown> = Promise.resolve()

  constructor(transport: Transport, release: () => void, opt: FrameStreamOptions = {}) {
    this.#transport = transport
    this.#release = release
    this.#idleMs = opt.idleMs
  }

  /** The other side's E, once it has come. */
  get ended(): EndFrame | null {
    return this.#theirs
  }

  /**
   * The next frame, or null after the other side's E. Calls are answered in order.
   * @throws FNA_ERR_CORRUPT or FNA_ERR_TOO_LARGE for a bad frame, FNA_ERR_TIMEOUT when idle too long (both close),
   * FNA_ERR_UNAVAILABLE where the connection breaks: a stream without its E is not complete
   */
  next(): Promise<Frame | null> {
    const result = this.#tail.then(() => this.#read())
    this.#tail = result.catch(() => {})
    return result
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Frame, void> {
    for (let frame = await this.next(); frame; frame = await this.next()) yield frame
  }

  /** Sends a frame; resolves when the socket takes more. */
  send(frame: Frame): Promise<void> {
    if (this.#sentEnd) return Promise.reject(new ClientError('FNA_ERR_CLOSED', 'E has been sent: no frame follows it'))
    if (frame.type === 'E') this.#sentEnd = true
    return this.#sent(this.#transport.send(encodeFrame(frame)))
  }

  /** Sends a D frame without copying the batch. */
  sendData(shard: string, cursor: string, batch: Uint8Array): Promise<void> {
    if (this.#sentEnd) return Promise.reject(new ClientError('FNA_ERR_CLOSED', 'E has been sent: no frame follows it'))
    const { stream } = this.#transport
    stream.cork()
    const head = this.#transport.send(encodeDataHead(shard, cursor, batch.length))
    const body = this.#transport.send(batch)
    stream.uncork()
    return this.#sent(Promise.all([head, body]))
  }

  /**
   * Ends the stream: sends E (220 unless told otherwise), reads on to the other side's E and drops what comes before it.
   * @returns the other side's E
   */
  async end(frame: EndFrame = { type: 'E', code: 220, text: 'OK' }): Promise<EndFrame> {
    const timer = setTimeout(() => {
      abandon(this.#transport, 'FNA_ERR_TIMEOUT', 'the other side does not end the stream')
    }, END_MS)
    try {
      if (!this.#sentEnd) await this.send(frame)
      while (!this.#theirs) await this.next()
      return this.#theirs
    } finally {
      clearTimeout(timer)
    }
  }

  async #sent(written: Promise<unknown>): Promise<void> {
    await written
    this.#maybeRelease()
  }

  async #read(): Promise<Frame | null> {
    if (this.#theirs) return null
    const timer = this.#idleMs === undefined ? undefined : setTimeout(() => this.#idle(), this.#idleMs)
    try {
      return await this.#nextFrame()
    } finally {
      clearTimeout(timer)
    }
  }

  async #nextFrame(): Promise<Frame | null> {
    for (;;) {
      const frame = this.#decode()
      if (frame) {
        if (frame.type === 'E') this.#theirs = frame
        this.#maybeRelease()
        return frame
      }
      const chunk = await this.#transport.chunk()
      if (!chunk) throw new ClientError('FNA_ERR_UNAVAILABLE', 'the connection ended inside a stream')
      this.#reader.push(chunk)
    }
  }

  #decode(): Frame | null {
    try {
      return this.#reader.next()
    } catch (e) {
      const long = isFnapError(e) && (e.symbol === 'TOOLONG' || e.symbol === 'LINETOOLONG')
      const why = isFnapError(e) ? e.sentence : 'it cannot be read'
      throw abandon(this.#transport, long ? 'FNA_ERR_TOO_LARGE' : 'FNA_ERR_CORRUPT', `a frame is not valid: ${why}`, e)
    }
  }

  #idle(): void {
    abandon(this.#transport, 'FNA_ERR_TIMEOUT', 'the other side sent nothing for too long')
  }

  #maybeRelease(): void {
    if (this.#released || !this.#sentEnd || !this.#theirs) return
    this.#released = true
    this.#transport.unread(this.#reader.rest())
    this.#release()
  }
}
