import { fnapError, isFnapError } from './errors.js'
import { LIMITS } from './limits.js'
import type { CommandFrom, Right } from './scalars.js'
import { type Token, tokenize } from './tokens.js'
import { parseValue } from './value-types.js'
import type { Form, Option, Word } from './verb-forms.js'
import { findVerb, isFirstWord, type Verb } from './verbs.js'

/**
 * A command, its values typed and in canonical form: names folded, durations in milliseconds, sizes in bytes, times in
 * milliseconds since 1970. `args` are the positional words by name, `options` the rest (`about` holds TITLE to TAGS).
 * Both have no prototype, so that no client can name a property of one.
 */
export interface Command {
  /** Of the verb, in canonical form: `CREATE FLOW`. */
  readonly id: string
  readonly args: Readonly<Record<string, unknown>>
  readonly options: Readonly<Record<string, unknown>>
}

type Fields = Record<string, unknown>

/** Is it the form that agents use among themselves (`SUBSCRIBE flow ID …`, `STOP SUBSCRIPTION id GEN n`)? */
export const isAgentForm = (command: Command): boolean =>
  command.id === 'NOTIFY' || command.options.id !== undefined || command.options.gen !== undefined

/**
 * The verb of a line, or null, without looking at the rest of it: the state is checked before the arguments are, so that
 * a line before login says nothing about them.
 */
export function identifyCommand(line: string): Verb | null {
  return findVerb(firstWords(line))?.verb ?? null
}

/**
 * Is it the first line of an HTTP request: its last word begins with `HTTP/`? Before login such a line closes the
 * connection without a reply, so that a browser cannot be made to post commands here (hardening H25).
 */
export function isHttpLine(line: string): boolean {
  let end = line.length
  while (end > 0 && line.charCodeAt(end - 1) === 0x20) end--
  const start = end > 0 ? line.lastIndexOf(' ', end - 1) + 1 : 0
  return line.slice(start, start + 5).toUpperCase() === 'HTTP/'
}

/** Up to three words as they stand, quotes included: a quoted word names no verb. Longer ones are cut off. */
function firstWords(line: string): string[] {
  const words: string[] = []
  for (let at = 0; at < line.length && words.length < 3; ) {
    if (line.charCodeAt(at) === 0x20) {
      if (at === 0) break
      at++
      continue
    }
    const blank = line.indexOf(' ', at)
    const end = blank < 0 ? line.length : blank
    words.push(line.slice(at, Math.min(end, at + 32)))
    at = end
  }
  return words
}

/**
 * Reads a command line (without CRLF).
 * @throws FnapError UNKNOWNCOMMAND, SYNTAX, BADVALUE, BADNAME, or LINETOOLONG for more than 4,096 bytes with CRLF (an
 *   AUTHENTICATE line: 12,288). The sentence names the option and its rule, never the client's text.
 */
export function parseCommand(line: string): Command {
  const bytes = line.length * 3 + 2 > LIMITS.line ? Buffer.byteLength(line) + 2 : 0
  if (bytes > LIMITS.authLine) throw fnapError('LINETOOLONG')
  const words = firstWords(line)
  const found = findVerb(words)
  if (bytes > LIMITS.line && found?.verb.id !== 'AUTHENTICATE') throw fnapError('LINETOOLONG')
  const tokens = tokenize(line)
  if (tokens.length === 0) throw fnapError('SYNTAX', 'the line is empty')
  if (!found) {
    if (tokens.length === 1 && isFirstWord(words[0]!)) throw fnapError('SYNTAX', 'the command needs a noun, see HELP')
    throw fnapError('UNKNOWNCOMMAND')
  }
  const command = parseForms(found.verb, tokens.slice(found.length))
  checkTogether(command)
  return command
}

/** The forms of a verb one after the other, the likelier one first: its error is the one that is told. */
function parseForms(verb: Verb, tokens: readonly Token[]): Command {
  const agents = tokens.some(
    (t, at) => at > 0 && !t.quoted && (t.text.toUpperCase() === 'ID' || t.text.toUpperCase() === 'GEN'),
  )
  const forms = agents ? [...verb.forms].reverse() : verb.forms
  let first: unknown
  for (const form of forms) {
    try {
      return new FormReader(verb.id, form, tokens).read()
    } catch (error) {
      if (!isFnapError(error)) throw error
      first ??= error
    }
  }
  throw first
}

