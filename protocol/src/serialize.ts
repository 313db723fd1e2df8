import { parseCommand } from './grammar.js'
import { formatValue } from './value-types.js'
import type { Form, Option } from './verb-forms.js'
import { verbOf } from './verbs.js'

type Fields = Readonly<Record<string, unknown>>
const given = (value: unknown): boolean => value !== undefined && value !== false

/**
 * The line of a command, without CRLF: the only way that agents and clients build one, so that no text of a user can add
 * an option (hardening H24). Values as parseCommand gives them; undefined leaves one out.
 * @throws TypeError for an id, an argument or an option that the verb does not have
 * @throws FnapError when a value does not follow its rule, or the line would be too long
 */
export function formatCommand(id: string, args: object = {}, options: object = {}): string {
  const verb = verbOf(id)
  const form = verb?.forms.find(f => fits(f, args as Fields, options as Fields))
  if (!form) throw new TypeError(`${verb ? id : 'an unknown command'} does not take these arguments`)
  const words = [id, ...wordsOf(form, args as Fields), ...optionsOf(form, options as Fields)]
  const line = words.join(' ')
  parseCommand(line)
  return line
}

function fits(form: Form, args: Fields, options: Fields): boolean {
  const values = form.words.filter(word => word.kind === 'value')
  if (!values.every(word => word.optional || given(args[word.key]))) return false
  if (!keysOf(args).every(key => values.some(word => word.key === key))) return false
  const all = [...form.options.values()]
  if (!all.every(option => !option.required || given(fieldsOf(option, options)[option.key]))) return false
  const about = options['about'] as Fields | undefined
  const known = (key: string, grouped: boolean) => all.some(o => o.key === key && (o.group === 'about') === grouped)
  return (
    keysOf(options).every(key => (key === 'about' ? all.some(o => o.group === 'about') : known(key, false))) &&
    keysOf(about ?? {}).every(key => known(key, true))
  )
}

const keysOf = (fields: Fields): string[] => Object.keys(fields).filter(key => given(fields[key]))
const fieldsOf = (option: Option, options: Fields): Fields =>
  option.group === 'about' ? ((options['about'] as Fields | undefined) ?? {}) : options

function wordsOf(form: Form, args: Fields): string[] {
  const words: string[] = []
  for (const word of form.words) {
    if (word.kind === 'keyword') words.push(word.keyword)
    else if (given(args[word.key])) words.push(...formatAll(word, args[word.key]))
  }
  return words
}

function optionsOf(form: Form, options: Fields): string[] {
  const words: string[] = []
  for (const option of form.options.values()) {
    const value = fieldsOf(option, options)[option.key]
    if (value === undefined) continue
    if (option.type !== 'flag') words.push(option.keyword, ...formatAll(option, value))
    else if (value === option.sets) words.push(option.keyword)
  }
  return words
}

function formatAll(spec: Parameters<typeof formatValue>[0], value: unknown): string[] {
  if (spec.type === 'help') return String(value).split(' ')
  if (spec.many || spec.listed) return (value as readonly unknown[]).map(item => formatValue(spec, item))
  return [formatValue(spec, value)]
}
