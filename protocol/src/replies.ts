import { errorKind, fnapError } from './errors.js'

/**
 * What a reply's line means:
 * - `greeting` `220 <host> FNAA` · `ok` `220 OK [text]` and any other success · `bye` `220 Bye`
 * - `data` lines follow, to `220 OK` · `stream` frames follow · `send` (354) the client's lines are awaited
 * - `pending` `220 PENDING <id> …` · `authenticated` `220 Authenticated [<base64>]` · `challenge` `334 <base64>`
 * - `error` 400 and above
 */
export type ReplyKind =
  | 'ok'
  | 'data'
  | 'stream'
  | 'pending'
  | 'authenticated'
  | 'bye'
  | 'greeting'
  | 'challenge'
  | 'send'
  | 'error'

export interface ReplyLine {
  readonly kind: ReplyKind
  readonly code: number
  /** An error's symbol, also one that this version does not know; undefined for older servers' `404 text`. */
  readonly symbol?: string
  /** Behind the code and the keyword: a name, base64, a sentence. */
  readonly text: string
  /** The subscription's id, of `pending`. */
  readonly id?: string
  /** An error that may go away: by its symbol, or by its code where the symbol is unknown. */
  readonly temporary?: boolean
  /** Seconds to wait, 1 to 900, of a 429. */
  readonly retryAfter?: number
  /** Where it moved to, of `421 MOVED`. */
  readonly address?: { readonly host: string; readonly port: number }
}

/**
 * Reads a reply's line (without CRLF). Tolerates blanks at the end and the replies of older servers.
 * @throws FnapError REMOTE for a line that is no reply
 */
export function parseReplyLine(line: string): ReplyLine {
  const head = line.slice(0, 3)
  if (!/^[1-5][0-9][0-9]$/.test(head) || (line.length > 3 && line[3] !== ' ')) {
    throw fnapError('REMOTE', 'the other side sent a line that is no reply')
  }
  const code = Number(head)
  const text = trimBlanks(line.slice(4))
  if (code >= 400) return parseError(code, text)
  if (code === 334) return { kind: 'challenge', code, text }
  if (code === 354) return { kind: 'send', code, text }
  return code === 220 ? parseSuccess(text) : { kind: 'ok', code, text }
}

/** Without blanks at both ends; a loop, since a pattern anchored at the end is quadratic on a line of blanks. */
function trimBlanks(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && text[from] === ' ') from++
  while (to > from && text[to - 1] === ' ') to--
  return text.slice(from, to)
}

function parseSuccess(text: string): ReplyLine {
  const code = 220
  const blank = text.indexOf(' ')
  const word = blank < 0 ? text : text.slice(0, blank)
  const rest = blank < 0 ? '' : trimBlanks(text.slice(blank + 1))
  if (rest === 'FNAA') return { kind: 'greeting', code, text: word }
  if (word === 'OK') return { kind: 'ok', code, text: rest }
  if (word === 'DATA' && rest === '') return { kind: 'data', code, text: '' }
  if (word === 'STREAM' && rest === '') return { kind: 'stream', code, text: '' }
  if (word === 'Bye') return { kind: 'bye', code, text: rest }
  if (word === 'Authenticated') return { kind: 'authenticated', code, text: rest }
  if (word === 'PENDING') {
    const end = rest.indexOf(' ')
    return { kind: 'pending', code, text: end < 0 ? '' : rest.slice(end + 1), id: end < 0 ? rest : rest.slice(0, end) }
  }
  return { kind: 'ok', code, text }
}

function parseError(code: number, text: string): ReplyLine {
  const blank = text.indexOf(' ')
  const word = blank < 0 ? text : text.slice(0, blank)
  const temporary = code === 429 || code === 500 || (code >= 502 && code <= 504)
  if (!/^[A-Z][A-Z0-9]{2,31}$/.test(word)) return { kind: 'error', code, text, temporary }
  const rest = blank < 0 ? '' : text.slice(blank + 1)
  const known = errorKind(word)
  const reply = { kind: 'error' as const, code, symbol: word, text: rest, temporary: known?.temporary ?? temporary }
  if (word === 'MOVED') {
    const address = parseAddress(rest)
    return address ? { ...reply, address } : reply
  }
  const seconds = code === 429 ? /^([0-9]{1,6})(?: |$)/.exec(rest)?.[1] : undefined
  return seconds === undefined ? reply : { ...reply, retryAfter: Math.min(900, Math.max(1, Number(seconds))) }
}

/** `host:port`; the host is not looked at further: whoever dials it checks it. */
function parseAddress(text: string): { host: string; port: number } | null {
  const colon = text.lastIndexOf(':')
  const port = text.slice(colon + 1)
  const host = text.slice(0, Math.max(colon, 0))
  if (!/^[a-zA-Z0-9.-]{1,253}$/.test(host) || !/^[0-9]{1,5}$/.test(port)) return null
  const n = Number(port)
  return n >= 1 && n <= 65_535 ? { host: host.toLowerCase(), port: n } : null
}
