import { Command, CommanderError } from 'commander'
import { nearest } from '../config/suggest.js'
import { ConfigError } from '../config/validate.js'
import { isFna } from '../contract/errors.js'
import { ADMIN_HELP, adminHelp } from './admin-help.js'
import { fnaad, UsageError } from './usage.js'

const DEFAULT_CONFIG = 'fnaad.config.ts'

/** Exit codes of `fnaad`, in its help and in docs/guides/operate.md. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const

const DOCTOR_HELP = `
It goes from the agent and its clock over DNS, address, TCP, TLS, greeting and key to the broker, says of each layer whether it holds, and
under one that does not the record, command or option that mends it. Nothing is changed.

Exit codes: 0 whole, warnings included; 1 a layer is broken; 2 wrong usage or wrong config.`

/** `fnaad`: runs an agent from a config, checks one, examines it from outside, manages its users and keys, lists its sessions, or shows two of them (`dev`). */
export async function main(args: readonly string[]): Promise<number> {
  let code: number = EXIT.ok
  const set = (run: () => Promise<number>) => async () => {
    code = await run()
  }
  const program = new Command('fnaad')
    .description('The agent of the event streaming open network.')
    .option('-c, --config <file>', 'the config (.ts, .js, .mjs, .yaml, .json)', DEFAULT_CONFIG)
    .version('0.1.0', '-V, --version')
    .exitOverride()
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      `\nExit codes: 0 done; 1 failed, such as a port in use or an agent that runs already; 2 wrong usage or wrong config.\n\nExamples:\n  fnaad --config fnaad.config.ts      run an agent\n  fnaad check                         say what is wrong with the config, without starting\n  fnaad doctor                        say whether others find it, and what is broken\n  fnaad user add alice                make a user; the password is asked for, or read from standard input\n  fnaad dev                           two participants on this machine, exchanging events`,
    )
  program.allowExcessArguments().action(
    set(async () => {
      if (program.args.length > 0) throw unknown(String(program.args[0]), program)
      return (await import('./run-agent.js')).runAgent(program.opts()['config'] as string)
    }),
  )
  program
    .command('run')
    .description('run the agent (what fnaad does without a command)')
    .action(set(async () => (await import('./run-agent.js')).runAgent(program.opts()['config'] as string)))
  program
    .command('check')
    .description('check the config without starting anything')
    .action(set(async () => (await import('./check.js')).check(program.opts()['config'] as string)))
  const dev = program
    .command('dev')
    .description('two participants on loopback, each with its own agent, names, broker and keys')
    .option('--port <n>', 'port of the first agent; the second has the next one', '61000')
    .option('--domains <a,b>', 'the two domains', 'unix.test,emiliano.test')
    .option('--data <dir>', 'where the state stays', '.fnaad')
    .option('--fresh', 'begin without the state of the last time')
    .option('--empty', 'no flow, no subscription')
    .option('--kafka <a,b>', 'host:port,host:port: the two participants’ flows on Kafka clusters, one each')
    .option('--json', 'one line of JSON when all is active, and nothing else on standard output')
  dev.action(
    set(async () => (await import('../dev/dev.js')).dev({ ...dev.opts(), config: program.opts()['config'] as string })),
  )
  for (const [noun, description] of [
    ['user', "this participant's users"],
    ['key', "the keys that prove this participant's domains"],
  ] as const) {
    const verbs = ADMIN_HELP[noun].map(c => c.usage.split(' ')[1]).join('|')
    const admin = program
      .command(`${noun} <${verbs}> [args...]`)
      .description(description)
      .addHelpText('after', adminHelp(noun))
    admin.action(async (verb: string, rest: string[]) => {
      code = await (await import('./admin.js')).admin(program.opts()['config'] as string, `${noun} ${verb}`, rest)
    })
  }
  program
    .command('sessions [flow]')
    .description('who is logged in to the running agent, and what each reads or writes, now')
    .action(async (flow?: string) => {
      const args = flow === undefined ? [] : [flow]
      code = await (await import('./admin.js')).sessions(program.opts()['config'] as string, args)
    })
  program
    .command('doctor [name]')
    .description("does the world find this agent, and may it believe it? With a name: does this agent find that one's?")
    .option('--json', 'what was found as one JSON document')
    .addHelpText('after', DOCTOR_HELP)
    .action(async (name: string | undefined, opt: { json?: boolean }) => {
      code = await (await import('./doctor.js')).doctor(program.opts()['config'] as string, name, opt)
    })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return code
  } catch (e) {
    return report(e)
  }
}

/** A word that is no command. */
function unknown(word: string, program: Command): UsageError {
  const names = program.commands.map(c => c.name())
  const near = nearest(word, names)
  const meant = near === undefined ? '' : `did you mean ${near}? `
  return new UsageError(`unknown command '${word}': ${meant}there are ${names.join(', ')}\ntry: ${fnaad()} --help`)
}

/** Says what is wrong on standard error, in the operator's words: no stack for his own mistakes. */
export function report(e: unknown): number {
  if (e instanceof CommanderError) return e.exitCode === 0 ? EXIT.ok : EXIT.usage
  const message = e instanceof Error ? e.message : String(e)
  process.stderr.write(`${message.startsWith('error') ? '' : 'error: '}${message}\n`)
  if (e instanceof UsageError || e instanceof ConfigError) return EXIT.usage
  if (isFna(e, 'FNA_ERR_CONFIG') || isFna(e, 'FNA_ERR_INVALID')) return EXIT.usage
  if (!isFna(e) && e instanceof Error && e.stack)
    process.stderr.write(`${e.stack.split('\n').slice(1, 4).join('\n')}\n`)
  return EXIT.failed
}
