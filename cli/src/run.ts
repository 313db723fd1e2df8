import { type Command, CommanderError } from 'commander'
import { normalise } from './argv.js'
import { loadConfig } from './config-file.js'
import type { Context } from './context.js'
import { Debug } from './debug.js'
import { CliError, EXIT, Interrupted, OutputClosed, toCliError } from './errors.js'
import { asTyped } from './hint.js'
import { Out } from './out.js'
import { buildProgram, help, type Task } from './program.js'
import { type GlobalFlags, settingsOf } from './settings.js'
import { ask } from './terminal.js'
import { safe } from './text.js'

/** What a run of fnua stands on; tests give their own. */
export interface Process {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  /** Calls back at Ctrl-C. */
  readonly onInterrupt: (handler: () => void) => void
}

/** What an error is told by: the options that the parser has seen. */
interface Asked {
  readonly debug: boolean
  readonly flags: GlobalFlags
}

/** Runs one command line. @returns the exit code; what is written may still be on its way */
export async function runFnua(p: Process): Promise<number> {
  const out = new Out(p.stdout)
  p.stderr.on('error', () => undefined)
  const interrupt = new AbortController()
  p.onInterrupt(() => interrupt.abort(new Interrupted()))
  let asked: Asked = { debug: false, flags: {} }
  const program = buildProgram(async (task, flags) => {
    asked = { debug: flags['debug'] === true, flags }
    const cx = await contextOf(p, out, interrupt.signal, flags)
    asked = { ...asked, debug: cx.settings.debug }
    await perform(cx, task, program)
  })
  quiet(program, out)
  try {
    if (p.argv.length === 0) await out.write(help(program, []))
    else await program.parseAsync(normalise(p.argv), { from: 'user' })
    await out.flush()
    return EXIT.ok
  } catch (e) {
    return report(p, e instanceof CommanderError ? ofParser(e, program, p.argv) : e, asked)
  } finally {
    p.stdin.destroy()
  }
}

/** Help goes to standard output; errors of the parser are ours to print. */
function quiet(program: ReturnType<typeof buildProgram>, out: Out): void {
  const commands = [program]
  for (const command of commands) {
    command.configureOutput({
      writeOut: text => void out.write(text).catch(() => undefined),
      writeErr: () => undefined,
    })
    commands.push(...command.commands)
  }
}

async function contextOf(
  p: Process,
  out: Out,
  interrupt: AbortSignal,
  flags: Readonly<Record<string, unknown>>,
): Promise<Context> {
  const given = (flags['config'] as string | undefined) ?? (p.env['FNUA_CONFIG'] || undefined)
  const config = await loadConfig(given, p.cwd, p.env)
  const settings = settingsOf(flags, p.env, config)
  const line = (text: string) => void p.stderr.write(`${text}\n`)
  const debug = new Debug(settings.debug ? line : null)
  debug.say('Initializing initConfig')
  if (config.file !== undefined) debug.say(`Using config file: ${given ?? config.file}`)
  const note = settings.quiet ? () => undefined : (text: string) => line(safe(text))
  for (const warning of config.warnings) note(`warning: ${warning}`)
  const configGiven = given === undefined || config.file === undefined ? {} : { configGiven: config.file }
  return {
    settings,
    config,
    ...configGiven,
    env: p.env,
    cwd: p.cwd,
    typed: hint => asTyped(hint, flags, p),
    out,
    stdin: p.stdin,
    debug,
    interrupt,
    note,
    ask: (question, opt) => ask(p, question, { ...opt, signal: interrupt }),
  }
}

/** Each command is a module of its own, loaded when it is run. */
async function perform(cx: Context, task: Task, program: ReturnType<typeof buildProgram>): Promise<void> {
  if (task.kind === 'own') return (await import('./run-own.js')).runOwn(cx, task.name, task.words, program)
  const { spec, words, given } = task
  if (given['watch'] === true) return (await import('./run-watch.js')).runWatch(cx, spec, words, given)
  switch (spec.verb.id) {
    case 'READ FLOW':
      return (await import('./run-read.js')).runRead(cx, spec, words, given)
    case 'WRITE FLOW':
      return (await import('./run-write.js')).runWrite(cx, spec, words, given)
    case 'SUBSCRIBE':
    case 'PUBLISH':
      return (await import('./run-subscribe.js')).runSubscribe(cx, spec, words, given)
    case 'GET GRANTS':
      return (await import('./run-grants.js')).runGetGrants(cx, spec, words, given)
    case 'REMOVE SUBSCRIBER':
      return (await import('./run-cut.js')).runRemoveSubscriber(cx, spec, words, given)
    case 'UPDATE FLOW':
      return (await import('./run-cut.js')).runUpdateFlow(cx, spec, words, given)
    case 'DELETE FLOW':
      return (await import('./run-cut.js')).runDeleteFlow(cx, spec, words, given)
    case 'UPDATE PEER':
      return (await import('./run-cut.js')).runUpdatePeer(cx, spec, words, given)
    case 'REVOKE':
      return (await import('./run-grants.js')).runRevoke(cx, spec, words, given)
    default:
      return (await import('./run-verb.js')).runVerb(cx, spec, words, given)
  }
}

/** Says what went wrong, in the one shape, on standard error. */
function report(p: Process, e: unknown, { debug, flags }: Asked): number {
  if (e instanceof OutputClosed) return EXIT.ok
  if (e instanceof Interrupted) return EXIT.interrupted
  if (e === null) return EXIT.ok
  const error = toCliError(e)
  const red = p.stderr.isTTY && !p.env['NO_COLOR'] && !p.argv.includes('--no-color')
  const word = red ? '\x1b[31merror:\x1b[0m' : 'error:'
  p.stderr.write(`${word} ${safe(error.message)}${error.reply ? ` (${safe(error.reply)})` : ''}\n`)
  if (error.hint !== undefined) p.stderr.write(`try: ${safe(asTyped(error.hint, flags, p))}\n`)
  if (debug && error.cause instanceof Error)
    p.stderr.write(`${safe(error.cause.stack ?? '').replaceAll('\\x0a', '\n')}\n`)
  return error.exit
}

/** @returns null where help or the version was asked for */
function ofParser(e: CommanderError, program: Command, argv: readonly string[]): CliError | null {
  if (e.exitCode === 0) return null
  const command = meant(program, argv)
  const path = [command.name()]
  for (let c = command.parent; c; c = c.parent) path.unshift(c.name())
  const hint = ['fnua help', ...path.slice(1)].join(' ')
  const nouns = command.commands.map(c => c.name()).join(', ')
  const message = e.code === 'commander.help' ? `${path.join(' ')} needs one of ${nouns}` : e.message
  return new CliError(
    message
      .replace(/^error: /, '')
      .replace(/\n\(?/, ' (')
      .trim(),
    EXIT.usage,
    { hint },
  )
}

/** The command that the words lead to, as far as they do. */
function meant(program: Command, argv: readonly string[]): Command {
  let command = program
  for (const word of normalise(argv)) {
    command = command.commands.find(c => c.name() === word || c.aliases().includes(word)) ?? command
  }
  return command
}
