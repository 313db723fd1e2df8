import { LIMITS, type ReplyLine } from '@fnaa/protocol'
import type { TraceLine } from './connection-options.js'
import { ClientError } from './errors.js'
import { maskLine } from './mask.js'
import { type Reply, type ReplyLimits, readLines, readReplyLine } from './reply.js'
import type { Transport } from './transport.js'

/** Commands out, replies in, and every line shown to who traces, secrets masked. */
export class Dialogue {
  readonly transport: Transport
  readonly #trace: ((line: TraceLine) => void) | undefined
  /** True inside an authentication exchange, where lines are secrets. */
  exchanging = false

  constructor(transport: Transport, trace?: (line: TraceLine) => void) {
    this.transport = transport
    this.#trace = trace
  }

  async send(line: string): Promise<void> {
    this.#traced('send', line)
    await this.transport.send(`${line}\r\n`)
  }

  /** The first line of a reply. */
  first(): Promise<ReplyLine> {
    return readReplyLine(this.transport, this.seen)
  }

  /** A whole reply with its data lines. */
  async reply(limits: ReplyLimits = {}): Promise<Reply> {
    const first = await this.first()
    return { ...first, lines: first.kind === 'data' ? await readLines(this.transport, limits, this.seen) : [] }
  }

  /** Ends the connection: what the other side claims is not to be believed. */
  destroy(error: Error): void {
    this.transport.destroy(error)
  }

  /** A line has been read. */
  readonly seen = (line: string): void => this.#traced('receive', line)

  #traced(direction: TraceLine['direction'], line: string): void {
    this.#trace?.({ direction, line: maskLine(line, this.exchanging), bytes: Buffer.byteLength(line) + 2 })
  }
}

/** @throws FNA_ERR_INVALID for CR, LF or NUL, FNA_ERR_TOO_LARGE over 4,096 bytes with CRLF */
export function checkCommand(line: string): void {
  if (/[\r\n\0]/.test(line)) throw new ClientError('FNA_ERR_INVALID', 'a command is one line')
  if (Buffer.byteLength(line) + 2 <= LIMITS.line) return
  throw new ClientError('FNA_ERR_TOO_LARGE', `a command is at most ${LIMITS.line} bytes`)
}
