import { type Form, fnapError, formatCommand, type Option, parseValue, type Verb, type Word } from '@fnaa/protocol'
import { usage } from './errors.js'
import { safe } from './text.js'
import type { CommandSpec, OptionSpec } from './tree.js'

type Fields = Record<string, unknown>
type ValueWord = Extract<Word, { kind: 'value' }>
/** Options by flag, as the command line's parser gives them: a string, a list of strings, or true. */
export type Given = Readonly<Record<string, unknown>>

/** A command of FNAP: its line, and its values in canonical form. */
export interface Request {
  readonly line: string
  readonly verb: Verb
  readonly args: Readonly<Fields>
  readonly options: Readonly<Fields>
}

/**
 * The command that words and options of fnua stand for. Keywords of the protocol (`TO`, `ON`, `FROM`) may stand between
 * the words, be left out, or be given as options (`--to`).
 * @param json sets FORMAT JSON where the command has it
 * @throws CliError of usage, which names the option and its rule
 */
export function requestOf(spec: CommandSpec, words: readonly string[], given: Given, json = false): Request {
  const form = formOf(spec, given)
  const args = positionals(form, spec, words, given)
  const options = optionsOf(form, spec.options, given)
  if (spec.verb.id.startsWith('UPDATE ') && spec.verb.id !== RENEW && Object.keys(options).length === 0)
    throw usage(`say what to change: ${spec.options.map(o => `--${o.flag}`).join(', ')}`, form.usage)
  if (json && spec.formats) options['format'] = 'json'
  return { ...build(spec.verb.id, args, options), verb: spec.verb, args, options }
}

/** The same command with other options. */
export function withOptions(r: Request, options: Fields): Request {
  const all = { ...r.options, ...options }
  return { ...r, options: all, ...build(r.verb.id, r.args, all) }
}

function build(id: string, args: Fields, options: Fields): { line: string } {
  try {
    return { line: formatCommand(id, args, options) }
  } catch (e) {
    if (e instanceof TypeError) throw usage(`${id.toLowerCase()} needs another set of arguments or options`, id)
    throw usage((e as { sentence?: string }).sentence ?? (e as Error).message, id)
  }
}

/** Options that only agents' forms have choose that form. */
function formOf(spec: CommandSpec, given: Given): Form {
  const forAgents = spec.options.some(o => o.agentsOnly && given[o.flag] !== undefined)
  const forms = spec.verb.forms
  return ((forAgents && forms.find(form => form.by === 'agent')) || forms[0]) as Form
}

/** One value of the command line, read by the protocol's own rules. */
function value(spec: ValueWord | Option, texts: readonly string[], what: string, verb: string): unknown {
  const left = [...texts]
  const take = () => {
    const text = left.shift()
    if (text === undefined) throw fnapError('SYNTAX', `${what} needs a value`)
    return { text, quoted: false }
  }
  try {
    const found = parseValue(spec, take, what)
    if (left.length > 0) throw fnapError('SYNTAX', `${what} takes one value less`)
    return found
  } catch (e) {
    const sentence = (e as { sentence?: string }).sentence ?? (e as Error).message
    throw usage(texts.length === 0 ? sentence : `${sentence}; this is ${shown(texts)}`, verb)
  }
}

function optionsOf(form: Form, specs: readonly OptionSpec[], given: Given): Fields {
  const options: Fields = {}
  const about: Fields = {}
  for (const { flag, option } of specs) {
    const raw = given[flag]
    if (raw === undefined || raw === false) continue
    const known = [...form.options.values()].find(o => o.keyword === option.keyword)
    const fields = option.group === 'about' ? about : options
    if (!known) throw usage(`--${flag} does not go with the other options`, form.usage)
    if (option.key in fields) throw usage(`--${flag} does not go with another option of the same kind`, form.usage)
    fields[option.key] = optionValue(known, raw, `--${flag}`, form.usage)
  }
  if (Object.keys(about).length > 0) options['about'] = about
  return options
}

function optionValue(option: Option, raw: unknown, what: string, verb: string): unknown {
  if (option.type === 'flag') return option.sets
  const texts = (Array.isArray(raw) ? raw : [raw]).map(String)
  if (option.many) return texts.flatMap(text => text.split(',')).map(text => value(option, [text], what, verb))
  const text = texts[texts.length - 1] as string
  if (option.type === 'from') return value(option, fromWords(text), what, verb)
  return value(option, option.type === 'on' ? onWords(text, verb) : [text], what, verb)
}

/** Of a child zone it looks anew for the keys that vouch for it: nothing has to be changed. */
const RENEW = 'UPDATE NAMESPACE'

/** What was typed, for a person to find it again. */
const shown = (texts: readonly string[]): string => safe(JSON.stringify(texts.join(' ').slice(0, 60)))

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `cursor:NAME`, `beginning`, `10m` (ago) and `-10m` beside what the protocol knows. */
export function fromWords(text: string, now = Date.now()): string[] {
  const cursor = /^cursor[: ](.+)$/i.exec(text)
  if (cursor) return ['CURSOR', cursor[1] as string]
  if (text.toLowerCase() === 'beginning') return ['earliest']
  const ago = /^-?(\d{1,9})([smhd])$/.exec(text)
  if (ago) return [new Date(Math.max(0, now - Number(ago[1]) * (UNITS[ago[2] as string] as number))).toISOString()]
  return [text]
}

