import { getServers } from 'node:dns'
import { isIP } from 'node:net'
import type { ConfigFile } from './config-file.js'
import { usage } from './errors.js'
import { parseHostPort } from './select-agent.js'
import type { Settings } from './settings.js'

/**
 * Who is asked about names.
 * @param known the name server of an agent's entry: it goes before the config's, the command line's before both
 * @throws CliError of usage
 */
export function nameservers(
  settings: Settings,
  config: ConfigFile,
  known?: string,
): { readonly host: string; readonly port: number }[] {
  const { nameserver: set, nameserverGiven } = settings
  const given = nameserverGiven ? set : (known ?? set ?? onlyOne(config))
  return (given === undefined ? getServers() : [given]).map(nameserver)
}

/** The name server that every agent of the config is asked at, where there is but one. */
function onlyOne(config: ConfigFile): string | undefined {
  const all = new Set(config.agents.map(a => a.nameserver))
  return all.size === 1 ? [...all][0] : undefined
}

function nameserver(text: string): { host: string; port: number } {
  const { host, port } = parseHostPort(text)
  const address = host === 'localhost' ? '127.0.0.1' : host
  if (isIP(address) === 0) throw usage(`--nameserver takes an IP address, with :port where it is not 53`)
  return { host: address, port: port ?? 53 }
}
