import { createHash } from 'node:crypto'
import { checkRecord, type DnsRecord, type OwnerSet } from './dns.js'
import { formatFnapRecord } from './dns-text.js'
import { fnapError } from './errors.js'
import { encodeValue } from './values.js'

/** Seconds that resolvers may keep a record of ours. */
export const TTL = 300

/** A host and a port that a record leads to. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

export interface FlowDns {
  /** The flow's canonical name. */
  readonly flow: string
  /** Its agent; `tls`: TLS from the first byte (without it, STARTTLS). */
  readonly agent: HostPort & { readonly tls?: boolean }
  /** Where its queue is, and the words of its TXT record (`topic`, `tls` …) beside `broker-type`. */
  readonly queue?: {
    readonly type: string
    readonly servers: readonly HostPort[]
    readonly words?: Readonly<Record<string, string | true>>
  }
  /** Seconds, 300 when not given. */
  readonly ttl?: number
}

const srv = (name: string, at: HostPort, ttl: number, order = 30): DnsRecord => ({
  name,
  ttl,
  type: 'SRV',
  priority: order,
  weight: order,
  port: at.port,
  target: at.host,
})

const set = (owner: string, records: DnsRecord[]): OwnerSet => ({ owner, records: records.map(checkRecord) })

/**
 * What is registered for a flow that is not private (thesis, annex B): PTR at the flow, which leads to SRV and TXT of the
 * agent at `_flow._tcp.<flow>`, and of the broker at `_queue._flow._tcp.<flow>`; beside the PTR a plain SRV of the agent,
 * which the author's prototype asks for. One set for each of the three owners.
 * @throws FnapError BADNAME or BADVALUE when a record would not be safe in DNS
 */
export function flowRecords(f: FlowDns): OwnerSet[] {
  const ttl = f.ttl ?? TTL
  const agent = `_flow._tcp.${f.flow}`
  const queue = `_queue._flow._tcp.${f.flow}`
  const sets = [
    set(f.flow, [{ name: f.flow, ttl, type: 'PTR', target: agent }, srv(f.flow, f.agent, ttl, 0)]),
    set(agent, [srv(agent, f.agent, ttl), { name: agent, ttl, type: 'TXT', strings: [f.agent.tls ? 'tls' : ''] }]),
  ]
  if (f.queue) {
    const strings = txtWords({ 'broker-type': f.queue.type, ...f.queue.words })
    sets.push(set(queue, [...f.queue.servers.map(s => srv(queue, s, ttl)), { name: queue, ttl, type: 'TXT', strings }]))
  }
  return sets
}

/** The owners of flowRecords and of instanceRecords: applying an empty set to each of them unregisters the flow. */
export const flowOwners = (flow: string, namespace?: string): string[] => [
  flow,
  `_flow._tcp.${flow}`,
  `_queue._flow._tcp.${flow}`,
  ...(namespace === undefined ? [] : [instanceOwner(flow, namespace)]),
]

/** A TXT word: `key=value`, or a bare key. Blanks in a value are percent-encoded; 255 bytes hold one string. */
function txtWords(words: Readonly<Record<string, string | true>>): string[] {
  const strings: string[] = []
  let text = ''
  for (const [key, value] of Object.entries(words)) {
    if (!/^[a-z0-9-]{1,32}$/.test(key) || key === 'v')
      throw fnapError('BADVALUE', 'a TXT key is 1 to 32 of a-z 0-9 and hyphens')
    const word = value === true ? key : `${key}=${encodeValue(value)}`
    if (text !== '' && text.length + 1 + word.length > 255) {
      strings.push(text)
      text = ''
    }
    text = text === '' ? word : `${text} ${word}`
  }
  return [...strings, text]
}

/** The words of a broker's or an agent's TXT strings: `broker-type=kafka tls`. Later words of the same key are ignored. */
export function parseWords(strings: readonly string[]): Map<string, string | true> {
  const words = new Map<string, string | true>()
  for (const word of strings.join(' ').split(' ')) {
    if (word === '') continue
    const equals = word.indexOf('=')
    const key = (equals < 0 ? word : word.slice(0, equals)).toLowerCase()
    if (!words.has(key)) words.set(key, equals < 0 ? true : word.slice(equals + 1))
  }
  return words
}

