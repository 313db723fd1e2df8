import {
  agentRecords,
  type DnsRecord,
  flowOwners,
  flowRecords,
  instanceOwner,
  instanceRecords,
  isReservedOwner,
  isWithin,
  listingRecords,
  MOST_LISTED,
  recordData,
  TTL,
} from '@fnaa/protocol'
import type { Call, Logger } from '../contract/common.js'
import type { DnsService, DnsSupports, OwnerSet } from '../contract/dns.js'
import { FnaError } from '../contract/errors.js'
import type { Resource } from '../contract/store.js'
import type { Broker } from '../data/brokers.js'
import type { Loaded } from '../host/boot.js'
import type { Cut } from './child-zone.js'

export interface AgentAddress {
  readonly host: string
  readonly port: number
  /** TLS from the first byte. */
  readonly tls: boolean
  readonly addresses: readonly string[]
}

/** Puts names into DNS: whole owners' sets, one atomic update a flow (figure 10). */
export class Registrar {
  readonly #services: readonly { readonly service: DnsService; readonly keys: boolean; readonly delegates: boolean }[]
  readonly #log: Logger
  /** Namespaces of which it was said that not all is listed. */
  readonly #cropped = new Set<string>()
  agent: AgentAddress

  constructor(loaded: readonly Loaded[], agent: AgentAddress, log: Logger) {
    this.agent = agent
    this.#log = log
    this.#services = loaded.flatMap(l =>
      l.plugin.manifest.kind === 'dns'
        ? [{ service: l.service as DnsService, ...writes(l.plugin.manifest.supports as DnsSupports) }]
        : [],
    )
  }

  /** Changes with whatever of the agent's address stands in the names of flows. */
  get place(): string {
    const { host, port, tls } = this.agent
    return `${host}:${port}${tls ? ' tls' : ''}`
  }

  /** The service that writes a name's zone: the longest zone that holds it. */
  serviceFor(name: string): DnsService | undefined {
    return this.#services
      .flatMap(({ service }) => service.zones.map(zone => ({ service, zone })))
      .filter(({ zone }) => isWithin(name, zone))
      .sort((a, b) => b.zone.length - a.zone.length)[0]?.service
  }

  /** The service that serves a zone of exactly this name, or undefined. */
  serving(zone: string): DnsService | undefined {
    return this.#services.find(({ service }) => service.zones.includes(zone))?.service
  }

  /** The zone of ours in which a zone of this name would be delegated, and the service that may; undefined where there is none. */
  above(name: string): { readonly zone: string; readonly service: DnsService } | undefined {
    return this.#services
      .filter(s => s.delegates)
      .flatMap(({ service }) => service.zones.map(zone => ({ service, zone })))
      .filter(({ zone }) => zone !== name && isWithin(name, zone))
      .sort((a, b) => b.zone.length - a.zone.length)[0]
  }

  /**
   * Says in the zone above that a name is a zone of its own; without a cut, takes that back.
   * @param owners all names that hold such records of ours, or may
   */
  async delegate(name: string, cut: Cut | null, owners: readonly string[], c: Call): Promise<void> {
    const up = this.above(name)
    if (!up)
      throw new FnaError(
        'FNA_ERR_UNSUPPORTED',
        `no dns plugin of the config may delegate ${name}: dns-bind needs zoneKeyFile`,
      )
    const records = cut ? cutRecords(name, cut) : []
    const all = new Set([...owners, ...records.map(r => r.name)])
    const sets = [...all].map(owner => ({ owner, zone: up.zone, records: records.filter(r => r.name === owner) }))
    await up.service.apply(sets, c)
  }

  /** The agent's own names, and how to find it from each namespace. */
  async agentNames(namespaces: readonly { name: string; domain: string }[], c: Call): Promise<void> {
    const { host, port, tls, addresses } = this.agent
    const sets = agentRecords({ agent: { host, port }, addresses, namespaces }).map(set => ({ ...set }))
    if (tls) {
      for (const { name } of namespaces) {
        const owner = `_fnap._tcp.${name}`
        const set = sets.find(s => s.owner === owner)
        if (set) set.records = [...set.records, { name: owner, ttl: 300, type: 'TXT', strings: ['tls'] } as DnsRecord]
      }
    }
    const [self, ...rest] = sets as [OwnerSet, ...OwnerSet[]]
    await this.#ownHost(self, c)
    const own = rest.filter(s => !this.#isOperators(s.owner))
    await this.#apply(own, c)
    for (const set of rest) if (!own.includes(set)) await this.#expect(set, c)
  }

  /** Whether the operator keeps the host's address by hand, or the plugin may not write addresses: it must be there, by whomever. */
  async #ownHost(set: OwnerSet, c: Call): Promise<void> {
    try {
      await this.#apply([set], c)
    } catch (e) {
      if (!this.serviceFor(set.owner)) throw e
      const found = await this.serviceFor(set.owner)!.read(set.owner, c)
      if (!found.some(r => r.type === 'A' || r.type === 'AAAA')) throw e
      await this.#expect({ owner: set.owner, records: set.records.filter(r => r.type !== 'SRV') }, c)
    }
  }

  /** A plugin that may not write keys leaves `_fnap` to the operator too: it says whom to trust for a namespace (hardening H12). */
  #isOperators(owner: string): boolean {
    const service = this.serviceFor(owner)
    return isReservedOwner(owner) && this.#services.some(d => d.service === service && !d.keys && !d.delegates)
  }

  /** Says what the operator still has to write: without it nobody finds the agent. */
  async #expect(set: OwnerSet, c: Call): Promise<void> {
    const found = await this.serviceFor(set.owner)!
      .read(set.owner, c)
      .catch(() => null)
    const missing = set.records.filter(r => !found?.some(f => line(f) === line(r)))
    if (found && missing.length > 0)
      this.#log.warn(
        { owner: set.owner, records: missing.map(line) },
        'DNS lacks records that are for the operator to write',
      )
  }

  /** Keys that prove our domains: where the DNS plugin may write them. */
  async keys(sets: readonly OwnerSet[], c: Call): Promise<void> {
    const may = sets.filter(s => this.#services.some(d => d.keys && d.service === this.serviceFor(s.owner)))
    if (may.length > 0) await this.#apply(may, c)
  }

  async flow(flow: Resource<'Flow'>, broker: Broker, c: Call): Promise<void> {
    const { host, port, tls } = this.agent
    const { type, servers, words } = publicEndpoint(flow, broker, this.agent)
    const agent = { host, port, tls }
    const sets = flowRecords({ flow: flow.name, agent, queue: { type, servers, words } })
    const { namespace, visibility } = flow.spec
    const instance = instanceRecords({ flow: flow.name, namespace, agent })
    await this.#apply([...sets, visibility === 'public' ? instance : { ...instance, records: [] }], c)
  }

  async endpoint(name: string, topic: string, type: string, servers: readonly string[], c: Call): Promise<void> {
    const { host, port, tls } = this.agent
    const queue = { type, servers: servers.map(parseServer), words: { topic } }
    await this.#apply(flowRecords({ flow: name, agent: { host, port, tls }, queue }), c)
  }

  /** Removes a flow's or an endpoint's names; no zone of ours: nothing to do. */
  async forget(name: string, c: Call, namespace?: string): Promise<void> {
    if (!this.serviceFor(name)) return
    await this.#apply(
      flowOwners(name, namespace).map(owner => ({ owner, records: [] })),
      c,
    )
  }

  /** What stands under a name that was this agent's. */
  async forgetHost(host: string, c: Call): Promise<void> {
    if (this.serviceFor(host)) await this.#apply([{ owner: host, records: [] }], c)
  }

  async forgetNamespace(name: string, c: Call): Promise<void> {
    if (!this.serviceFor(name)) return
    const listing = listingRecords(name, []).map(s => s.owner)
    const owners = [`_fnap._tcp.${name}`, `_fnap.${name}`, ...listing].filter(o => !this.#isOperators(o))
    await this.#apply(
      owners.map(owner => ({ owner, records: [] })),
      c,
    )
  }

  /** RFC 6763: who browses a namespace sees its public flows, the first hundred of them by name. */
  async listing(namespace: string, flows: readonly string[], c: Call): Promise<void> {
    if (!this.serviceFor(namespace)) return
    if (flows.length > MOST_LISTED && !this.#cropped.has(namespace)) {
      this.#cropped.add(namespace)
      this.#log.warn(
        { namespace, public: flows.length, listed: MOST_LISTED },
        'more public flows than DNS lists: all have their names, and GET FLOWS shows all; who browses DNS sees the first by name',
      )
    }
    await this.#apply(listingRecords(namespace, flows), c)
  }

  /** The listing, after something has left it. Where it cannot be written whole, what is to go goes all the same, and nothing comes. */
  async shorten(namespace: string, flows: readonly string[], c: Call): Promise<void> {
    try {
      await this.listing(namespace, flows, c)
    } catch (e) {
      const [list] = listingRecords(namespace, [])
      const there = await this.serviceFor(namespace)!
        .read(list!.owner, c)
        .catch(() => null)
      if (!there) throw e
      const listed = new Set(there.map(r => (r.type === 'PTR' ? r.target : '')))
      const stay = flows.filter(flow => listed.has(instanceOwner(flow, namespace)))
      await this.#apply(listingRecords(namespace, stay), c)
      this.#log.warn(
        { namespace, cause: (e as Error).message },
        'the listing is shorter, and could not be filled up again',
      )
    }
  }

  async #apply(sets: readonly OwnerSet[], c: Call): Promise<void> {
    const by = new Map<DnsService, OwnerSet[]>()
    for (const set of sets) {
      const service = this.serviceFor(set.owner)
      if (!service) {
        // An agent's host may live in a zone that its operator keeps by hand.
        if (set.owner === this.agent.host) continue
        throw new FnaError('FNA_ERR_FOREIGN', `no dns plugin of the config writes a zone that holds ${set.owner}`)
      }
      by.set(service, [...(by.get(service) ?? []), set])
    }
    for (const [service, own] of by) await service.apply(own, c)
  }
}

