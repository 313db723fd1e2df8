import type { Readable } from 'node:stream'
import { LINE_COST } from '@fnaa/protocol'

/** The first line of a stream; what is behind it stays unread. */
export async function firstLine(stream: Readable): Promise<string> {
  let held = Buffer.alloc(0)
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    held = Buffer.concat([held, chunk as Buffer])
    const end = held.indexOf(0x0a)
    if (end < 0) continue
    if (end + 1 < held.length) stream.unshift(held.subarray(end + 1))
    held = held.subarray(0, end)
    break
  }
  return held.toString('utf8').replace(/\r$/, '')
}

/**
 * The lines of a stream, in groups: whatever has come since the last group was taken, so that a slow writer waits for
 * nothing and a fast one fills large groups. It stops reading while `most` bytes wait. A last line without its end is a
 * line; CRLF counts as one end.
 */
export class LineGroups {
  readonly #stream: Readable
  readonly #most: number
  #lines: Buffer[] = []
  #size = 0
  #rest: Buffer[] = []
  #ended = false
  #error: Error | null = null
  #wake: (() => void) | null = null

  constructor(stream: Readable, most: number) {
    this.#stream = stream
    this.#most = most
    stream
      .on('data', (chunk: Buffer) => this.#take(chunk))
      .on('end', () => this.#end(null))
      .on('close', () => this.#end(null))
      .on('error', (e: Error) => this.#end(e))
  }

  /** The next lines, at most `most` bytes of them as a WRITE counts them (or one longer line), or null at the end. Aborting throws. */
  async next(signal: AbortSignal): Promise<Buffer[] | null> {
    while (this.#lines.length === 0) {
      if (this.#error) throw this.#error
      if (this.#ended) return null
      await this.#change(signal)
    }
    const group: Buffer[] = []
    let size = 0
    for (const line of this.#lines) {
      // A dot at its beginning is doubled.
      size += line.length + 1 + LINE_COST
      if (group.length > 0 && size > this.#most) break
      group.push(line)
    }
    this.#lines = this.#lines.slice(group.length)
    this.#size = this.#lines.reduce((sum, line) => sum + line.length, 0)
    if (this.#size < this.#most && !this.#ended) this.#stream.resume()
    return group
  }

  /** Reads no more. */
  stop(): void {
    this.#stream.pause()
    this.#stream.destroy()
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason)
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      this.#wake = () => {
        signal.removeEventListener('abort', onAbort)
        this.#wake = null
        resolve()
      }
    })
  }

  #take(chunk: Buffer): void {
    let from = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      this.#add(chunk.subarray(from, end))
      from = end + 1
    }
    if (from < chunk.length) this.#rest.push(chunk.subarray(from))
    if (this.#size >= this.#most) this.#stream.pause()
    if (this.#lines.length > 0) this.#wake?.()
  }

  #add(piece: Buffer): void {
    const line = this.#rest.length > 0 ? Buffer.concat([...this.#rest, piece]) : piece
    this.#rest = []
    this.#lines.push(line.at(-1) === 0x0d ? line.subarray(0, -1) : line)
    this.#size += line.length
  }

  #end(error: Error | null): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    if (this.#rest.length > 0) this.#add(Buffer.alloc(0))
    this.#wake?.()
  }
}
