/**
 * The kinds of values in a command. `flag` takes no word, `from` one or two, `on` two, all others one word.
 */
export type ValueType =
  | 'base64'
  | 'bool'
  | 'choice'
  | 'duration'
  | 'flag'
  | 'from'
  | 'help'
  | 'id'
  | 'idOrName'
  | 'instance'
  | 'label'
  | 'limit'
  | 'list'
  | 'mechanism'
  | 'name'
  | 'newName'
  | 'number'
  | 'on'
  | 'quota'
  | 'rights'
  | 'selector'
  | 'shards'
  | 'size'
  | 'tags'
  | 'text'
  | 'time'
  | 'topic'
  | 'uri'
  | 'user'
  | 'who'
  | 'whoOrId'
  | 'yes'

/** A value: where it goes, what it is, and how usage names it. */
export interface ValueSpec {
  /** Its key in `args` or `options`. */
  readonly key: string
  readonly type: ValueType
  /** Its word in the usage line: `flow`, `n`, `auto|copy`. */
  readonly label: string
  /** The words of a `choice`, in lower case, or the keys of a `quota`. */
  readonly choices?: readonly string[]
  /** One word or more; the value is an array. */
  readonly many?: boolean
  /** The value is an array even when it is one word (sources and sinks of all processor verbs look the same). */
  readonly listed?: boolean
}
/** A positional word: a value, or a keyword that must stand there. */
export type Word =
  | (ValueSpec & { readonly kind: 'value'; readonly optional: boolean })
  | { readonly kind: 'keyword'; readonly keyword: string }
/** An option: a keyword, and its value unless it is a flag. Options of one key exclude each other (MINE, SHARED). */
export interface Option extends ValueSpec {
  readonly keyword: string
  readonly required: boolean
  /** What a flag sets: true, or its own word for alternatives. */
  readonly sets?: true | string
  readonly group?: 'about' | 'page'
}
/** One way to write a command. */
export interface Form {
  /** Who may use it: `agent` forms are for domain logins. */
  readonly by: 'any' | 'user' | 'agent'
  readonly usage: string
  readonly words: readonly Word[]
  readonly options: ReadonlyMap<string, Option>
}

const KEYS: ReadonlyMap<string, string> = new Map([
  ['RETENTIONBYTES', 'retentionBytes'],
  ['ONDELETE', 'onDelete'],
])
/** Options whose `n` has a bound of its own. */
const TYPES: ReadonlyMap<string, ValueType> = new Map([['SHARDS', 'shards']])
const ABOUT = '[TITLE text] [DESCRIPTION text] [SCHEMA uri] [CONTACT text] [TAGS tags]'
const PAGE = '[MAX n] [AFTER value] [FORMAT TEXT|JSON]'

/** What a label of a usage line stands for: the type, and the key of a positional word where it is not the label. */
const LABELS: ReadonlyMap<string, readonly [ValueType, string?]> = new Map<string, readonly [ValueType, string?]>([
  ['NAMESPACE|FLOW name', ['on', 'on']],
  ['address', ['text']],
  ['b', ['instance', 'broker']],
  ['bool', ['bool']],
  ['domain', ['name']],
  ['dst', ['name', 'sinks']],
  ['duration', ['duration']],
  ['flow', ['name']],
  ['flow|endpoint', ['name', 'flow']],
  ['from', ['from']],
  ['host', ['name']],
  ['id', ['id']],
  ['id|endpoint', ['idOrName', 'id']],
  ['id|local|flow', ['idOrName', 'target']],
  ['initial', ['base64']],
  ['label', ['label']],
  ['limit', ['limit']],
  ['list', ['list']],
  ['local', ['name']],
  ['mech', ['mechanism', 'mechanism']],
  ['n', ['number']],
  ['nameserver', ['instance']],
  ['ns', ['name', 'namespace']],
  ['ns|host', ['name', 'name']],
  ['parent', ['name']],
  ['rights', ['rights']],
  ['selector', ['selector']],
  ['size', ['size']],
  ['src', ['name', 'sources']],
  ['t', ['topic']],
  ['tags', ['tags']],
  ['text', ['text']],
  ['time', ['time']],
  ['uri', ['uri']],
  ['user@domain', ['user']],
  ['value', ['text']],
  ['verb', ['help', 'verb']],
  ['who', ['who']],
  ['who|id', ['whoOrId', 'who']],
  ['yes', ['yes']],
])
/** Keywords that stand among the positional words, by the command's verb. */
const INNER: ReadonlyMap<string, readonly string[]> = new Map([
  ['GRANT', ['TO']],
  ['REVOKE', ['FROM']],
  ['PUBLISH', ['TO']],
  ['COLLECT', ['TO']],
  ['DISTRIBUTE', ['TO']],
  ['SIGNAL', ['TO']],
])

