import { formatFnapRecord, zoneLine } from '@fnaa/protocol'
import { hasCode } from '../errors.js'
import { whyBogus } from './bogus.js'
import { broken, command, type Finding, option, record } from './finding.js'
import { agentOf, otherServer, type Plan } from './plan.js'
import { type Asked, serverText } from './questions.js'
import { labelsOf, parentOf, recordsOf, zoneAround } from './zones.js'

/** Why a name led nowhere, with what mends it. @param name the name that was asked for */
export async function whyNot(plan: Plan, name: string, e: unknown): Promise<Finding> {
  const failed = plan.questions.failure
  if (failed && (e as { status?: string }).status === 'bogus') return whyBogus(plan, failed)
  if (hasCode(e, 'FNA_ERR_NOTFOUND')) return whyAbsent(plan, name)
  if (hasCode(e, 'FNA_ERR_CORRUPT')) return wrongRecord(plan, e as Error)
  return failed ? noAnswer(plan, failed) : broken('dns', 'resolver', (e as Error).message)
}

const txt = (name: string, domain: string): string =>
  zoneLine({ name, ttl: 300, type: 'TXT', strings: [formatFnapRecord({ domain })] })

/** No suffix is a namespace: the domain is not delegated, or the record is missing. */
async function whyAbsent(plan: Plan, name: string): Promise<Finding> {
  const { questions: q, c } = plan
  const zone = await zoneAround(q, name, c)
  if (zone === null) return noAnswer(plan, { name, type: 'SOA', server: q.server ?? { host: '0.0.0.0', port: 53 } })
  const labels = name.split('.')
  const child = labels.slice(-(labelsOf(zone) + 1)).join('.')
  if (labelsOf(zone) < 2)
    return broken(
      'dns',
      'delegation',
      `${child} is not delegated: ${zone === '' ? 'the root' : `the zone ${zone}`} knows no name server of it`,
      record(`${child}. 86400 IN NS ns.${child}.`, `the parent zone ${zone || '.'}`),
      record(`ns.${child}. 86400 IN A <address of the name server>`, `the parent zone ${zone || '.'} (glue)`),
    )
  const namespace = namespaceIn(plan, name, zone)
  return broken(
    'dns',
    'namespace',
    `no suffix of ${name} is a namespace: there is no _fnap record`,
    record(txt(`_fnap.${namespace}`, zone), `the zone ${zone}`),
  )
}

/** Where the flow of that name would lie: the suffix that has an agent's SRV already, else what stands behind its first label. */
function namespaceIn(plan: Plan, name: string, zone: string): string {
  const parent = parentOf(name)
  return plan.agent || labelsOf(parent) < labelsOf(zone) ? name : parent
}

/** A `_fnap` record that breaks a rule: what it should say. */
async function wrongRecord(plan: Plan, e: Error): Promise<Finding> {
  const { questions: q, c } = plan
  const at = q.asked.findLast(a => a.name.startsWith('_fnap.') && (a.response?.answers.length ?? 0) > 0)
  const namespace = at?.name.slice('_fnap.'.length) ?? ''
  const zone = (await zoneAround(q, namespace, c)) ?? namespace
  const right = txt(`_fnap.${namespace}`, zone)
  const there = at ? recordsOf(at.response ?? null, 'TXT', at.name).map(r => zoneLine({ ...r, ttl: 300 })) : []
  return broken(
    'dns',
    'namespace',
    `_fnap.${namespace}: ${e.message}`,
    record(right, `the zone ${zone}, alone at that name`),
    ...there.filter(line => line !== right).map(line => record(`; remove: ${line}`, `the zone ${zone}`)),
  )
}

/** A server that says nothing, or nothing that helps. */
export async function noAnswer(plan: Plan, failed: Asked): Promise<Finding> {
  const { name, type, server, error } = failed
  const at = serverText(server)
  const asks = command(
    `dig @${server.host} -p ${server.port} ${name}. ${type}`,
    'this machine: it shows what the server says',
  )
  if (error?.rcode === 5)
    return broken(
      'dns',
      'resolver',
      `the name server ${at} refuses to answer for ${name} (REFUSED)`,
      option('access-control: <your network> allow', `unbound.conf at ${server.host}, where that is the resolver`),
      otherServer(plan),
    )
  if (error?.rcode !== undefined && error.rcode !== 2) return broken('dns', 'resolver', `${at}: ${error.message}`, asks)
  const zone = await lame(plan, name)
  if (zone !== null)
    return broken(
      'dns',
      'authority',
      `no name server of ${zone} answers: ${at} could not find out ${name}`,
      command('systemctl restart named', `the name servers of ${zone}`),
      record(`${zone}. 86400 IN NS <name server that answers>.`, `the parent zone ${parentOf(zone) || '.'}`),
    )
  if (error?.rcode === 2) return broken('dns', 'resolver', `${at} could not find out ${name} (SERVFAIL)`, asks)
  if (plan.questions.asked.some(a => a.response !== undefined))
    return broken(
      'dns',
      'resolver',
      `the name server ${at} answers other questions, and not this one: ${type} of ${name}`,
      asks,
      otherServer(plan),
    )
  return broken(
    'dns',
    'resolver',
    `the name server ${at} does not answer`,
    command(
      'systemctl restart unbound',
      `${server.host}, where the resolver is Unbound; where it is the agent's own dns-embedded: start the agent`,
    ),
    otherServer(plan),
  )
}

/** The highest zone on the way to a name that nobody answers for, null where the resolver answers for all or for none. */
async function lame({ questions: q, c }: Plan, name: string): Promise<string | null> {
  const labels = name.split('.')
  for (let n = 1; n <= labels.length; n++) {
    const at = labels.slice(-n).join('.')
    const answer = await q.raw({ name: at, type: 'SOA', unchecked: true }, c)
    if (!answer || answer.rcode === 2) return n === 1 ? null : at
  }
  return null
}

/** There is no SRV record, or none with a target. */
export function noPlace(plan: Plan, namespace: string, domain: string): Finding {
  const { host, port } = agentOf(plan, domain)
  const srv = zoneLine({
    name: `_fnap._tcp.${namespace}`,
    ttl: 300,
    type: 'SRV',
    priority: 0,
    weight: 0,
    port,
    target: host,
  })
  return broken(
    'dns',
    'srv',
    `${namespace} says nowhere where its agent is: there is no SRV record at _fnap._tcp.${namespace}`,
    record(srv, `the zone of ${namespace}`),
  )
}
