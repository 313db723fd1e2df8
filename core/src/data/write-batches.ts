import {
  BATCH_AT,
  batchOf,
  checkBatch,
  encodeFrame,
  type FnapError,
  type Frame,
  FrameReader,
  LIMITS,
  readBatchHeader,
} from '@fnaa/protocol'
import type { Context } from '../commands/command.js'
import type { Sink, Wire } from '../contract/broker.js'
import { toFnapError } from '../server/errors.js'
import type { Result, Session } from '../server/session.js'
import { checkBehind } from './behind.js'
import { type LookedThrough, lookedThrough } from './inflate.js'
import type { Target } from './target.js'

const WINDOW = 4 << 20

/** Credit that a batch takes. None is as short as its header, so an honest client counts the same; an empty one is not free. */
const costOf = (batch: Uint8Array): number => Math.max(BATCH_AT.records, batch.length)

/** WRITE as frames: D in, A out when durable, W as credit. Every batch is checked before it is passed on. */
export async function writeBatches(cx: Context, t: Target): Promise<Result> {
  const wire = await cx.kernel.brokers.open(t.flow, cx.call)
  const epoch = cx.session.issued?.scope.epoch ?? 0
  const writer = cx.session.issued?.scope.key ?? `write-${cx.session.id}`
  const sink = await wire.sink({ writer, epoch }, cx.call)
  return { stream: session => new WriteStream(cx, t, wire, sink).run(session) }
}

/** What is not compressed needs no other thread. */
function plain(batch: Uint8Array): LookedThrough {
  return { parts: [batch], oldest: checkBatch(batch).oldest }
}

class WriteStream {
  readonly #cx: Context
  readonly #t: Target
  readonly #wire: Wire
  readonly #sink: Sink
  readonly #frames = new FrameReader()
  readonly #queue: (Frame & { type: 'D' })[] = []
  #wake: (() => void) | null = null
  /** Bytes that the client may still send. */
  #window = WINDOW
  #ended = false
  #failure: FnapError | null = null
  /** Our own users and applications mean what they say of the time; others' is held inside what the flow keeps (hardening H32). */
  readonly #ours: boolean

  constructor(cx: Context, t: Target, wire: Wire, sink: Sink) {
    this.#cx = cx
    this.#t = t
    this.#wire = wire
    this.#sink = sink
    const { issued } = cx.session
    this.#ours = issued ? issued.scope.kind === 'access' : cx.subject.type === 'user'
  }

  async run(session: Session): Promise<void> {
    const { subject, kernel } = this.#cx
    const untrack = kernel.provider.track({
      session,
      flow: this.#t.flow.name,
      right: 'write',
      subject,
      name: this.#t.name,
    })
    session.gone.signal.addEventListener('abort', () => this.#stop(), { once: true })
    try {
      session.write('220 STREAM\r\n')
      session.take({ bytes: chunk => this.#onBytes(session, chunk) })
      session.write(encodeFrame({ type: 'W', bytes: WINDOW }))
      await this.#pump(session)
    } catch (e) {
      this.#failure = toFnapError(e)
      kernel.log.warn({ flow: this.#t.flow.name, err: e }, 'write stream failed')
    } finally {
      untrack()
      await this.#sink.close().catch(() => undefined)
      await this.#wire.close().catch(() => undefined)
    }
    if (session.gone.signal.aborted) return
    const e = this.#failure
    session.write(
      encodeFrame(
        e ? { type: 'E', code: e.code, symbol: e.symbol, text: e.sentence } : { type: 'E', code: 220, text: 'OK' },
      ),
    )
    if (e && !this.#ended) return session.end()
    session.release(this.#frames.rest())
  }

  async #pump(session: Session): Promise<void> {
    for (;;) {
      const next = this.#queue.shift()
      if (!next) {
        if (this.#ended || session.gone.signal.aborted) return
        await new Promise<void>(resolve => (this.#wake = resolve))
        continue
      }
      const { shard, cursor, batch } = next
      const { parts, oldest } = readBatchHeader(batch).codec === 'none' ? plain(batch) : await lookedThrough(batch)
      for (const bytes of parts)
        await this.#sink.write(
          batchOf({ shard, last: cursor, bytes, ...(!this.#ours && { oldest }) }),
          {},
          { signal: session.gone.signal },
        )
      session.write(encodeFrame({ type: 'A', shard, cursor }))
      this.#window += costOf(batch)
      session.write(encodeFrame({ type: 'W', bytes: batch.length }))
    }
  }

  #onBytes(session: Session, chunk: Buffer): void {
    try {
      this.#frames.push(chunk)
      while (!this.#ended) {
        const frame = this.#frames.next()
        if (!frame) break
        session.partial(false)
        if (frame.type === 'E' || frame.type === 'X') this.#ended = true
        else if (frame.type === 'D') {
          this.#window -= costOf(frame.batch)
          // One batch over the credit is a race; more is a client that ignores it.
          if (this.#window < -LIMITS.frame) throw new Error('more data than credit')
          this.#queue.push(frame)
        }
      }
      session.partial(!this.#ended && this.#frames.buffered > 0)
      if (this.#ended) checkBehind(this.#frames)
    } catch (e) {
      this.#cx.kernel.log.warn({ session: session.id, err: e }, 'bad frame')
      session.destroy()
    }
    if (this.#queue.length > 0 || this.#ended) this.#stop()
  }

  #stop(): void {
    const wake = this.#wake
    this.#wake = null
    wake?.()
  }
}