function valueSpec(label: string, key: string | undefined): ValueSpec {
  const many = label.endsWith('..')
  const plain = many ? label.slice(0, -2) : label
  const known = LABELS.get(plain)
  if (known) {
    const name = key ?? known[1] ?? plain
    const listed = name === 'sources' || name === 'sinks'
    return { key: name, type: known[0], label, ...(many ? { many } : {}), ...(listed ? { listed } : {}) }
  }
  if (plain.includes('=n')) {
    return { key: key ?? 'quota', type: 'quota', label, choices: plain.split(',').map(part => part.slice(0, -2)) }
  }
  if (!/^[A-Za-z0-9|]+$/.test(plain)) throw new TypeError(`no type for ${label}`)
  return { key: key ?? 'right', type: 'choice', label, choices: plain.toLowerCase().split('|') }
}

/** `NAMESPACE|FLOW name` is one value of two words. */
const unit = (words: readonly string[], at: number): string =>
  words[at] === 'NAMESPACE|FLOW' ? `${words[at]} ${words[at + 1]}` : words[at]!

function optionsOf(text: string, required: boolean, group: Option['group']): Option[] {
  const [keyword, ...rest] = text.split(' ')
  const base = { required, ...(group ? { group } : {}) }
  if (rest.length === 0) {
    const alternatives = keyword!.split('|')
    const key = alternatives.length > 1 ? 'scope' : keyword!.toLowerCase()
    return alternatives.map(word => ({
      ...base,
      keyword: word,
      key,
      type: 'flag' as const,
      label: '',
      sets: alternatives.length > 1 ? word.toLowerCase() : true,
    }))
  }
  const spec = valueSpec(unit(rest, 0), KEYS.get(keyword!) ?? keyword!.toLowerCase())
  return [{ ...base, ...spec, type: TYPES.get(keyword!) ?? spec.type, keyword: keyword! }]
}

/** Reads the words before the first option, without brackets. Returns how many were taken. */
function readWords(tokens: readonly string[], id: string, words: Word[]): number {
  const inner = INNER.get(id) ?? []
  let at = 0
  while (at < tokens.length) {
    const token = tokens[at]!
    if (inner.includes(token)) words.push({ kind: 'keyword', keyword: token })
    else if (token === 'ON') {
      words.push({ kind: 'keyword', keyword: 'ON' })
      words.push({ kind: 'value', optional: false, ...valueSpec(unit(tokens, at + 1), undefined) })
      at += 2
    } else if (/^[A-Z]+$/.test(token)) break
    else {
      const type = id.startsWith('CREATE ') ? { type: 'newName' as const } : {}
      words.push({ kind: 'value', optional: false, ...valueSpec(token, undefined), ...type })
    }
    at++
  }
  return at
}

/** Makes a form from its usage: words, then `KEYWORD value` that must stand, then options in brackets. */
export function form(id: string, by: Form['by'], text: string): Form {
  const words: Word[] = []
  const options = new Map<string, Option>()
  const add = (found: Option[]) => {
    for (const option of found) options.set(option.keyword, option)
  }
  const open = text.indexOf('[')
  const tokens = (open < 0 ? text : text.slice(0, open)).split(' ').filter(token => token !== '')
  for (let at = readWords(tokens, id, words); at < tokens.length; at += 2) {
    add(optionsOf(`${tokens[at]} ${tokens[at + 1]}`, true, undefined))
  }
  for (const [, inside] of (open < 0 ? '' : text.slice(open)).matchAll(/\[([^\]]+)\]/g)) {
    const macro = inside === 'ABOUT' ? ABOUT : inside === 'PAGE' ? PAGE : undefined
    if (macro) {
      const group = inside === 'ABOUT' ? 'about' : 'page'
      for (const [, part] of macro.matchAll(/\[([^\]]+)\]/g)) add(optionsOf(part!, false, group))
    } else if (/^[A-Z]/.test(inside!)) add(optionsOf(inside!, false, undefined))
    else words.push({ kind: 'value', optional: true, ...valueSpec(inside!, undefined) })
  }
  return { by, usage: text === '' ? id : `${id} ${text}`, words, options }
}
