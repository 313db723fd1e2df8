import { Command, Option } from 'commander'
import { usage } from './errors.js'
import type { Given } from './line.js'
import { keywordHelp, optionHelp } from './option-help.js'
import { GLOBALS, OUTPUTS } from './settings.js'
import { exitLine, TOPICS } from './topics.js'
import { aliasesOf, COMMANDS, type CommandSpec, type OptionSpec } from './tree.js'
import { VERSION } from './version.js'

/** What a command line asks for: one of fnua's own commands, or a verb of the table. */
export type Task =
  | { readonly kind: 'verb'; readonly spec: CommandSpec; readonly words: readonly string[]; readonly given: Given }
  | { readonly kind: 'own'; readonly name: string; readonly words: readonly string[] }
export type Run = (task: Task, flags: Readonly<Record<string, unknown>>) => Promise<void>

/** Groups of the tree, and what help says of them. */
const GROUPS: ReadonlyMap<string, string> = new Map([
  ['create', 'create a namespace or a flow'],
  ['delete', 'delete a namespace, a flow or a processor'],
  ['update', 'change what is there'],
  ['get', 'list flows, namespaces, brokers, agents, processors, subscriptions …'],
  ['describe', 'show one of them'],
  ['pause', 'stop moving events, keep processor and position'],
  ['resume', 'move events again'],
  ['stop', 'tear the processor down, keep subscription and position'],
  ['remove', 'cut a subscriber off, remove credentials at a broker'],
])
/** Shorter ways to commands of the table. */
const SHORT: ReadonlyMap<string, string> = new Map([
  ['subscriptions', 'GET SUBSCRIPTIONS'],
  ['subscribers', 'GET SUBSCRIBERS'],
])
/** Commands of fnua that are no verb. */
const OWN: readonly (readonly [name: string, operands: string, help: string])[] = [
  ['login', '', 'try a user and a password, and keep them in your config'],
  ['resolve', '<name>', 'show what DNS says of a flow or namespace: each answer, what it is worth, where its agent is'],
  ['doctor', '<name>', 'say which layer on the way to a flow or namespace is broken, and what mends it'],
  ['watch', '<get-command...>', 'the same as the command with --watch'],
  ['api', '<line...>', 'send a command of FNAP as it stands, and print the reply'],
  ['completion', '<bash|zsh|fish>', 'print the script that completes fnua in a shell'],
  ['help', '[command|topic]', 'help for a command, or for a topic'],
  ['version', '', 'print the version'],
]

const HELP = {
  subcommandTerm: (c: Command) => `${c.name()} ${c.usage().replace('[options]', '')}`.trim(),
  // The values that there are stand in the flags.
  optionDescription: (o: Option) => o.description,
}

/** The parser of fnua's command line, made from the table of verbs. */
export function buildProgram(run: Run): Command {
  const program = new Command('fnua')
    .description('The user agent of the event streaming open network.')
    .usage('[options] <command>')
    .version(VERSION, '-V, --version')
    .helpCommand(false)
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp(HELP)
  program.addHelpText('after', topics)
  for (const o of GLOBALS) {
    const option = new Option(o.flags, o.help)
    program.addOption(o.key === 'output' ? option.choices([...OUTPUTS]) : option)
  }
  const groups = new Map<string, Command>()
  for (const [name, help] of GROUPS) {
    const group = program.command(name).description(help).usage('<what> …').helpCommand(false)
    if (name === 'describe') group.alias('desc')
    groups.set(name, group)
  }
  for (const spec of COMMANDS) {
    const [first = '', last] = spec.path
    addVerb(last === undefined ? program : (groups.get(first) as Command), last ?? first, spec, run)
  }
  for (const [name, id] of SHORT) addVerb(program, name, COMMANDS.find(c => c.verb.id === id) as CommandSpec, run)
  for (const [name, operands, help] of OWN) addOwn(program, name, operands, help, run)
  addOwn(program, '__complete', '[words...]', '', run, true)
  return program
}

