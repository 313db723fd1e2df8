import { type Command as FnapCommand, parseCommand, VERBS } from '@fnaa/protocol'
import type { Command } from 'commander'
import t from 'tap'
import { requestOf } from './line.js'
import { OPTION_HELP } from './option-help.js'
import { buildProgram, type Task } from './program.js'
import { BY_SESSION, COMMANDS, commandOfId } from './tree.js'

const ID = 'abcdefghijklmnopqrstuvwxyz'
/** A value for each label of the table. */
const VALUES: Readonly<Record<string, string>> = {
  'NAMESPACE|FLOW name': 'flow/time.flows.unix.ar',
  b: 'embedded',
  bool: 'yes',
  domain: 'emiliano.ar',
  'dst..': 'b.flows.unix.ar',
  dst: 'b.flows.unix.ar',
  duration: '7d',
  flow: 'time.flows.unix.ar',
  'flow|endpoint': 'time.flows.unix.ar',
  from: 'latest',
  host: 'fnaa.sub.unix.ar',
  id: ID,
  'id|endpoint': ID,
  'id|local|flow': ID,
  label: 'mine',
  limit: 'events=10',
  list: 'kafka,fnap',
  local: 'time.flows.emiliano.ar',
  n: '3',
  nameserver: 'dns',
  ns: 'flows.unix.ar',
  'ns|host': 'flows.unix.ar',
  parent: 'unix.ar',
  rights: 'read',
  selector: '2026a',
  size: '1G',
  'src..': 'a.flows.unix.ar',
  src: 'a.flows.unix.ar',
  t: 'topic-1',
  tags: 'one,two',
  text: 'some text',
  time: '2030-01-01T00:00:00Z',
  uri: 'https://unix.ar/schema',
  'user@domain': 'alice@unix.ar',
  value: 'a.flows.unix.ar',
  'verb..': 'grant',
  who: 'alice@unix.ar',
  'who|id': 'alice@unix.ar',
  yes: 'yes',
}
const sampleOf = (label: string, choices?: readonly string[]): string =>
  VALUES[label] ?? (label.includes('=n') ? `${label.split('=')[0]}=1` : (choices?.[0] ?? 'missing'))

/** Parses a command line with the real parser, and gives back the line of FNAP that it would send. */
async function lineOf(argv: readonly string[]): Promise<FnapCommand> {
  let task: Task | undefined
  const program = buildProgram(async found => {
    task = found
  })
  await program.parseAsync([...argv], { from: 'user' })
  if (task?.kind !== 'verb') throw new Error(`no verb behind ${argv.join(' ')}`)
  return parseCommand(requestOf(task.spec, task.words, task.given).line)
}

/** The words of a command with every positional value, as a user types them. */
function typed(id: string, agent: boolean): string[] {
  const spec = commandOfId(id)
  const form = (agent ? spec.verb.forms.find(f => f.by === 'agent') : undefined) ?? spec.verb.forms[0]!
  const words = form.words.flatMap(w => {
    if (w.kind === 'keyword') return []
    const value = sampleOf(w.label, w.choices)
    return w.type === 'on' ? value.split('/') : [value]
  })
  return [...spec.path, ...words]
}

t.test('every verb of the table is reached by a command', async t => {
  for (const verb of VERBS) {
    if (BY_SESSION.has(verb.id)) continue
    for (const form of verb.forms) {
      const spec = commandOfId(verb.id)
      const all = [...form.options.values()]
      // An UPDATE says what to change.
      const required = all.filter((o, i) => o.required || (i === 0 && verb.id.startsWith('UPDATE ')))
      const flags = required.flatMap(o => {
        const flag = spec.options.find(s => s.option.keyword === o.keyword)!.flag
        return [`--${flag}`, sampleOf(o.label, o.choices)]
      })
      const command = await lineOf([...typed(verb.id, form.by === 'agent'), ...flags])
      t.equal(command.id, verb.id, form.usage)
    }
  }
  t.same([...BY_SESSION.keys()], ['STARTTLS', 'AUTHENTICATE', 'QUIT'], 'what every session sends by itself')
})

