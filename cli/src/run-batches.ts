import type { FrameStream } from '@fnaa/client'
import { type Frame, jsonLine, LIMITS, type Position } from '@fnaa/protocol'
import type { Context } from './context.js'
import { CliError, EXIT, exitOfReply, usage } from './errors.js'
import type { Request } from './line.js'
import type { Session } from './session.js'
import { LineGroups } from './stdin.js'
import { safeJson } from './text.js'

/** How many bytes of batches the agent may send before we have printed them. */
const WINDOW = 4 * 1024 * 1024

/**
 * READ with FORMAT BATCH: the frames of the stream, one JSON object a line, batches as base64. What comes out goes into
 * `write --format batch` as it is.
 * @param position where to begin, as JSON: for `--from position`
 */
export async function readBatches(cx: Context, session: Session, r: Request, position?: string): Promise<void> {
  const at = r.options['from'] as { at: string } | undefined
  if (at?.at === 'position' && position === undefined) throw usage('--from position needs --position <json>', r.verb.id)
  const stream = await session.connection.stream(r.line)
  const stop = () => session.connection.destroy()
  cx.interrupt.addEventListener('abort', stop, { once: true })
  cx.out.closed.addEventListener('abort', stop, { once: true })
  if (position !== undefined) await stream.send({ type: 'P', position: JSON.parse(position) as Position })
  await stream.send({ type: 'W', bytes: WINDOW })
  for await (const frame of stream) {
    if (frame.type === 'E') {
      succeed(frame)
      break
    }
    await cx.out.write(`${frameLine(frame)}\n`)
    if (frame.type === 'D') await stream.send({ type: 'W', bytes: frame.batch.length })
  }
  await stream.end()
}

const frameLine = (frame: Frame): string =>
  safeJson(jsonLine(frame.type === 'D' ? { ...frame, batch: Buffer.from(frame.batch).toString('base64') } : frame))

function succeed(end: Extract<Frame, { type: 'E' }>): void {
  if (end.code < 400) return
  const reply = `${end.code} ${end.symbol ?? ''}`.trim()
  throw new CliError(end.text, exitOfReply(end.code, end.symbol), { reply })
}

/** WRITE with FORMAT BATCH: lines as `read --format batch` prints them; those without a batch are passed over. */
export async function writeBatches(cx: Context, session: Session, r: Request): Promise<void> {
  const stream = await session.connection.stream(r.line)
  const input = new LineGroups(cx.stdin, LIMITS.body)
  const credit = new Credit(stream)
  let line = 0
  for (let group = await input.next(cx.interrupt); group; group = await input.next(cx.interrupt)) {
    for (const bytes of group) {
      const frame = batchOf(bytes, ++line)
      if (!frame) continue
      await credit.take(frame.batch.length)
      await stream.sendData(frame.shard, frame.cursor, frame.batch)
    }
  }
  await stream.send({ type: 'E', code: 220, text: 'OK' })
  const { end, durable } = await credit.over
  cx.note(`wrote ${durable} batches`)
  if (end) succeed(end)
}

function batchOf(bytes: Buffer, line: number): { shard: string; cursor: string; batch: Buffer } | null {
  try {
    const { type, shard, cursor, batch } = JSON.parse(bytes.toString('utf8')) as Record<string, string>
    if (type !== 'D') return null
    return { shard: String(shard), cursor: String(cursor), batch: Buffer.from(String(batch), 'base64') }
  } catch {
    throw new CliError(`stdin:${line}: this is no frame in JSON`, EXIT.failed)
  }
}

/** Counts what the agent lets us send, and what it has acknowledged. */
class Credit {
  #bytes = 0
  #wake: (() => void) | null = null
  #end: Extract<Frame, { type: 'E' }> | null = null
  #durable = 0
  /** Resolves behind the agent's E. */
  readonly over: Promise<{ end: Extract<Frame, { type: 'E' }> | null; durable: number }>

  constructor(stream: FrameStream) {
    this.over = this.#read(stream)
    this.over.catch(() => undefined)
  }

  async take(bytes: number): Promise<void> {
    while (this.#bytes < bytes && !this.#end) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    if (this.#end) succeed(this.#end)
    this.#bytes -= bytes
  }

  async #read(stream: FrameStream) {
    try {
      for await (const frame of stream) {
        if (frame.type === 'W') this.#bytes += frame.bytes
        if (frame.type === 'A') this.#durable++
        if (frame.type === 'E') this.#end = frame
        this.#wake?.()
      }
      return { end: this.#end, durable: this.#durable }
    } finally {
      this.#end ??= { type: 'E', code: 503, text: 'the stream broke off' }
      this.#wake?.()
    }
  }
}