function addVerb(parent: Command, name: string, spec: CommandSpec, run: Run): void {
  const command = parent
    .command(name, { hidden: spec.agentsOnly })
    .summary(spec.verb.summary)
    .description(describe(spec))
  if (spec.path.length > 1) command.aliases(aliasesOf(name))
  command.usage(`${spec.operands} [options]`.trim()).argument('[words...]')
  for (const option of spec.options) command.addOption(optionOf(spec, option))
  for (const { flag, label, many } of spec.keywords) {
    const value = label.replace('..', '').replace('NAMESPACE|FLOW name', 'kind/name')
    command.addOption(new Option(`--${flag} <${value}${many ? '...' : ''}>`, keywordHelp(spec.verb.id, flag)))
  }
  for (const option of extras(spec)) command.addOption(option)
  command.helpOption('-h, --help', 'this help').exitOverride()
  command.action(async (words: string[]) => {
    // A verb's options keep their own spelling: commander turns `retention-bytes` into `retentionBytes`.
    const options = command.opts()
    const given: Record<string, unknown> = {}
    for (const o of command.options) if (o.long) given[o.long.slice(2)] = options[o.attributeName()]
    await run({ kind: 'verb', spec, words, given }, command.optsWithGlobals())
  })
}

const describe = (spec: CommandSpec): string => {
  const { summary, needs } = spec.verb
  return needs === '–' ? summary : `${summary} (needs: ${needs})`
}

function optionOf(spec: CommandSpec, { flag, option, agentsOnly }: OptionSpec): Option {
  const help = optionHelp(spec.verb.id, option.keyword)
  if (option.type === 'flag') return new Option(`--${flag}`, help).hideHelp(agentsOnly)
  const label = option.label.replace('..', '').replace('NAMESPACE|FLOW name', 'kind/name')
  const choices = option.type === 'bool' ? ['yes', 'no'] : (option.choices ?? [])
  const made = new Option(`--${flag} <${option.type === 'bool' ? 'yes|no' : label}${option.many ? '...' : ''}>`, help)
  // Which words are right is for the protocol's own rules to say; these are for completion.
  if (option.type === 'choice' || option.type === 'bool') made.argChoices = [...choices]
  return made.hideHelp(agentsOnly)
}

/** What fnua adds to a command of the table. */
function extras(spec: CommandSpec): Option[] {
  const id = spec.verb.id
  if (id.startsWith('GET ') || id.startsWith('DESCRIBE ')) {
    return [
      new Option('-w, --watch', 'again and again; a pipe gets what changed'),
      new Option('--interval <seconds>', 'time between two looks').default(undefined, '2'),
    ]
  }
  if (id === 'SUBSCRIBE' || id === 'PUBLISH') return [new Option('--wait', 'wait until the owner has decided')]
  if (id === 'READ FLOW') return [new Option('--position <json>', 'the position of --from position').hideHelp()]
  return []
}

function addOwn(program: Command, name: string, operands: string, help: string, run: Run, hidden = false): void {
  const command = program
    .command(name, { hidden })
    .description(help)
    .usage(operands || ' ')
    .argument('[words...]')
  if (name === 'api' || hidden) command.allowUnknownOption()
  command.exitOverride().action(async (words: string[]) => {
    await run({ kind: 'own', name, words }, command.optsWithGlobals())
  })
}

/** Help for a command by its words, for a topic, or for fnua. @throws CliError of usage */
export function help(program: Command, words: readonly string[]): string {
  const topic = words.length === 1 ? TOPICS.get(words[0] as string) : undefined
  if (topic) return topic.text()
  let command = program
  for (const word of words) {
    const next = command.commands.find(c => c.name() === word || c.aliases().includes(word))
    if (!next) break
    command = next
  }
  if (command === program && words.length > 0) throw usage(`there is no help for ${words.join(' ')}`)
  return command.helpInformation() + (command === program ? `${topics()}\n` : '')
}

/** What stands below the list of commands. */
function topics(): string {
  const rows = [...TOPICS].map(([name, { summary }]) => `  ${name.padEnd(14)}${summary}`)
  return `\nTopics of fnua help:\n${rows.join('\n')}\n\n${exitLine()}`
}
