import { zoneLine } from '@fnaa/protocol'
import { hasCode } from '../errors.js'
import type { ResolveAny } from '../resolver.js'
import { findAgent, findNamespace, lowest, type NamespaceFound, type Status } from '../walk.js'
import { noPlace, whyNot } from './failures.js'
import { broken, type Finding, fine, isBroken, option, record, warning } from './finding.js'
import { agentOf, type Found, type FoundPlace, type Plan } from './plan.js'
import { security } from './security.js'

/** A stranger may name any number of places: as many are tried as an agent tries. */
const MOST = { places: 4, addresses: 8 } as const

/** Tells each finding as soon as it is one. */
export type Tell = (finding: Finding) => void

/** From a name to the addresses of its agent, as a stranger goes. @returns null where a layer is broken on the way */
export async function surveyNames(plan: Plan, name: string, tell: Tell): Promise<Found | null> {
  const { questions: q, c } = plan
  const resolve = q.resolver.resolve as ResolveAny
  let ns: NamespaceFound
  try {
    ns = await findNamespace(resolve, name, c, { self: true })
  } catch (e) {
    tell(await whyNot(plan, name, e))
    return null
  }
  tell(fine('dns', 'namespace', `${ns.namespace} is a namespace of ${ns.domain} (TXT at _fnap.${ns.namespace})`))
  try {
    const agent = await findAgent(resolve, ns.namespace, c)
    const first = agent.places.map(p => `${p.host}:${p.port}`).join(', ')
    tell(
      fine(
        'dns',
        'srv',
        `its agent is at ${first}${agent.tls ? ', TLS from the first byte' : ''} (SRV at _fnap._tcp.${ns.namespace})`,
      ),
    )
    const found = await addresses(plan, ns, agent.places)
    const status = lowest(lowest(ns.status, agent.status), found.status)
    const result = { namespace: ns.namespace, domain: ns.domain, tls: agent.tls, places: found.places, status }
    tell(await security(plan, result))
    const all = found.places.flatMap(p => reach(plan, p, ns.domain))
    for (const finding of all) tell(finding)
    return found.places.every(p => p.addresses.length === 0) || isBroken(all) ? null : result
  } catch (e) {
    tell(hasCode(e, 'FNA_ERR_NOTFOUND') ? noPlace(plan, ns.namespace, ns.domain) : await whyNot(plan, name, e))
    return null
  }
}

async function addresses(plan: Plan, ns: NamespaceFound, at: readonly { host: string; port: number }[]) {
  const { questions: q, c } = plan
  let status: Status = ns.status
  const places: FoundPlace[] = []
  for (const { host, port } of at.slice(0, MOST.places)) {
    const answers = await Promise.all((['A', 'AAAA'] as const).map(type => q.resolver.resolve(host, type, c)))
    for (const a of answers) status = lowest(status, a.status)
    places.push({
      host,
      port,
      addresses: answers
        .flatMap(a => a.records.flatMap(r => ('address' in r ? [r.address] : [])))
        .slice(0, MOST.addresses),
    })
  }
  return { places, status }
}

/** Is there an address, and one that strangers connect to? */
function reach(plan: Plan, { host, addresses }: FoundPlace, domain: string): Finding[] {
  if (addresses.length === 0) {
    const known = agentOf(plan, domain).addresses
    return [
      broken(
        'address',
        'address',
        `${host}, where the agent is said to be, has no address`,
        ...known.map(a =>
          record(a.startsWith('<') ? `${host}. 300 IN A ${a}` : addressLine(host, a), `the zone of ${host}`),
        ),
      ),
    ]
  }
  const refused = addresses.filter(a => !plan.guard.allows(a))
  if (refused.length === 0) return [fine('address', 'address', `${host} is at ${addresses.join(', ')}`)]
  const make = plan.refused === 'broken' && refused.length === addresses.length ? broken : warning
  return [
    make(
      'address',
      'guard',
      `${host} is at ${refused.join(', ')}: private, of one machine, or special, so agents of strangers do not connect there`,
      record(`${host}. 300 IN A <public address of the agent>`, `the zone of ${host}`),
      option(`network: { allow: ['${refused[0]}'] }`, 'the config of each agent that is to connect there'),
    ),
  ]
}

const addressLine = (name: string, address: string): string =>
  zoneLine({ name, ttl: 300, type: address.includes(':') ? 'AAAA' : 'A', address })