const writes = (s: DnsSupports) => ({ keys: s.keys, delegates: s.delegates ?? false })

function cutRecords(name: string, cut: Cut): DnsRecord[] {
  return [
    ...cut.servers.map((target): DnsRecord => ({ name, ttl: TTL, type: 'NS', target })),
    ...cut.ds.map((ds): DnsRecord => ({ name, ttl: TTL, type: 'DS', ...ds })),
    ...cut.glue.map(
      (g): DnsRecord => ({ name: g.name, ttl: TTL, type: g.address.includes(':') ? 'AAAA' : 'A', address: g.address }),
    ),
  ]
}

/** Where others reach a flow: the broker itself, or, where only this process can open it, the agent (type fnap). */
export function publicEndpoint(
  flow: Resource<'Flow'>,
  broker: Broker,
  agent: AgentAddress,
): { type: string; servers: { host: string; port: number }[]; words: Record<string, string | true>; topic: string } {
  const topic = flow.status.queue ?? flow.name
  if (broker.supports.reach === 'process') {
    const words: Record<string, string | true> = agent.tls ? { topic, tls: true } : { topic }
    return { type: 'fnap', servers: [{ host: agent.host, port: agent.port }], words, topic }
  }
  const { endpoint } = broker.service.internal(topic)
  const words: Record<string, string | true> = endpoint.tls ? { topic, tls: true } : { topic }
  return { type: broker.supports.type, servers: endpoint.servers.map(parseServer), words, topic }
}

/** A record as zone files have it, without its time to live. */
const line = (r: DnsRecord): string => `${r.name}. ${r.type} ${recordData(r)}`

const parseServer = (server: string): { host: string; port: number } => {
  const colon = server.lastIndexOf(':')
  return { host: server.slice(0, colon), port: Number(server.slice(colon + 1)) }
}
