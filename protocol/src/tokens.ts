import { fnapError } from './errors.js'
import { LIMITS } from './limits.js'
import { isWellFormed } from './lines.js'

/** A word of a line. A quoted word is a value, never a keyword (hardening H30). */
export interface Token {
  readonly text: string
  readonly quoted: boolean
}

const SP = 0x20
const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * The words of a command line (without CRLF): runs of visible ASCII, or UTF-8 in double quotes in which a backslash
 * stands before a quote or another backslash. Blanks separate, and may end the line; no TAB, no control anywhere.
 * An empty line has no words.
 * @throws FnapError SYNTAX
 */
export function tokenize(line: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  if (line.charCodeAt(0) === SP) {
    if (/^ *$/.test(line)) return tokens
    throw fnapError('SYNTAX', 'a line begins with a command')
  }
  while (at < line.length) {
    if (line.charCodeAt(at) === SP) {
      at++
      continue
    }
    if (tokens.length === LIMITS.words) throw fnapError('SYNTAX', 'there are too many words')
    at = line.charCodeAt(at) === QUOTE ? quoted(line, at, tokens) : plain(line, at, tokens)
  }
  return tokens
}

function plain(line: string, start: number, tokens: Token[]): number {
  let at = start
  for (; at < line.length; at++) {
    const c = line.charCodeAt(at)
    if (c === SP) break
    if (c < SP || c > 0x7e) throw fnapError('SYNTAX', 'outside quotes a word is visible ASCII')
    if (c === QUOTE) throw fnapError('SYNTAX', 'a quote begins a word, it does not stand inside one')
  }
  tokens.push({ text: line.slice(start, at), quoted: false })
  return at
}

function quoted(line: string, start: number, tokens: Token[]): number {
  let text = ''
  let from = start + 1
  for (let at = from; at < line.length; at++) {
    const c = line.charCodeAt(at)
    if (c === QUOTE) {
      text += line.slice(from, at)
      if (at + 1 < line.length && line.charCodeAt(at + 1) !== SP) {
        throw fnapError('SYNTAX', 'a blank follows a closing quote')
      }
      if (!isWellFormed(text)) throw fnapError('SYNTAX', 'text in quotes is UTF-8')
      tokens.push({ text, quoted: true })
      return at + 1
    }
    if (c === BACKSLASH) {
      const next = line.charCodeAt(at + 1)
      if (next !== QUOTE && next !== BACKSLASH) {
        throw fnapError('SYNTAX', 'a backslash in quotes stands before a quote or a backslash')
      }
      text += line.slice(from, at)
      from = ++at
    } else if (isControl(c)) throw fnapError('SYNTAX', 'text in quotes holds no control character')
  }
  throw fnapError('SYNTAX', 'a closing quote is missing')
}

/** C0, DEL and C1. */
const isControl = (c: number): boolean => c < SP || (c >= 0x7f && c < 0xa0)

/** Text in quotes, as `tokenize` reads it. */
export const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

/** A word: in quotes only where it needs them. */
export const quoteWord = (text: string): string => (/^[\x21\x23-\x7e]+$/.test(text) ? text : quote(text))
