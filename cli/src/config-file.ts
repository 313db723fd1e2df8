import { readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { CliError, EXIT } from './errors.js'

/** An agent of `.flow.yml`. */
export interface AgentEntry {
  readonly name: string
  /** The agent's own name, canonical: looked up in DNS, and what its certificate must bear. */
  readonly fqdn: string
  /** `host:port`; absent, DNS says it. */
  readonly address?: string
  /** `address[:port]` of the DNS server that knows it; goes before that of the config. */
  readonly nameserver?: string
  readonly username?: string
  readonly password?: string
  /** Stands before a source's name where SUBSCRIBE gets no LOCAL. */
  readonly prefix?: string
  /** File with the CA's certificate, PEM; relative to the config. */
  readonly ca?: string
  /** `required`: STARTTLS on loopback too. `implicit`: TLS from the first byte. */
  readonly tls?: 'required' | 'implicit'
}
export interface ConfigFile {
  /** Absolute; undefined where there is no config. */
  readonly file?: string
  readonly agents: readonly AgentEntry[]
  readonly namespaces: readonly { readonly name: string; readonly agent: string }[]
  readonly nameserver?: string
  /** The agent for commands that name no flow. */
  readonly agent?: string
  readonly ca?: string
  readonly output?: string
  /** What is worth a warning. */
  readonly warnings: readonly string[]
}
export const NO_CONFIG: ConfigFile = { agents: [], namespaces: [], warnings: [] }
type Env = Readonly<Record<string, string | undefined>>

/** Where the user's own config lives: `$XDG_CONFIG_HOME/fnua/config.yml`. */
export function userConfig(env: Env): string {
  const base = env['XDG_CONFIG_HOME']
  return join(base ? base : join(env['HOME'] ?? homedir(), '.config'), 'fnua', 'config.yml')
}

/** The config files in the order in which they are looked for: the nearest `.flow.yml` upward, then the user's. */
export function candidates(cwd: string, env: Env): string[] {
  const files: string[] = []
  for (let dir = resolve(cwd); ; dir = dirname(dir)) {
    files.push(join(dir, '.flow.yml'))
    if (dir === dirname(dir)) break
  }
  files.push(userConfig(env), join(env['HOME'] ?? homedir(), '.flow.yml'))
  return [...new Set(files)]
}

/**
 * Reads the config: the given file, which must exist, or the first candidate that does.
 * @throws CliError of usage with file and line where it does not parse
 */
export async function loadConfig(given: string | undefined, cwd: string, env: Env): Promise<ConfigFile> {
  const files = given === undefined ? candidates(cwd, env) : [resolve(cwd, given)]
  for (const file of files) {
    const text = read(file, given !== undefined)
    if (text !== undefined) return parseConfig(text, file, modeOf(file))
  }
  return NO_CONFIG
}

function read(file: string, must: boolean): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException
    if (!must && (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES')) return undefined
    const why = code === 'ENOENT' ? 'there is no such file' : (e as Error).message
    throw new CliError(`config ${file}: ${why}`, EXIT.usage, { hint: 'fnua help config' })
  }
}

const modeOf = (file: string): number => statSync(file).mode & 0o777

/** Reads the text of a config. Keys that are not known are left alone. @throws CliError */
export async function parseConfig(text: string, file: string, mode = 0o600): Promise<ConfigFile> {
  const { parseDocument } = await import('yaml')
  const document = parseDocument(text, { prettyErrors: true })
  const [error] = document.errors
  if (error) {
    const at = error.linePos?.[0]
    throw bad(
      `${file}:${at?.line ?? 1}:${at?.col ?? 1}`,
      error.message.split('\n')[0]?.replace(/ at line.*$/, '') ?? '',
    )
  }
  const data = (document.toJS({ maxAliasCount: 10 }) ?? {}) as Record<string, unknown>
  if (typeof data !== 'object' || Array.isArray(data)) throw bad(file, 'it must be a mapping')
  const agents = list(data['agents'], 'agents', file).map((entry, at) => agentEntry(entry, at, file))
  const namespaces = list(data['namespaces'], 'namespaces', file).map((entry, at) => ({
    name: fold(required(entry, 'name', `namespaces.${at}`, file)),
    agent: required(entry, 'agent', `namespaces.${at}`, file),
  }))
  const warnings = namespaces
    .filter(n => !agents.some(a => a.name === n.agent))
    .map(n => `${file}: namespace ${n.name} names the agent ${n.agent}, which is not among agents`)
  if (agents.some(a => a.password !== undefined) && (mode & 0o077) !== 0) {
    warnings.push(`${file} holds a password and others may read it: chmod 600 ${file}`)
  }
  warnings.push(...unknown(data, file))
  const top = (key: string) => text_(data[key])
  return {
    file,
    agents,
    namespaces,
    warnings,
    ...pick({ nameserver: top('nameserver'), agent: top('agent'), output: top('output'), ca: beside(file, top('ca')) }),
  }
}

const KEYS = {
  agents: ['name', 'fqdn', 'address', 'nameserver', 'username', 'password', 'prefix', 'ca', 'tls'],
  namespaces: ['name', 'agent'],
} as const

/** Keys that mean nothing here: a slip of the pen, more often than not. */
function unknown(data: Record<string, unknown>, file: string): string[] {
  return Object.entries(KEYS).flatMap(([key, known]) =>
    list(data[key], key, file).flatMap((entry, at) =>
      Object.keys(entry)
        .filter(k => !(known as readonly string[]).includes(k))
        .map(k => `${file}: ${key}.${at}.${k} means nothing: ${key} have ${known.join(', ')}`),
    ),
  )
}

function agentEntry(entry: Record<string, unknown>, at: number, file: string): AgentEntry {
  const where = `agents.${at}`
  const tls = text_(entry['tls'])
  if (tls !== undefined && tls !== 'required' && tls !== 'implicit')
    throw bad(file, `${where}.tls is required or implicit`)
  const fqdn = fold(required(entry, 'fqdn', where, file))
  return {
    name: text_(entry['name']) ?? fqdn,
    fqdn,
    ...pick({
      address: text_(entry['address']),
      nameserver: text_(entry['nameserver']),
      username: text_(entry['username']),
      password: text_(entry['password']),
      prefix: text_(entry['prefix']),
      ca: beside(file, text_(entry['ca'])),
      tls: tls as AgentEntry['tls'],
    }),
  }
}

const bad = (where: string, why: string) =>
  new CliError(`config ${where}: ${why}`, EXIT.usage, { hint: 'fnua help config' })
const fold = (name: string): string => name.toLowerCase().replace(/\.$/, '')
const beside = (file: string, path: string | undefined) =>
  path === undefined ? undefined : resolve(dirname(file), path)
/** Passwords of digits are numbers in YAML. */
const text_ = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined

function pick<T extends Record<string, unknown>>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>
}

function list(value: unknown, key: string, file: string): Record<string, unknown>[] {
  if (value === undefined || value === null) return []
  const entries = Array.isArray(value) ? value : [undefined]
  if (!entries.every(e => typeof e === 'object' && e !== null)) {
    throw bad(file, `${key} is a list, each entry begins with "- "`)
  }
  return entries as Record<string, unknown>[]
}

function required(entry: Record<string, unknown>, key: string, where: string, file: string): string {
  const found = text_(entry[key])
  if (found === undefined || found === '') throw bad(file, `${where}.${key} is missing`)
  return found
}
