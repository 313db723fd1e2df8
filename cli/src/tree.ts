import { type Form, type Option, VERBS, type Verb, verbOf, type Word } from '@fnaa/protocol'

/** An option of a command, made from an option of the verb's forms. */
export interface OptionSpec {
  /** Without its dashes: `retention-bytes`. */
  readonly flag: string
  readonly option: Option
  /** Only in a form that is for domain logins: not shown in help. */
  readonly agentsOnly: boolean
}
/** A value behind a keyword of the command (`TO who`), which may be given as `--to who` too. */
export interface KeywordSpec {
  readonly flag: string
  readonly label: string
  readonly many: boolean
}
/** One command of fnua: a path of words, and the verb that it sends. */
export interface CommandSpec {
  readonly path: readonly string[]
  readonly verb: Verb
  /** What stands behind the path, as help shows it: `<flow> [to] <who>`. */
  readonly operands: string
  readonly options: readonly OptionSpec[]
  readonly keywords: readonly KeywordSpec[]
  /** Has FORMAT TEXT|JSON, which `-o json` sets. */
  readonly formats: boolean
  /** Nothing a user can do: only agents may. */
  readonly agentsOnly: boolean
}

/** Verbs that no command of their own sends: every session does. */
export const BY_SESSION: ReadonlyMap<string, string> = new Map([
  ['STARTTLS', 'login'],
  ['AUTHENTICATE', 'login'],
  ['QUIT', 'login'],
])
/** Paths that are not the verb's own words. */
const PATHS: ReadonlyMap<string, readonly string[]> = new Map([
  ['ACCESS FLOW', ['access']],
  ['GET PROCESSOR TYPES', ['get', 'processor-types']],
  ['HELP', ['agent-help']],
  ['READ FLOW', ['read']],
  ['WRITE FLOW', ['write']],
])
/** Flags that would be taken for an option of fnua itself. */
const FLAGS: ReadonlyMap<string, string> = new Map([
  ['CREATE NAMESPACE AGENT', 'agent-host'],
  ['CREATE NAMESPACE NAMESERVER', 'agent-nameserver'],
])
/** Other spellings of the last word of a path, as the protocol has them for its nouns. */
const ALIASES: ReadonlyMap<string, readonly string[]> = new Map([
  ['namespace', ['namespaces', 'ns']],
  ['flow', ['flows', 'fl']],
  ['subscription', ['subscriptions', 'sub']],
  ['processor', ['processors']],
  ['processor-type', ['processor-types', 'types']],
  ['broker', ['brokers']],
  ['agent', ['agents']],
  ['nameserver', ['nameservers']],
  ['subscriber', ['subscribers']],
  ['grant', ['grants']],
  ['request', ['requests']],
  ['peer', ['peers']],
])

/** The path of a verb: its words, but for a few. */
export const pathOf = (id: string): readonly string[] => PATHS.get(id) ?? id.toLowerCase().split(' ')

/** All spellings of a path's last word but its own. */
export function aliasesOf(word: string): string[] {
  for (const [one, others] of ALIASES) {
    const all = [one, ...others]
    if (all.includes(word)) return all.filter(other => other !== word)
  }
  return []
}

/** The kebab-case flag of an option: `RETENTIONBYTES` has the key `retentionBytes`, so `retention-bytes`. */
function flagOf(verb: Verb, option: Option): string {
  const renamed = FLAGS.get(`${verb.id} ${option.keyword}`)
  if (renamed) return renamed
  const name = option.type === 'flag' ? option.keyword : option.key
  return name.replace(/[a-z][A-Z]/g, pair => `${pair[0]}-${pair[1]}`).toLowerCase()
}

/** FORMAT TEXT|JSON is `-o`; FORMAT of READ, WRITE and of agents' commands is an option. */
const isOutput = (form: Form, option: Option): boolean =>
  option.key === 'format' && form.by !== 'agent' && option.choices?.includes('text') === true

function optionsOf(verb: Verb): OptionSpec[] {
  const found = new Map<string, OptionSpec>()
  for (const form of verb.forms) {
    for (const option of form.options.values()) {
      const flag = flagOf(verb, option)
      if (!isOutput(form, option) && !found.has(flag)) {
        found.set(flag, { flag, option, agentsOnly: form.by === 'agent' })
      }
    }
  }
  return [...found.values()]
}

function keywordsOf(form: Form): KeywordSpec[] {
  const specs: KeywordSpec[] = []
  for (const [at, word] of form.words.entries()) {
    const value = form.words[at + 1]
    if (word.kind !== 'keyword' || value?.kind !== 'value') continue
    specs.push({ flag: word.keyword.toLowerCase(), label: value.label, many: value.many === true })
  }
  return specs
}

const operand = (word: Word): string => {
  if (word.kind === 'keyword') return `[${word.keyword.toLowerCase()}]`
  const label = word.label.replace('..', '')
  const name = word.type === 'on' ? '<namespace|flow> <name>' : word.type === 'choice' ? label.toLowerCase() : label
  const dots = word.many ? '...' : ''
  if (word.optional) return `[${name}${dots}]`
  return word.type === 'on' ? name : `<${name}>${dots}`
}

/** The command of a verb. */
export function commandOf(verb: Verb): CommandSpec {
  const form = verb.forms[0] as Form
  return {
    path: pathOf(verb.id),
    verb,
    operands: form.words.map(operand).join(' '),
    options: optionsOf(verb),
    keywords: keywordsOf(form),
    formats: [...form.options.values()].some(option => isOutput(form, option)),
    agentsOnly: verb.forms.every(f => f.by === 'agent'),
  }
}

/** Every command that is made from the table of verbs. */
export const COMMANDS: readonly CommandSpec[] = VERBS.filter(verb => !BY_SESSION.has(verb.id)).map(commandOf)

/** The command of a verb's id. @throws TypeError for an id that there is not */
export function commandOfId(id: string): CommandSpec {
  const verb = verbOf(id)
  if (!verb) throw new TypeError(`there is no verb ${id}`)
  return commandOf(verb)
}
