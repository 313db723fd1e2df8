import { type FnapError, isFnapError, LIMITS, parseReplyLine, type ReplyLine } from '@fnaa/protocol'
import { ClientError } from './errors.js'
import type { Transport } from './transport.js'

/** A whole reply: its last line, and the data lines where there were some. An error reply is a Reply, not a throw. */
export interface Reply extends ReplyLine {
  readonly lines: readonly string[]
}

/** Bounds of a reply (hardening H24). */
export interface ReplyLimits {
  /** Bytes of one data line; 64 KiB if absent. */
  readonly lineBytes?: number
  /** Data lines; 10,000 if absent. */
  readonly maxLines?: number
}

/** An error reply as an exception, for who expects success. */
export class ReplyError extends ClientError {
  readonly reply: Reply
  constructor(reply: Reply) {
    const said = [reply.code, reply.symbol, reply.text].filter(part => part !== undefined && part !== '').join(' ')
    super(reply.temporary ? 'FNA_ERR_UNAVAILABLE' : 'FNA_ERR_DENIED', `the agent answered ${said}`)
    this.name = 'ReplyError'
    this.reply = reply
  }
}

/** The reply, unless it is an error. @throws ReplyError */
export function expectSuccess(reply: Reply): Reply {
  if (reply.kind === 'error') throw new ReplyError(reply)
  return reply
}

/** The last line of a list of data lines. Older agents leave a blank behind it. */
export const isEnd = (line: string): boolean => line === '220 OK' || line.startsWith('220 OK ')

/** Reads one reply line. @throws FNA_ERR_CORRUPT for a line that is no reply, after closing the connection */
export async function readReplyLine(transport: Transport, seen: (line: string) => void): Promise<ReplyLine> {
  transport.limit = LIMITS.authLine
  const line = await transport.line()
  seen(line)
  try {
    return parseReplyLine(line)
  } catch (cause) {
    throw abandon(transport, 'FNA_ERR_CORRUPT', `the agent sent ${sentence(cause, 'a line that is no reply')}`, cause)
  }
}

/**
 * Reads the data lines up to the end, all of them or none: a reply without its end is void (hardening H28).
 * @throws FNA_ERR_TOO_LARGE over a limit, after closing the connection
 */
export async function readLines(
  transport: Transport,
  limits: ReplyLimits,
  seen: (line: string) => void,
): Promise<string[]> {
  const most = limits.maxLines ?? LIMITS.listLines
  transport.limit = limits.lineBytes ?? LIMITS.jsonLine
  const lines: string[] = []
  for (;;) {
    const line = await transport.line()
    seen(line)
    if (isEnd(line)) return lines
    if (lines.length >= most) throw abandon(transport, 'FNA_ERR_TOO_LARGE', `the agent sent more than ${most} lines`)
    lines.push(line)
  }
}

/** Closes the connection, whose state is not known any more, and makes the error that says why. */
export function abandon(
  transport: Transport,
  code: ClientError['code'],
  message: string,
  cause?: unknown,
): ClientError {
  const error = new ClientError(code, message, cause === undefined ? {} : { cause })
  transport.destroy(error)
  return error
}

const sentence = (e: unknown, otherwise: string): string => (isFnapError(e) ? (e as FnapError).sentence : otherwise)
