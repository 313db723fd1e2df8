import { fnapError } from './errors.js'
import { LIMITS } from './limits.js'
import { foldAscii, isId, isLabel, parseName } from './names.js'
import { formatTime, parseTime } from './time.js'
import { quoteWord, type Token } from './tokens.js'
import { foldWord } from './verbs.js'

/** A right that a grant can give. `manage` includes all others. */
export type Right = 'describe' | 'read' | 'write' | 'subscribe' | 'manage'
/** All rights, in the order in which lists show them. */
export const RIGHTS: readonly Right[] = Object.freeze(['describe', 'read', 'write', 'subscribe', 'manage'])

/** Where reading starts, as a command says it; `time` in milliseconds since 1970. READ alone has cursor and position. */
export type CommandFrom =
  | { readonly at: 'earliest' | 'latest' | 'position' }
  | { readonly at: 'time'; readonly time: number }
  | { readonly at: 'cursor'; readonly label: string }
/** What a subscriber may take, a second; `none` lifts a limit. */
export type RateLimit = 'none' | { readonly bytesPerSecond?: number; readonly eventsPerSecond?: number }
/** What a grant is on. */
export interface On {
  readonly kind: 'Namespace' | 'Flow'
  readonly name: string
}

/** Gives the next word of the line; throws when there is none. */
export type Take = () => Token
export const bad = (what: string, rule: string) => fnapError('BADVALUE', `${what} is ${rule}`)
const MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
export const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }
/** A hundred years, in milliseconds. */
const MAX_DURATION = 36_500 * 86_400_000

/** A keyword or a fixed word: never in quotes. */
export const keyword = (token: Token): string => (token.quoted ? '' : token.text.toLowerCase())

export function parseNumber(text: string, what: string): number {
  const n = text.length <= LIMITS.digits && /^[0-9]+$/.test(text) ? Number(text) : 0
  if (n < 1) throw bad(what, 'a number from 1, of at most 15 digits')
  return n
}

export function parseShards(text: string, what: string): number {
  const n = text.length <= LIMITS.digits && /^[0-9]+$/.test(text) ? Number(text) : 0
  if (n < 1 || n > LIMITS.shards) throw bad(what, `a number from 1 to ${LIMITS.shards}`)
  return n
}

export function parseDuration(text: string, what: string): number {
  const match = text.length <= 16 ? /^([0-9]{1,15})([smhd])$/i.exec(text) : null
  const ms = match ? Number(match[1]) * MS[match[2]!.toLowerCase()]! : 0
  if (ms < 1 || ms > MAX_DURATION) throw bad(what, 'a number from 1 and s, m, h or d, at most 36500d')
  return ms
}

export function parseSize(text: string, what: string): number {
  const match = text.length <= 16 ? /^([0-9]{1,15})([KMG]?)$/i.exec(text) : null
  const bytes = match ? Number(match[1]) * UNITS[match[2]!.toLowerCase()]! : 0
  if (bytes < 1 || !Number.isSafeInteger(bytes)) throw bad(what, 'a number from 1, with K, M or G for powers of 1024')
  return bytes
}

export const byUnit = (n: number, units: Readonly<Record<string, number>>, names: readonly string[]): string => {
  const unit = names.find(name => n % units[name]! === 0) ?? names[names.length - 1]!
  return `${n / units[unit]!}${unit.toUpperCase()}`
}

export function parseText(token: Token, what: string, max: number = LIMITS.text): string {
  if (token.text.length > max || Buffer.byteLength(token.text) > max) throw bad(what, `at most ${max} bytes of text`)
  return token.text
}

/** Items without blanks, once each; at most 64. */
export function parseItems(text: string, what: string, item: RegExp): string[] {
  const items = text.length <= LIMITS.text ? text.split(',') : []
  if (items.length < 1 || items.length > 64 || !items.every(i => i.length <= 64 && item.test(i))) {
    throw bad(what, 'a list of words with commas and no blanks')
  }
  return [...new Set(items)]
}

export function parsePairs(text: string, what: string, keys: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>()
  for (const part of text.length <= LIMITS.text ? text.split(',') : ['']) {
    const equals = part.indexOf('=')
    const key = foldAscii(part.slice(0, Math.max(equals, 0)))
    if (!keys.includes(key) || pairs.has(key)) throw bad(what, `a list of ${keys.map(k => `${k}=n`).join(',')}`)
    pairs.set(key, part.slice(equals + 1))
  }
  return pairs
}

export function parseLimit(text: string, what: string): RateLimit {
  if (text.toLowerCase() === 'none') return 'none'
  const pairs = parsePairs(text, what, ['bytes', 'events'])
  const bytes = pairs.get('bytes')
  const events = pairs.get('events')
  return {
    ...(bytes === undefined ? {} : { bytesPerSecond: parseSize(bytes, what) }),
    ...(events === undefined ? {} : { eventsPerSecond: parseNumber(events, what) }),
  }
}

export function formatLimit(limit: RateLimit): string {
  if (limit === 'none') return limit
  const parts: string[] = []
  if (limit.bytesPerSecond !== undefined) parts.push(`bytes=${limit.bytesPerSecond}`)
  if (limit.eventsPerSecond !== undefined) parts.push(`events=${limit.eventsPerSecond}`)
  return parts.join(',')
}

export function parseRights(text: string, what: string): Right[] {
  const given = text.length <= 64 ? foldAscii(text).split(',') : ['']
  if (!given.every(right => (RIGHTS as readonly string[]).includes(right)))
    throw bad(what, `a list of ${RIGHTS.join(', ')}`)
  return RIGHTS.filter(right => given.includes(right))
}

export function parseFrom(take: Take, what: string): CommandFrom {
  const token = take()
  const word = keyword(token)
  if (word === 'earliest' || word === 'latest' || word === 'position') return { at: word }
  if (word === 'cursor') return { at: 'cursor', label: parseLabel(take().text, 'CURSOR') }
  return { at: 'time', time: parseTime(token.text, what) }
}

export function formatFrom(from: CommandFrom): string {
  if (from.at === 'time') return formatTime(from.time)
  if (from.at === 'cursor') return `CURSOR ${quoteWord(from.label)}`
  return from.at === 'position' ? 'POSITION' : from.at
}

export function parseLabel(text: string, what: string): string {
  const label = foldAscii(text)
  if (!isLabel(label)) throw bad(what, 'a label of a-z 0-9 and inner hyphens, at most 63')
  return label
}

export function parseOn(take: Take, what: string): On {
  const token = take()
  const noun = token.quoted ? '' : foldWord(token.text)
  if (noun !== 'NAMESPACE' && noun !== 'FLOW') throw fnapError('SYNTAX', `${what} is followed by NAMESPACE or FLOW`)
  return { kind: noun === 'FLOW' ? 'Flow' : 'Namespace', name: parseName(take().text, noun) }
}

export function parseId(text: string, what: string): string {
  const id = foldAscii(text)
  if (!isId(id)) throw bad(what, 'an id: 26 of a-z 2-7')
  return id
}