class FormReader {
  readonly #args: Fields = Object.create(null)
  readonly #options: Fields = Object.create(null)
  #at = 0

  constructor(
    readonly id: string,
    readonly form: Form,
    readonly tokens: readonly Token[],
  ) {}

  read(): Command {
    for (const word of this.form.words) this.#word(word)
    while (this.#at < this.tokens.length) this.#option()
    for (const option of this.form.options.values()) {
      if (option.required && !(option.key in this.#options))
        throw fnapError('SYNTAX', `${this.id} needs ${option.keyword}`)
    }
    return { id: this.id, args: this.#args, options: this.#options }
  }

  #word(word: Word): void {
    if (word.kind === 'keyword') {
      if (this.#keyword() !== word.keyword) throw fnapError('SYNTAX', `${this.id} needs ${word.keyword} here`)
      this.#at++
      return
    }
    if (word.optional && (this.#at >= this.tokens.length || this.#stops())) return
    // A run of values that would begin with the keyword after it is empty.
    const empty = word.many === true && this.#stops()
    if (this.#at >= this.tokens.length || empty)
      throw fnapError('SYNTAX', `${this.id} needs ${word.label.replace('..', '')}`)
    this.#args[word.key] = this.#value(word, word.label.replace('..', ''))
  }

  #option(): void {
    const keyword = this.#keyword()
    const option = keyword === null ? undefined : this.form.options.get(keyword)
    if (!option) throw fnapError('SYNTAX', `${this.id} has no such option`)
    this.#at++
    const fields = option.group === 'about' ? this.#about() : this.#options
    if (option.key in fields) throw fnapError('SYNTAX', `${option.keyword} stands twice, or beside what it excludes`)
    fields[option.key] = option.type === 'flag' ? option.sets : this.#value(option, option.keyword)
  }

  #about(): Fields {
    this.#options['about'] ??= Object.create(null)
    return this.#options['about'] as Fields
  }

  #value(spec: Option | Extract<Word, { kind: 'value' }>, what: string): unknown {
    const take = () => {
      const token = this.tokens[this.#at++]
      if (!token) throw fnapError('SYNTAX', `${what} needs a value`)
      return token
    }
    if (!spec.many) {
      const value = parseValue(spec, take, what)
      return spec.listed ? [value] : value
    }
    const values = [parseValue(spec, take, what)]
    while (this.#at < this.tokens.length && !this.#stops()) values.push(parseValue(spec, take, what))
    return spec.type === 'help' ? values.join(' ') : values
  }

  /** The next word in upper case when it may be a keyword. */
  #keyword(): string | null {
    const token = this.tokens[this.#at]
    return token && !token.quoted ? token.text.toUpperCase() : null
  }

  /** Does the next word end a run of values: a keyword of this form? */
  #stops(): boolean {
    const keyword = this.#keyword()
    if (keyword === null) return false
    return this.form.options.has(keyword) || this.form.words.some(w => w.kind === 'keyword' && w.keyword === keyword)
  }
}

/** Rules over several values of one command. */
function checkTogether(command: Command): void {
  const from = command.options.from as CommandFrom | undefined
  if (from?.at === 'cursor' && command.id !== 'READ FLOW')
    throw fnapError('BADVALUE', 'FROM CURSOR is for READ FLOW only')
  if (from?.at === 'position' && !(command.id === 'READ FLOW' && command.options.format === 'batch')) {
    throw fnapError('BADVALUE', 'FROM POSITION is for READ FLOW with FORMAT BATCH only')
  }
  if (command.id === 'GRANT' && (command.args.who === '*' || command.args.who === 'anonymous')) {
    const rights = command.args.rights as readonly Right[]
    if (rights.includes('write') || rights.includes('manage')) {
      throw fnapError('BADVALUE', 'write and manage are never granted to * or anonymous')
    }
  }
}