t.test('every option of every form reaches the line', async t => {
  for (const verb of VERBS) {
    for (const form of verb.forms) {
      for (const option of form.options.values()) {
        if (option.key === 'format' && form.by !== 'agent' && option.choices?.includes('text')) continue
        const spec = commandOfId(verb.id)
        const found = spec.options.find(s => s.option.keyword === option.keyword)
        if (!found) {
          t.fail(`${verb.id} has no flag for ${option.keyword}`)
          continue
        }
        const others = [...form.options.values()].filter(o => o.required && o !== option)
        const argv = [...typed(verb.id, form.by === 'agent')]
        for (const o of [...others, option]) {
          const { flag } = spec.options.find(s => s.option.keyword === o.keyword)!
          argv.push(`--${flag}`)
          if (o.type !== 'flag') argv.push(sampleOf(o.label, o.choices))
        }
        const command = await lineOf(argv)
        const fields = option.group === 'about' ? (command.options['about'] as object) : command.options
        t.ok(option.key in fields, `${argv.join(' ')}`)
      }
    }
  }
})

t.test('-o json is FORMAT JSON wherever the agent has it', async t => {
  for (const spec of COMMANDS) {
    const has = spec.verb.forms.some(f => f.by !== 'agent' && f.options.get('FORMAT')?.choices?.includes('text'))
    t.equal(spec.formats, has, spec.verb.id)
  }
  const spec = commandOfId('GET FLOWS')
  t.match(requestOf(spec, ['flows.unix.ar'], {}, true).line, 'GET FLOWS flows.unix.ar FORMAT JSON')
})

/** Figure 21 of the thesis. */
const FIGURE_21: readonly (readonly [string, string])[] = [
  ['create namespace', 'CREATE NAMESPACE'],
  ['create flow', 'CREATE FLOW'],
  ['delete namespace', 'DELETE NAMESPACE'],
  ['delete flow', 'DELETE FLOW'],
  ['get flows', 'GET FLOWS'],
  ['get namespaces', 'GET NAMESPACES'],
  ['get brokers', 'GET BROKERS'],
  ['get agents', 'GET AGENTS'],
  ['get processors', 'GET PROCESSORS'],
  ['describe flow', 'DESCRIBE FLOW'],
  ['describe namespace', 'DESCRIBE NAMESPACE'],
  ['describe nameserver', 'DESCRIBE NAMESERVER'],
  ['describe broker', 'DESCRIBE BROKER'],
  ['describe agent', 'DESCRIBE AGENT'],
  ['describe processor', 'DESCRIBE PROCESSOR'],
  ['read', 'READ FLOW'],
  ['write', 'WRITE FLOW'],
  ['replicate', 'REPLICATE'],
  ['collect', 'COLLECT'],
  ['distribute', 'DISTRIBUTE'],
  ['signal', 'SIGNAL'],
]

t.test('the tree of figure 21', async t => {
  const program = buildProgram(async () => undefined)
  for (const [path, id] of FIGURE_21) {
    let command: Command | undefined = program
    for (const word of path.split(' ')) command = command?.commands.find(c => c.name() === word)
    t.ok(command, path)
    t.ok(
      COMMANDS.some(c => c.path.join(' ') === path && c.verb.id === id),
      `${path} sends ${id}`,
    )
  }
})

t.test('no option of a verb hides one of fnua itself', async t => {
  const program = buildProgram(async () => undefined)
  const own = program.options.flatMap(o => [o.long, o.short].filter(Boolean))
  const walk = (command: Command) => {
    for (const c of command.commands) {
      for (const o of c.options) t.notOk(own.includes(o.long), `${c.name()} ${o.long}`)
      walk(c)
    }
  }
  walk(program)
})

t.test('each option has a description, and each description an option', async t => {
  const program = buildProgram(async () => undefined)
  const walk = (command: Command) => {
    for (const c of command.commands) {
      for (const o of c.options) if (!o.hidden) t.ok(o.description.length > 3, `${c.name()} ${o.flags}`)
      walk(c)
    }
  }
  walk(program)
  const ids = COMMANDS.flatMap(c => c.options.flatMap(o => [`${c.verb.id} ${o.option.keyword}`, o.option.keyword]))
  for (const key of OPTION_HELP.keys()) t.ok(ids.includes(key), key)
})
