import { isIP } from 'node:net'
import {
  type Call,
  findAgent,
  findAgentByHost,
  findNamespace,
  type Place,
  Resolver,
  type ResolveStep,
} from '@fnaa/client'
import type { AgentEntry, ConfigFile } from './config-file.js'
import type { Debug } from './debug.js'
import { DnsFailure } from './dns-failure.js'
import { CliError, EXIT } from './errors.js'
import { nameservers } from './nameservers.js'
import { parseHostPort, type Selection } from './select-agent.js'
import type { Settings } from './settings.js'

/** Where an agent is, and who it must prove to be. */
export interface Located {
  /** As the user would name it again. */
  readonly name: string
  /** What its certificate must bear. */
  readonly fqdn: string
  readonly entry?: AgentEntry
  /** IP addresses, to be tried in this order. */
  readonly addresses: readonly string[]
  readonly port: number
  /** TLS from the first byte. */
  readonly implicit: boolean
}

const DEFAULT_PORT = 61_000

/** Finds the agent's address: written in the config, or by the DNS questions of the thesis's client. */
export class Locator {
  readonly #settings: Settings
  readonly #config: ConfigFile
  readonly #debug: Debug
  readonly #call: Call
  readonly #failure = new DnsFailure()
  #resolver: Resolver | null = null

  constructor(settings: Settings, config: ConfigFile, debug: Debug, call: Call) {
    this.#settings = settings
    this.#config = config
    this.#debug = debug
    this.#call = call
  }

  async locate(selection: Selection): Promise<Located> {
    try {
      if (selection.how === 'entry') return await this.#entry(selection.entry)
      if (selection.how === 'discover') return await this.#discover(selection.name)
      const { host, port } = selection
      this.#debug.say(`Agent selected: ${host}`)
      const found = port === undefined && isIP(host) === 0 ? await this.#byHost(host) : await this.#at(host, port)
      const bare = host.includes(':') ? `[${host}]` : host
      return { name: port === undefined ? host : `${bare}:${port}`, fqdn: host, implicit: false, ...found }
    } catch (e) {
      throw this.#failure.explain(e)
    } finally {
      this.#resolver?.close()
    }
  }

  async #entry(entry: AgentEntry): Promise<Located> {
    this.#debug.say(`Agent selected: ${entry.name}`)
    const base = { name: entry.name, fqdn: entry.fqdn, entry, implicit: entry.tls === 'implicit' }
    if (entry.address !== undefined && !this.#settings.nameserverGiven) {
      const { host, port } = parseHostPort(entry.address)
      return { ...base, ...(await this.#at(host, port, entry.nameserver)) }
    }
    return { ...base, ...(await this.#byHost(entry.fqdn, entry.nameserver)) }
  }

  /** SRV at the agent's own name, then the addresses of its target. */
  async #byHost(fqdn: string, known?: string): Promise<{ addresses: readonly string[]; port: number }> {
    const { resolver, server } = this.#ask(known)
    this.#debug.say(`Resolving FNAA FQDN ${fqdn}`)
    this.#debug.say(`Starting FQDN resolution with ${server}`)
    let place: Place | undefined
    // The thesis's client says between its two questions what the first one brought.
    const resolve: typeof resolver.resolve = (async (name: string, type: 'A' | 'AAAA' | 'SRV', c: Call) => {
      const answer = await resolver.resolve(name, type, c)
      if (type !== 'SRV') return answer
      const srv = answer.records.find(r => r.type === 'SRV')
      place = srv ? { host: srv.target, port: srv.port } : { host: fqdn, port: DEFAULT_PORT }
      this.#debug.say(`FNAA FQDN Resolved to ${place.host}. port ${place.port}`)
      this.#debug.say(`Nameserver to be used: ${server}`)
      return answer
    }) as typeof resolver.resolve
    const found = await findAgentByHost(resolve, fqdn, this.#call)
    return { addresses: found.addresses, port: (found.places[0] as Place).port }
  }

  /** The owner of a name: the namespace by its `_fnap` record, its agent by SRV. */
  async #discover(name: string): Promise<Located> {
    const { resolver, server } = this.#ask()
    this.#debug.say(`Finding the agent of ${name}`)
    this.#debug.say(`Starting FQDN resolution with ${server}`)
    const { namespace, domain } = await findNamespace(resolver.resolve, name, this.#call)
    const { places, tls } = await findAgent(resolver.resolve, namespace, this.#call)
    const place = places[0] as Place
    this.#debug.say(`FNAA FQDN Resolved to ${place.host}. port ${place.port}`)
    const entry = this.#config.agents.find(a => a.fqdn === place.host)
    const addresses = await this.#addresses(place.host)
    // What the certificate must bear is taken from the name that was asked for, never from an SRV target.
    const known = entry === undefined ? {} : { entry }
    return { name: entry?.name ?? place.host, fqdn: domain, addresses, port: place.port, implicit: tls, ...known }
  }

  async #at(
    host: string,
    port = DEFAULT_PORT,
    known?: string,
  ): Promise<{ addresses: readonly string[]; port: number }> {
    if (isIP(host) !== 0) return { addresses: [host], port }
    if (host === 'localhost') return { addresses: ['127.0.0.1', '::1'], port }
    return { addresses: await this.#addresses(host, known), port }
  }

  async #addresses(host: string, known?: string): Promise<readonly string[]> {
    const { resolver } = this.#ask(known)
    for (const type of ['A', 'AAAA'] as const) {
      const { records } = await resolver.resolve(host, type, this.#call)
      const found = records.flatMap(r => ('address' in r ? [r.address] : []))
      if (found.length > 0) return found
    }
    throw new CliError(`${host} has no address in DNS`, EXIT.unreachable, { hint: 'the same command with -d' })
  }

  #ask(known?: string): { resolver: Resolver; server: string } {
    const servers = nameservers(this.#settings, this.#config, known)
    const server = servers[0]?.host ?? 'no server'
    this.#resolver ??= new Resolver({ servers, trace: step => this.#trace(step) })
    return { resolver: this.#resolver, server }
  }

  #trace(step: ResolveStep): void {
    this.#failure.see(step)
    this.#debug.resolve(step)
  }
}
