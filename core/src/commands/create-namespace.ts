import { isIP } from 'node:net'
import { fnapError, isFnapError } from '@fnaa/protocol'
import type { NamespaceSpec } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import { domainOf, isHost, namespaceOf } from '../names/names.js'
import { about } from './about.js'
import { type Context, ending, type Handler, patience, user, type Words } from './command.js'
import { namesStand } from './namespace-names.js'

/**
 * A namespace hosted here, inside the zone above or as a zone of its own; with AGENT one that another agent serves (figure 20):
 * the zone above delegates it there.
 */
export const createNamespace: Handler = {
  id: 'CREATE NAMESPACE',
  run: async (cx, command) => {
    const { kernel } = cx
    const name = (command.args as Words)['namespace'] as string
    const o = command.options as Words
    const owner = user(cx)
    mayCreate(cx, name)
    const zone = domainOf(kernel.config.domains, name)
    if (zone === undefined) throw fnapError('BADVALUE', 'the namespace must lie in a domain of this agent')
    if (isHost(kernel, name)) throw fnapError('CONFLICT', 'that is the name of an agent')
    if (kernel.resources.get('Flow', name)) throw fnapError('CONFLICT', 'a flow has that name')
    const broker = (o['broker'] as string | undefined) ?? kernel.brokers.default?.id
    if (broker === undefined) throw fnapError('NOTSUPPORTED', 'this agent operates no broker')
    if (!kernel.brokers.operated.has(broker)) throw fnapError('BADVALUE', 'BROKER must name one of GET BROKERS')
    if (kernel.resources.get('Namespace', name)) throw fnapError('EXISTS', 'there is a namespace of that name')
    const quota = o['quota'] === undefined ? {} : { quota: o['quota'] }
    const spec = { owner, broker, zone, ...delegated(cx, name, o), ...quota, about: about(o) }
    await kernel.resources.create(
      { kind: 'Namespace', name, spec, finalizers: ['fnaad/names'], status: { conditions: [] } },
      cx.call,
    )
    try {
      await namesStand(cx, name)
    } catch (e) {
      await undo(cx, name, e)
      throw e
    }
    return `220 OK ${name}`
  },
}

/** @throws FnapError DENIED; one sentence, so that a namespace above that is not shown cannot be told from none */
export function mayCreate(cx: Context, name: string): void {
  const { kernel } = cx
  const above = namespaceOf(kernel.resources, name)
  const manages = above && kernel.authorizer.mayNamespace(cx.subject, 'manage', above.name)
  if (!manages && !kernel.authorizer.isAdministrator(cx.subject))
    throw fnapError('DENIED', 'this needs manage on the namespace above the name, or an administrator')
}

type Delegated = Pick<NamespaceSpec, 'agent' | 'delegated' | 'nameserver' | 'zone'>

/**
 * A zone of its own: with AGENT, and where a dns plugin serves a zone of that very name.
 * @throws FnapError NOTSUPPORTED, CONFLICT, BADVALUE
 */
function delegated(cx: Context, name: string, o: Words): Partial<Delegated> {
  const { config, registrar } = cx.kernel
  const agent = o['agent'] as string | undefined
  const nameserver = nameserverOf(o['nameserver'], agent)
  const here = agent === undefined || agent === config.host
  const served = registrar.serving(name) !== undefined
  const up = registrar.above(name)
  if (agent === undefined && !(served && up)) return {}
  if (!up)
    throw fnapError(
      'NOTSUPPORTED',
      'no dns plugin of this agent may write NS and DS into the zone above that name: dns-bind needs its zoneKeyFile',
    )
  if (here && !served)
    throw fnapError(
      'NOTSUPPORTED',
      'no dns plugin of this agent serves a zone of that name: make the zone at its name server and put it into zones, or leave AGENT out',
    )
  if (!here) refuseBelow(cx, name)
  if (here) return { delegated: true, zone: name }
  return { delegated: true, zone: name, agent: agent!, ...(nameserver === undefined ? {} : { nameserver }) }
}

function nameserverOf(text: unknown, agent: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const m = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/.exec(String(text))
  const port = Number(m?.[3] ?? 53)
  if (!m || !isIP(m[1] ?? m[2]!) || port < 1 || port > 65_535)
    throw fnapError(
      'BADVALUE',
      'NAMESERVER is an IP address, and a port if it is not 53: 192.0.2.7, [2001:db8::7]:5300',
    )
  if (agent === undefined) throw fnapError('BADVALUE', 'NAMESERVER is for a namespace that another agent serves: AGENT')
  return String(text)
}

/** What is ours below the name would be another agent's from then on. */
function refuseBelow(cx: Context, name: string): void {
  const { resources, authorizer } = cx.kernel
  const below = (r: Resource) => r.name.endsWith(`.${name}`)
  const flows = resources.list('Flow').filter(below)
  const namespaces = resources.list('Namespace').filter(below)
  if (flows.length + namespaces.length === 0) return
  const seen = flows.some(f => authorizer.mayFlow(cx.subject, 'describe', f))
  throw fnapError(
    'CONFLICT',
    seen ? 'flows of this agent lie below that name: delete them first' : 'names of this agent lie below that name',
  )
}

/** What cannot be delegated is not left behind; what takes longer than the client waits goes on. */
async function undo(cx: Context, name: string, e: unknown): Promise<void> {
  const { resources } = cx.kernel
  if (isFnapError(e) && e.symbol === 'TIMEOUT') return
  await resources.delete('Namespace', name, ending(cx))
  await resources.until('Namespace', name, n => (n ? undefined : true), patience(cx))
}