/** `flow/NAME`, `flow:NAME`, `flow NAME`; a name alone is a flow's. */
function onWords(text: string, verb: string): string[] {
  const [kind, name] = /^([^/]*)\/(.*)$/.exec(text.replace(/^flow:\/\//i, ''))?.slice(1) ?? []
  if (kind !== undefined && (name === '' || !/^(flow|flows|fl|namespace|namespaces|ns)$/i.test(kind)))
    throw usage(`${text} is neither flow/NAME nor namespace/NAME`, verb)
  const parts = /^(flow|flows|fl|namespace|namespaces|ns)[/: ](.+)$/i.exec(text.replace(/^flow:\/\//i, ''))
  return parts ? [parts[1] as string, parts[2] as string] : ['flow', text]
}

/** How many words of the command line a value takes. */
const width = (word: ValueWord, words: readonly string[]): number =>
  word.type === 'on' && /^(?:flow|flows|fl|namespace|namespaces|ns)$/i.test(words[0] ?? '') ? 2 : 1

function positionals(form: Form, spec: CommandSpec, given: readonly string[], options: Given): Fields {
  const args: Fields = {}
  const verb = form.usage
  let words = [...given]
  // `fnua read flow NAME`: the noun of the verb may stand there, as in the protocol.
  const noun = spec.verb.id.split(' ')[1]?.toLowerCase()
  if (noun && !spec.path.includes(noun) && words.length > 1 && words[0]?.toLowerCase() === noun) words = words.slice(1)
  const values = form.words.filter(w => w.kind === 'value')
  const runs = splitRuns(form, words, options)
  for (const word of values) {
    const texts = runs.get(word) ?? []
    const what = `<${word.label.replace('..', '')}>`
    if (texts.length === 0) {
      if (word.optional) continue
      throw usage(`${what} is missing`, verb)
    }
    args[word.key] = positional(word, texts, what, verb)
  }
  return args
}

function positional(word: ValueWord, texts: readonly string[], what: string, verb: string): unknown {
  if (word.type === 'help') return texts.join(' ').toUpperCase()
  if (word.type === 'on') return value(word, texts.length === 1 ? onWords(texts[0] as string, verb) : texts, what, verb)
  if (word.many) return texts.map(text => value(word, [text], what, verb))
  const one = value(word, texts, what, verb)
  return word.listed ? [one] : one
}

/** Which words belong to which value: keywords divide, options take their value, and a run takes what others leave. */
function splitRuns(form: Form, given: readonly string[], options: Given): Map<ValueWord, string[]> {
  const runs = new Map<ValueWord, string[]>()
  const loose: ValueWord[] = []
  let words = [...given]
  const groups = groupsOf(form)
  for (const { keyword, values } of [...groups].reverse()) {
    const flagged = keyword === null ? undefined : options[keyword.toLowerCase()]
    if (flagged !== undefined) {
      const texts = (Array.isArray(flagged) ? flagged : [flagged]).map(String)
      const first = values[0] as ValueWord
      runs.set(first, first.many ? texts.flatMap(text => text.split(',')) : texts)
      loose.unshift(...values.slice(1))
      continue
    }
    const at = keyword === null ? -1 : words.findIndex(w => w.toUpperCase() === keyword)
    if (at < 0) {
      loose.unshift(...values)
      continue
    }
    deal(values, words.slice(at + 1), runs, form.usage)
    words = words.slice(0, at)
  }
  deal(loose, words, runs, form.usage)
  return runs
}

/** The values of a form, divided by its keywords. */
function groupsOf(form: Form): { keyword: string | null; values: ValueWord[] }[] {
  const groups: { keyword: string | null; values: ValueWord[] }[] = [{ keyword: null, values: [] }]
  for (const word of form.words) {
    if (word.kind === 'keyword') groups.push({ keyword: word.keyword, values: [] })
    else groups[groups.length - 1]?.values.push(word)
  }
  return groups
}

/** Deals words to values in order. One run of several takes the rest; two runs are a guess, and refused. */
function deal(values: readonly ValueWord[], words: readonly string[], runs: Map<ValueWord, string[]>, verb: string) {
  const many = values.filter(v => v.many)
  if (many.length > 1 && words.length > values.length) {
    throw usage('say with `to` (or --to) where the second list begins', verb)
  }
  const left = [...words]
  for (const [at, word] of values.entries()) {
    if (left.length === 0) break
    const after = values.slice(at + 1).filter(v => !v.optional).length
    const take = word.many ? Math.max(left.length - after, 1) : width(word, left)
    runs.set(word, left.splice(0, take))
  }
  if (left.length > 0) throw usage('there are too many words', verb)
}
