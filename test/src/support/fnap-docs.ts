import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type Form, type ValueSpec, type ValueType, VERBS, type Verb } from '@fnaa/protocol'

const FILE = fileURLToPath(new URL('../../../docs/fnap.md', import.meta.url))

/** docs/fnap.md, taken apart: its fenced blocks by their kind, and its tables by the first cell of their head. */
export class FnapDocs {
  readonly text: string
  private constructor(text: string) {
    this.text = text
  }

  static async read(file = FILE): Promise<FnapDocs> {
    return new FnapDocs(await readFile(file, 'utf8'))
  }

  /** The lines of each block that is fenced as this kind. */
  blocks(kind: string): string[][] {
    const found: string[][] = []
    for (const [, body] of this.text.matchAll(new RegExp(`^\`\`\`${kind}\\n([\\s\\S]*?)^\`\`\`$`, 'gm')))
      found.push(body!.trimEnd().split('\n'))
    return found
  }

  /** The rows of the table with exactly this head; code marks are taken off. */
  table(...head: string[]): string[][] {
    const lines = this.text.split('\n').map(line => line.trimStart())
    const at = lines.findIndex(line => line.startsWith('|') && cells(line).join('|') === head.join('|'))
    if (at < 0) throw new Error(`docs/fnap.md has no table ${head.join(' | ')}`)
    const rows: string[][] = []
    for (const line of lines.slice(at + 2)) {
      if (!line.startsWith('|')) break
      rows.push(cells(line))
    }
    return rows
  }
}

const cells = (line: string): string[] =>
  line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map(cell => cell.trim().replaceAll('\\|', '|').replaceAll('`', ''))

/** What a value's type is called in the grammar. */
const RULES: Readonly<Record<Exclude<ValueType, 'choice' | 'flag' | 'quota'>, string>> = {
  base64: 'base64',
  bool: 'bool',
  duration: 'duration',
  from: 'from',
  help: 'verb-word',
  id: 'id',
  idOrName: '(id / name)',
  instance: 'instance',
  label: 'label',
  limit: 'limit',
  list: 'list',
  mechanism: 'mechanism',
  name: 'name',
  newName: 'new-name',
  number: 'n',
  on: 'thing',
  rights: 'rights',
  selector: 'selector',
  shards: 'shards',
  size: 'size',
  tags: 'tags',
  text: 'text',
  time: 'time',
  topic: 'topic',
  uri: 'uri',
  user: 'user-at-domain',
  who: 'who',
  whoOrId: '(who / id)',
  yes: '"yes"',
}

function value(spec: ValueSpec): string {
  if (spec.type === 'choice') return `(${spec.choices!.map(word => `"${word}"`).join(' / ')})`
  if (spec.type === 'quota') return 'quota'
  return RULES[spec.type as keyof typeof RULES]
}

/** The names of a verb's rules: its own, and one for each form where it has two. */
const ruleOf = (verb: Verb, form: Form): string => {
  const own = verb.id.toLowerCase().replaceAll(' ', '-')
  return verb.forms.length > 1 ? `${own}-by-${form.by}` : own
}

/** One form of a command as rules of ABNF (RFC 5234): its words in order, then its options in any. */
function formRules(verb: Verb, form: Form): string[] {
  const name = ruleOf(verb, form)
  const words = verb.id.split(' ').map(word => `"${word}"`)
  for (const word of form.words) {
    if (word.kind === 'keyword') words.push(`"${word.keyword}"`)
    else if (word.many) words.push(word.optional ? `*(sep ${value(word)})` : `${value(word)} *(sep ${value(word)})`)
    else words.push(word.optional ? `[sep ${value(word)}]` : value(word))
  }
  const line = words.reduce((text, word) => (/^(?:\[|\*\()sep/.test(word) ? `${text} ${word}` : `${text} sep ${word}`))
  const own = [...form.options.values()].filter(option => option.group === undefined)
  const groups = [...new Set([...form.options.values()].flatMap(option => option.group ?? []))]
  const options = [
    ...own.map(o => (o.type === 'flag' ? `"${o.keyword}"` : `"${o.keyword}" sep ${value(o)}${more(o)}`)),
    ...groups,
  ]
  if (options.length === 0) return [`${name} = ${line}`]
  const must = own.filter(option => option.required).map(option => option.keyword)
  if (options.length === 1) {
    const [only] = options
    const tail = must.length > 0 ? `sep ${only}` : groups.length > 0 ? `*(sep ${only})` : `[sep ${only}]`
    return [`${name} = ${line} ${tail}`]
  }
  const note = must.length > 0 ? ` ; with ${must.join(', ')}` : ''
  return [`${name} = ${line} *(sep ${name}-option)${note}`, `${name}-option = ${options.join(' / ')}`]
}

const more = (spec: ValueSpec): string => (spec.many ? ` *(sep ${value(spec)})` : '')

/** The rules of every command, one a line, as docs/fnap.md has them. */
export function commandRules(): string[] {
  const names = VERBS.map(verb => verb.id.toLowerCase().replaceAll(' ', '-'))
  const rules = VERBS.flatMap(verb => {
    const forms = verb.forms.flatMap(form => formRules(verb, form))
    const own = verb.id.toLowerCase().replaceAll(' ', '-')
    return verb.forms.length > 1 ? [`${own} = ${verb.forms.map(f => ruleOf(verb, f)).join(' / ')}`, ...forms] : forms
  })
  return [`command = ${names.join(' / ')}`, ...rules].flatMap(folded)
}

/** A rule on lines of at most 120 characters, broken between its alternatives; later ones begin with blanks (RFC 5234). */
function folded(rule: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const part of rule.split(/ (?=\/ (?![^(]*\)))/)) {
    if (line.length + part.length + 1 > 120) {
      lines.push(line)
      line = '   '
    }
    line = line === '' ? part : `${line} ${part}`
  }
  return [...lines, line]
}