/** What follows the instance's label: the service type, for flows of any broker. */
const SERVICE = '_flow._tcp'
const LABEL = 63

/**
 * A flow as a service instance of its namespace (RFC 6763 §4.1): one label, whatever dots the flow's own name has. A dot is two
 * hyphens there, and two or more hyphens are two more; what is too long ends in three hyphens and a digest. So each run of hyphens
 * says what it was, and no two names become one.
 */
export function instanceOwner(flow: string, namespace: string): string {
  const own = flow.slice(0, -namespace.length - 1)
  const label = own.replace(/-{2,}/g, '--$&').replace(/\./g, '--')
  const fits = label.length <= LABEL ? label : `${label.slice(0, LABEL - 19).replace(/-+$/, '')}---${digest(own)}`
  return `${fits}.${SERVICE}.${namespace}`
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)

/** Where the instance's agent is, and which flow it is (RFC 6763 §5, §6). One set. */
export function instanceRecords(f: Pick<FlowDns, 'flow' | 'agent' | 'ttl'> & { readonly namespace: string }): OwnerSet {
  const ttl = f.ttl ?? TTL
  const owner = instanceOwner(f.flow, f.namespace)
  const strings = [`flow=${f.flow}`, ...(f.agent.tls ? ['tls'] : [])]
  return set(owner, [srv(owner, f.agent, ttl), { name: owner, ttl, type: 'TXT', strings }])
}

/** So many records may one set have at a BIND as it comes (`max-records-per-type`): one more, and it refuses the whole update. */
export const MOST_LISTED = 100

/**
 * The public flows of a namespace, for who browses (RFC 6763 §4.1, §9): PTR at `_flow._tcp.<namespace>` to each instance, and, where
 * there are any, at `_services._dns-sd._udp.<namespace>` to the service. Two sets. Of more than {@link MOST_LISTED} the first by name.
 */
export function listingRecords(namespace: string, publicFlows: readonly string[], ttl = TTL): OwnerSet[] {
  const owner = `${SERVICE}.${namespace}`
  const services = `_services._dns-sd._udp.${namespace}`
  const ptr = (name: string, target: string): DnsRecord => ({ name, ttl, type: 'PTR', target })
  return [
    set(
      owner,
      [...publicFlows]
        .sort()
        .slice(0, MOST_LISTED)
        .map(flow => ptr(owner, instanceOwner(flow, namespace))),
    ),
    set(services, publicFlows.length > 0 ? [ptr(services, owner)] : []),
  ]
}

export interface AgentDns {
  /** The agent's own name, and its port. */
  readonly agent: HostPort
  /** Its addresses, IPv4 or IPv6. */
  readonly addresses: readonly string[]
  /** The namespaces that it serves, and the domain that it proves for each (itself or an ancestor). */
  readonly namespaces: readonly { readonly name: string; readonly domain: string }[]
  readonly ttl?: number
}

/**
 * What leads to an agent: SRV and A or AAAA at its own name (the author's CLI asks for those), and for each namespace
 * SRV at `_fnap._tcp.<namespace>` and TXT `v=FNAP1; d=<domain>` at `_fnap.<namespace>`.
 * @throws FnapError BADNAME or BADVALUE
 */
export function agentRecords(a: AgentDns): OwnerSet[] {
  const ttl = a.ttl ?? TTL
  const { host } = a.agent
  const addresses = a.addresses.map(
    (address): DnsRecord => ({ name: host, ttl, type: address.includes(':') ? 'AAAA' : 'A', address }),
  )
  const sets = [set(host, [srv(host, a.agent, ttl, 0), ...addresses])]
  for (const { name, domain } of a.namespaces) {
    const service = `_fnap._tcp.${name}`
    const text = `_fnap.${name}`
    sets.push(set(service, [srv(service, a.agent, ttl, 0)]))
    sets.push(set(text, [{ name: text, ttl, type: 'TXT', strings: [formatFnapRecord({ domain })] }]))
  }
  return sets
}
