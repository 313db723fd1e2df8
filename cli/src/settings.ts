import type { ConfigFile } from './config-file.js'
import { usage } from './errors.js'

export type Output = 'table' | 'json' | 'yaml' | 'name'
export const OUTPUTS: readonly Output[] = ['table', 'json', 'yaml', 'name']

/** An option of fnua itself: its flag, its variable, and its key in the config, in the order of their weight. */
export interface GlobalOption {
  readonly key: string
  readonly flags: string
  readonly help: string
  readonly env?: string
  readonly config?: 'nameserver' | 'agent' | 'ca' | 'output'
  /** Takes no value. */
  readonly flag?: true
}

/** The one table of them: the parser, the help and the precedence stand on it. */
export const GLOBALS: readonly GlobalOption[] = [
  {
    key: 'output',
    flags: '-o, --output <format>',
    help: 'table, json, yaml or name',
    env: 'FNUA_OUTPUT',
    config: 'output',
  },
  { key: 'config', flags: '--config <file>', help: 'the config; see fnua help config', env: 'FNUA_CONFIG' },
  {
    key: 'agent',
    flags: '--agent <agent>',
    help: 'a name of the config, or fqdn[:port]',
    env: 'FNUA_AGENT',
    config: 'agent',
  },
  {
    key: 'nameserver',
    flags: '--nameserver <address>',
    help: 'address[:port] of the DNS server to ask',
    env: 'FNUA_NAMESERVER',
    config: 'nameserver',
  },
  { key: 'user', flags: '--user <name>', help: 'log in as this user', env: 'FNUA_USER' },
  {
    key: 'passwordStdin',
    flags: '--password-stdin',
    help: 'the password is the first line of standard input',
    flag: true,
  },
  { key: 'ca', flags: '--ca <file>', help: 'trust this CA (PEM)', env: 'FNUA_CA', config: 'ca' },
  { key: 'tls', flags: '--tls', help: 'STARTTLS on loopback too', env: 'FNUA_TLS', flag: true },
  {
    key: 'insecure',
    flags: '--insecure',
    help: "do not check the agent's certificate (anyone may be listening)",
    flag: true,
  },
  { key: 'debug', flags: '-d, --debug', help: 'print DNS questions and the dialogue', env: 'FNUA_DEBUG', flag: true },
  { key: 'quiet', flags: '-q, --quiet', help: 'nothing but data and errors', flag: true },
  { key: 'color', flags: '--no-color', help: 'no colour', flag: true },
]

/** What holds for one run of fnua. */
export interface Settings {
  readonly output: Output | undefined
  readonly agent: string | undefined
  /** The agent was named on the command line or in the environment: it goes before the namespace of a flow. */
  readonly agentGiven: boolean
  readonly nameserver: string | undefined
  /** The name server was named on the command line or in the environment: it goes before an address of the config. */
  readonly nameserverGiven: boolean
  readonly user: string | undefined
  readonly password: string | undefined
  readonly passwordStdin: boolean
  readonly ca: string | undefined
  /** The CA was named on the command line or in the environment: it goes before the agent's own of the config. */
  readonly caGiven: boolean
  readonly tls: boolean
  readonly insecure: boolean
  readonly debug: boolean
  readonly quiet: boolean
  readonly color: boolean
}
type Env = Readonly<Record<string, string | undefined>>
/** Options by key, as the parser gives them. */
export type GlobalFlags = Readonly<Record<string, unknown>>

/** Flags before variables before the config. */
export function settingsOf(flags: GlobalFlags, env: Env, config: ConfigFile): Settings {
  const at = (key: string): string | undefined => {
    const option = GLOBALS.find(o => o.key === key) as GlobalOption
    const flag = flags[key]
    if (typeof flag === 'string') return flag
    const variable = option.env === undefined ? undefined : env[option.env]
    if (variable !== undefined && variable !== '') return variable
    return option.config === undefined ? undefined : config[option.config]
  }
  const on = (key: string): boolean => {
    const option = GLOBALS.find(o => o.key === key) as GlobalOption
    if (flags[key] === true) return true
    return option.env !== undefined && isYes(env[option.env])
  }
  const output = at('output')
  if (output !== undefined && !OUTPUTS.includes(output as Output)) {
    throw usage(`-o is one of ${OUTPUTS.join(', ')}`)
  }
  return {
    output: output as Output | undefined,
    agent: at('agent'),
    agentGiven: typeof flags['agent'] === 'string' || Boolean(env['FNUA_AGENT']),
    nameserver: at('nameserver'),
    nameserverGiven: typeof flags['nameserver'] === 'string' || Boolean(env['FNUA_NAMESERVER']),
    user: at('user'),
    password: env['FNUA_PASSWORD'] || undefined,
    passwordStdin: on('passwordStdin'),
    ca: at('ca'),
    caGiven: typeof flags['ca'] === 'string' || Boolean(env['FNUA_CA']),
    tls: on('tls'),
    insecure: on('insecure'),
    debug: on('debug'),
    quiet: on('quiet'),
    color: flags['color'] !== false && !env['NO_COLOR'] && env['TERM'] !== 'dumb',
  }
}

const isYes = (value: string | undefined): boolean => value !== undefined && /^(?:1|yes|true|on)$/i.test(value)
