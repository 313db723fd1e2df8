import type { FnapConnection, FrameStream } from '@fnaa/client'
import { type Call, FnaError, type Sink } from '@fnaa/core/plugin'
import { type Batch, encodeBatch, formatCommand, LIMITS, type Position, type Tier } from '@fnaa/protocol'

interface Waiting {
  readonly resolve: (r: { cursor: string }) => void
  readonly reject: (e: Error) => void
}

/** WRITE FORMAT BATCH: batches go out while there is credit, and are durable when their A comes back, in order. */
export class FnapSink implements Sink {
  readonly #connection: FnapConnection
  readonly #stream: FrameStream
  readonly #waiting: Waiting[] = []
  #credit = 0
  #more: (() => void)[] = []
  #failure: Error | null = null
  #tail: Promise<unknown> = Promise.resolve()

  private constructor(connection: FnapConnection, stream: FrameStream) {
    this.#connection = connection
    this.#stream = stream
    void this.#listen()
  }

  /** Resolves when the other agent has taken the WRITE: the right to write is proved. */
  static async open(connection: FnapConnection, flow: string, c: Call): Promise<FnapSink> {
    try {
      const line = formatCommand('WRITE FLOW', { flow }, { format: 'batch' })
      return new FnapSink(connection, await connection.stream(line, { signal: c.signal }))
    } catch (e) {
      connection.destroy()
      throw e
    }
  }

  async write(b: Batch, _opt: object, c: Call): Promise<{ cursor: string; tier: Tier }> {
    const sent = this.#tail.then(() => this.#send(b, c))
    this.#tail = sent.catch(() => undefined)
    const { acknowledged, tier } = await sent
    return { ...(await acknowledged), tier }
  }

  async restore(): Promise<Position | null> {
    return null
  }

  async close(): Promise<void> {
    await this.#tail
    this.#fail(new FnaError('FNA_ERR_CLOSED', 'the sink is closed'))
    this.#connection.destroy()
  }

  async #send(b: Batch, c: Call): Promise<{ acknowledged: Promise<{ cursor: string }>; tier: Tier }> {
    const asItCame = b.raw?.codec === 'none' || b.raw?.codec === 'gzip'
    const bytes: Uint8Array = asItCame ? b.raw!.bytes : encodeBatch(b.events({ bytes: LIMITS.expanded }))
    while (this.#credit <= 0 && !this.#failure && !c.signal.aborted) {
      await new Promise<void>(resolve => {
        this.#more.push(resolve)
        c.signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
    if (this.#failure) throw this.#failure
    if (c.signal.aborted) throw new FnaError('FNA_ERR_CLOSED', 'the write was called off')
    this.#credit -= bytes.length
    const acknowledged = new Promise<{ cursor: string }>((resolve, reject) => this.#waiting.push({ resolve, reject }))
    acknowledged.catch(() => undefined)
    await this.#stream.send({ type: 'D', shard: b.shard, cursor: b.last, batch: bytes })
    return { acknowledged, tier: asItCame ? 'raw' : 'decoded' }
  }

  async #listen(): Promise<void> {
    try {
      for await (const frame of this.#stream) {
        if (frame.type === 'A') this.#waiting.shift()?.resolve({ cursor: frame.cursor })
        else if (frame.type === 'W') this.#grant(frame.bytes)
      }
      const e = this.#stream.ended
      throw new FnaError(
        'FNA_ERR_UNAVAILABLE',
        `the other agent ended the stream: ${e?.code ?? ''} ${e?.symbol ?? ''} ${e?.text ?? ''}`,
      )
    } catch (e) {
      this.#fail(e as Error)
    }
  }

  #grant(bytes: number): void {
    this.#credit += bytes
    for (const resume of this.#more.splice(0)) resume()
  }

  #fail(e: Error): void {
    this.#failure ??= e
    for (const w of this.#waiting.splice(0)) w.reject(this.#failure)
    this.#grant(0)
  }
}
