import { ERRORS, type ErrorSymbol, errorKind, fnapError, isFnapError } from './errors.js'

/** What stands behind a key in `key=value`. undefined and '' leave the key out; booleans become yes and no. */
export type Value = string | number | boolean | undefined
export type Pairs = readonly (readonly [string, Value])[]

const PLAIN_VALUE = /^[\x21-\x24\x26-\x7e]*$/
const KEY = /^[a-z0-9][a-z0-9-]*$/

/** A value for `key=value`: SP, `%`, controls and every byte over 7E percent-encoded (RFC 3986 §2.1, of UTF-8). */
export function encodeValue(text: string): string {
  if (PLAIN_VALUE.test(text)) return text
  let out = ''
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x25
    out += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return out
}

const HEX = /^[0-9A-Fa-f]{2}$/

/**
 * The text of an encoded value.
 * @throws FnapError SYNTAX when a percent sign is not followed by two hexadecimal digits, or the bytes are not UTF-8
 */
export function decodeValue(value: string): string {
  if (!value.includes('%')) return value
  const bytes: Buffer[] = []
  for (let at = 0; at < value.length; ) {
    const percent = value.indexOf('%', at)
    const end = percent < 0 ? value.length : percent
    bytes.push(Buffer.from(value.slice(at, end), 'utf8'))
    if (percent < 0) break
    const hex = value.slice(end + 1, end + 3)
    if (!HEX.test(hex)) throw fnapError('SYNTAX', 'a percent sign stands before two hexadecimal digits')
    bytes.push(Buffer.from(hex, 'hex'))
    at = end + 3
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(bytes))
  } catch {
    throw fnapError('SYNTAX', 'a value is not UTF-8')
  }
}

/**
 * One `key=value`, or null when there is no value.
 * @throws TypeError for a key that is not a-z 0-9 and hyphens: keys are ours, never a client's
 */
export function formatPair(key: string, value: Value): string | null {
  if (value === undefined || value === '') return null
  if (!KEY.test(key)) throw new TypeError('a key is a-z 0-9 and hyphens')
  return `${key}=${typeof value === 'boolean' ? (value ? 'yes' : 'no') : encodeValue(String(value))}`
}

/** One item of a GET: its pairs on one line, in the order given. */
export const formatItem = (pairs: Pairs): string => formatLines(pairs).join(' ')

/** A DESCRIBE: one pair a line. */
export const formatLines = (pairs: Pairs): string[] =>
  pairs.map(([key, value]) => formatPair(key, value)).filter(line => line !== null)

/**
 * The pairs of an item's line, in order. A Map, so that no key can touch a prototype.
 * @throws FnapError SYNTAX when a word has no `=`, or a value is badly encoded
 */
export function parseItem(line: string): Map<string, string> {
  const pairs = new Map<string, string>()
  for (const word of line.split(' ')) {
    if (word === '') continue
    const equals = word.indexOf('=')
    if (equals < 1) throw fnapError('SYNTAX', 'an item is key=value pairs')
    pairs.set(word.slice(0, equals), decodeValue(word.slice(equals + 1)))
  }
  return pairs
}

/**
 * JSON on one line in which `220 OK` never stands: older clients end a reply at any line that contains it. Inside JSON
 * a blank of a string may always be written as an escape.
 */
export const jsonLine = (value: unknown): string => hideEnd(JSON.stringify(value) ?? 'null')

/** The same JSON text, with the blank of `220 OK` as an escape. Takes valid JSON only. */
export const hideEnd = (json: string): string =>
  json.includes('220 OK') ? json.replaceAll('220 OK', '220\\u0020OK') : json

const CONTROL = /[\x00-\x1f\x7f]/

/**
 * A reply's line without its CRLF: `220 OK`, `334 <base64>`.
 * @throws TypeError when the text would break the line: replies are built from our own words and canonical names
 */
export function formatReply(code: number, text = ''): string {
  if (!Number.isInteger(code) || code < 100 || code > 599) throw new TypeError('a reply has a code of three digits')
  if (CONTROL.test(text)) throw new TypeError('a reply is one line')
  return text === '' ? String(code) : `${code} ${text}`
}

/**
 * The line of an error, without its CRLF. What is not a FnapError becomes `500 INTERNAL` and says nothing more; a
 * sentence that would break the line, or that has `220` in it where it is not the address of MOVED, is replaced by the
 * symbol's own.
 */
export function formatError(error: unknown): string {
  const symbol: ErrorSymbol = isFnapError(error) && errorKind(error.symbol) ? error.symbol : 'INTERNAL'
  const known = ERRORS[symbol]
  const said = isFnapError(error) && symbol === error.symbol ? error.sentence : known.sentence
  const unsafe = typeof said !== 'string' || CONTROL.test(said) || (symbol !== 'MOVED' && said.includes('220'))
  return formatReply(known.code, `${symbol} ${unsafe ? known.sentence : said}`)
}

/**
 * Bytes of strict base64 (RFC 4648 §4): padded, no blanks, no bits left over. `=` alone is the empty string, as in an
 * initial response (RFC 4422 §4).
 * @throws FnapError SYNTAX
 */
export function decodeBase64(text: string): Buffer {
  if (text === '=') return Buffer.alloc(0)
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw fnapError('SYNTAX', 'this is not base64')
  return bytes
}
