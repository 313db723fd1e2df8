import { isSelector } from './dns-text.js'
import { LIMITS } from './limits.js'
import { foldAscii, isId, parseName, parseNewName, parseUser, parseWho } from './names.js'
import {
  bad,
  byUnit,
  formatFrom,
  formatLimit,
  keyword,
  type On,
  parseDuration,
  parseFrom,
  parseId,
  parseItems,
  parseLabel,
  parseLimit,
  parseNumber,
  parseOn,
  parsePairs,
  parseRights,
  parseShards,
  parseSize,
  parseText,
  type Take,
  UNITS,
} from './scalars.js'
import { formatTime, parseTime } from './time.js'
import { quote, quoteWord } from './tokens.js'
import type { ValueSpec, ValueType } from './verb-forms.js'

/** How a type reads its value, and writes it back as words. `what` names the option in errors. */
interface Reader {
  readonly parse: (take: Take, what: string, spec: ValueSpec) => unknown
  readonly format?: (value: never, spec: ValueSpec) => string
}

const matching =
  (pattern: RegExp, max: number, rule: string, fold: (text: string) => string = text => text): Reader['parse'] =>
  (take, what) => {
    const text = take().text
    const folded = text.length <= max ? fold(text) : ''
    if (!pattern.test(folded)) throw bad(what, rule)
    return folded
  }

const single =
  (parse: (text: string, what: string) => unknown): Reader['parse'] =>
  (take, what) =>
    parse(take().text, what)

const TYPES: ReadonlyMap<ValueType, Reader> = new Map<ValueType, Reader>([
  ['base64', { parse: matching(/^(?:=|[A-Za-z0-9+/]+={0,2})$/, LIMITS.authLine, 'base64') }],
  [
    'bool',
    {
      parse: (take, what) => {
        const word = keyword(take())
        if (word !== 'yes' && word !== 'no') throw bad(what, 'yes or no')
        return word === 'yes'
      },
      format: (value: boolean) => (value ? 'yes' : 'no'),
    },
  ],
  [
    'choice',
    {
      parse: (take, what, spec) => {
        const word = keyword(take())
        if (!spec.choices!.includes(word)) throw bad(what, `one of ${spec.label.split('|').join(', ')}`)
        return word
      },
      format: (value: string, spec) => spec.label.split('|')[spec.choices!.indexOf(value)] ?? value,
    },
  ],
  [
    'duration',
    {
      parse: single(parseDuration),
      format: (ms: number) =>
        byUnit(ms / 1000, { d: 86_400, h: 3600, m: 60, s: 1 }, ['d', 'h', 'm', 's']).toLowerCase(),
    },
  ],
  ['from', { parse: parseFrom, format: formatFrom }],
  ['help', { parse: take => take().text.toUpperCase() }],
  ['id', { parse: single(parseId) }],
  ['idOrName', { parse: single((text, what) => (isId(foldAscii(text)) ? foldAscii(text) : parseName(text, what))) }],
  [
    'instance',
    { parse: matching(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, LIMITS.name, 'letters, digits, dots, hyphens and underscores') },
  ],
  ['label', { parse: single(parseLabel) }],
  ['limit', { parse: single(parseLimit), format: formatLimit }],
  [
    'list',
    {
      parse: (take, what) => parseItems(foldAscii(take().text), what, /^[a-z0-9][a-z0-9._+/-]*$/),
      format: (items: readonly string[]) => quoteWord(items.join(',')),
    },
  ],
  [
    'mechanism',
    { parse: matching(/^[A-Z0-9_-]+$/, 20, 'the name of a SASL mechanism', text => foldAscii(text).toUpperCase()) },
  ],
  ['name', { parse: single(parseName) }],
  ['newName', { parse: single(parseNewName) }],
  ['number', { parse: single(parseNumber), format: (n: number) => String(n) }],
  ['on', { parse: parseOn, format: (on: On) => `${on.kind.toUpperCase()} ${quoteWord(on.name)}` }],
  [
    'quota',
    {
      parse: (take, what, spec) => {
        const quota: Record<string, number> = Object.create(null)
        for (const [key, n] of parsePairs(take().text, what, spec.choices!)) quota[key] = parseNumber(n, what)
        return quota
      },
      format: (quota: Readonly<Record<string, number | undefined>>) =>
        Object.entries(quota)
          .filter(([, n]) => n !== undefined)
          .map(([key, n]) => `${key}=${n}`)
          .join(','),
    },
  ],
  ['rights', { parse: single(parseRights), format: (rights: readonly string[]) => quoteWord(rights.join(',')) }],
  [
    'selector',
    {
      parse: single((text, what) => {
        if (!isSelector(foldAscii(text))) throw bad(what, 'a selector of a-z 0-9 and single inner hyphens, at most 63')
        return foldAscii(text)
      }),
    },
  ],
  ['shards', { parse: single(parseShards), format: (n: number) => String(n) }],
  ['size', { parse: single(parseSize), format: (n: number) => byUnit(n, UNITS, ['g', 'm', 'k', '']) }],
  [
    'tags',
    {
      parse: (take, what) => {
        const text = parseText(take(), what)
        return text === '' ? [] : parseItems(text, what, /^[^\s,]+$/)
      },
      format: (items: readonly string[]) => quote(items.join(',')),
    },
  ],
  ['text', { parse: (take, what) => parseText(take(), what), format: (text: string) => quote(text) }],
  ['time', { parse: single(parseTime), format: formatTime }],
  ['topic', { parse: matching(/^[\x21-\x7e]+$/, 255, 'at most 255 visible ASCII characters') }],
  [
    'uri',
    {
      parse: (take, what) => {
        const text = parseText(take(), what)
        if (text !== '' && !/^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/.test(text)) throw bad(what, 'an absolute URI')
        return text
      },
      format: (text: string) => quote(text),
    },
  ],
  ['user', { parse: single(parseUser) }],
  ['who', { parse: single(parseWho) }],
  ['whoOrId', { parse: single((text, what) => (isId(foldAscii(text)) ? foldAscii(text) : parseWho(text, what))) }],
  [
    'yes',
    {
      parse: (take, what) => {
        if (keyword(take()) !== 'yes') throw bad(what, 'yes')
        return true
      },
      format: () => 'yes',
    },
  ],
])

/**
 * Reads one value of the type.
 * @throws FnapError BADVALUE, BADNAME or SYNTAX, which name the option and its rule
 */
export const parseValue = (spec: ValueSpec, take: Take, what: string): unknown =>
  TYPES.get(spec.type)!.parse(take, what, spec)

/** The words of one value. What it writes is checked by reading it again. */
export function formatValue(spec: ValueSpec, value: unknown): string {
  const format = TYPES.get(spec.type)!.format as ((value: unknown, spec: ValueSpec) => string) | undefined
  return format ? format(value, spec) : quoteWord(String(value))
}
