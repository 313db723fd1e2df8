import { isIP } from 'node:net'
import { isWithin } from '@fnaa/protocol'
import type { AgentEntry, ConfigFile } from './config-file.js'
import { CliError, EXIT, usage } from './errors.js'
import type { Settings } from './settings.js'

/** Which agent a command goes to. */
export type Selection =
  | { readonly how: 'entry'; readonly entry: AgentEntry }
  /** Named on the command line and in no config. `port` or DNS. */
  | { readonly how: 'host'; readonly host: string; readonly port?: number }
  /** Found by DNS from the name of a flow. */
  | { readonly how: 'discover'; readonly name: string }

/** The names by which a command's agent may be found. */
export interface Names {
  /** A flow or namespace that lives at the agent: the config's `namespaces` say where. */
  readonly name?: string
  /** The same name may be looked up in DNS: false for a command that goes to the user's own agent. */
  readonly discover: boolean
}

/**
 * `--agent`, else the agent of the name's namespace or domain, else the config's default, else the only one, else the
 * owner of the name by DNS.
 * @throws CliError of usage where nothing decides
 */
export function selectAgent(settings: Settings, config: ConfigFile, names: Names): Selection {
  const { agents } = config
  if (settings.agentGiven && settings.agent !== undefined) return byName(settings.agent, config)
  const ns = names.name === undefined ? undefined : namespaceOf(config, names.name)
  const ofNamespace = ns && agents.find(a => a.name === ns.agent)
  if (ofNamespace) return { how: 'entry', entry: ofNamespace }
  const ofDomain = names.name === undefined ? undefined : byDomain(config, names.name)
  if (ofDomain) return { how: 'entry', entry: ofDomain }
  if (settings.agent !== undefined) return byName(settings.agent, config)
  const [only] = agents
  if (agents.length === 1 && only) return { how: 'entry', entry: only }
  if (names.name !== undefined && names.discover) return { how: 'discover', name: names.name }
  if (agents.length === 0) {
    throw new CliError('no agent is known', EXIT.usage, {
      hint: 'fnua login --agent fnaa.example.org, or fnua help config',
    })
  }
  throw new CliError(`there are several agents in ${config.file}: ${agents.map(a => a.name).join(', ')}`, EXIT.usage, {
    hint: `the same command with --agent ${only?.name}`,
  })
}

/** The config's entry of the longest namespace that holds the name, or is it. */
function namespaceOf(config: ConfigFile, name: string) {
  return config.namespaces.filter(n => isWithin(name, n.name)).sort((a, b) => b.name.length - a.name.length)[0]
}

/** The agent whose own domain (its name without the host's label) holds the name: fnaa.unix.test for all of unix.test. */
function byDomain(config: ConfigFile, name: string): AgentEntry | undefined {
  const domain = (a: AgentEntry) => a.fqdn.slice(a.fqdn.indexOf('.') + 1)
  const found = config.agents
    .filter(a => domain(a).includes('.') && isWithin(name, domain(a)))
    .sort((a, b) => domain(b).length - domain(a).length)
  const [first, second] = found
  return first && (!second || domain(second).length < domain(first).length) ? first : undefined
}

/**
 * Does a name belong to another organisation than this agent's, as far as the config tells? With it the namespace of the
 * agent in which a local flow would lie.
 */
export function foreignTo(
  entry: AgentEntry,
  config: ConfigFile,
  name: string,
): { readonly namespace?: string } | undefined {
  const own = config.namespaces.filter(n => n.agent === entry.name)
  if (own.some(n => isWithin(name, n.name)) || byDomain({ ...config, agents: [entry] }, name)) return undefined
  const namespace = own[0]?.name
  return namespace === undefined ? {} : { namespace }
}

function byName(given: string, config: ConfigFile): Selection {
  const entry =
    config.agents.find(a => a.name === given) ??
    config.agents.find(a => a.fqdn === given.toLowerCase().replace(/\.$/, ''))
  if (entry) return { how: 'entry', entry }
  const place = parseHostPort(given)
  if (!place.host.includes('.') && !place.host.includes(':') && place.host !== 'localhost') {
    const known = config.agents.map(a => a.name).join(', ') || 'none'
    throw usage(`there is no agent ${given} in the config (known: ${known}), and it is no host name`)
  }
  return { how: 'host', ...place }
}

/** `host`, `host:port`, `[::1]:port`. @throws CliError of usage */
export function parseHostPort(text: string): { host: string; port?: number } {
  const m = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/i.exec(text)
  const bare = isIP(text) === 6 ? text : undefined
  const host = (m?.[1] ?? m?.[2] ?? bare)?.toLowerCase().replace(/\.$/, '')
  const port = m?.[3] === undefined ? undefined : Number(m[3])
  if (!host || (port !== undefined && (port < 1 || port > 65_535))) throw usage(`${text} is not host[:port]`)
  return port === undefined ? { host } : { host, port }
}
