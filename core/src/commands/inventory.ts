import { signalAfter } from '@fnaa/client'
import { fnapError } from '@fnaa/protocol'
import type { BrokerService, BrokerSupports } from '../contract/broker.js'
import type { DnsService } from '../contract/dns.js'
import { supportsOf } from '../data/brokers.js'
import type { Loaded } from '../host/boot.js'
import { type Context, describe, type Handler, item, list, type Words } from './command.js'
import { placeOf } from './moved.js'

const state = async (l: Loaded, cx: Context): Promise<string> => {
  try {
    return (await l.service.health({ signal: signalAfter(2000, cx.call.signal) })).ok ? 'ready' : 'failing'
  } catch {
    return 'failing'
  }
}
const of = (cx: Context, kind: string): Loaded[] => cx.kernel.loaded.filter(l => l.plugin.manifest.kind === kind)

function manages(cx: Context): void {
  if (cx.kernel.authorizer.managed(cx.subject).length === 0)
    throw fnapError('DENIED', 'this needs manage on some namespace')
}
function find(cx: Context, kind: string, id: string): Loaded {
  const l = of(cx, kind).find(x => x.plugin.id === id)
  if (!l) throw fnapError('NOTFOUND', `there is no such ${kind} here`)
  return l
}
function supports(l: Loaded) {
  const declared = l.plugin.manifest.supports
  const operated = l.plugin.manifest.kind === 'broker' && !('driverOnly' in l.service)
  const now = operated ? supportsOf(declared as BrokerSupports, l.service as BrokerService) : declared
  return Object.entries(now).map(([k, v]) => [k.toLowerCase(), Array.isArray(v) ? v.join(',') : String(v)] as const)
}

async function brokerPairs(l: Loaded, cx: Context) {
  const { type } = l.plugin.manifest.supports as { type: string }
  return [
    ['broker', l.plugin.id],
    ['type', type],
    ['state', 'driverOnly' in l.service ? 'driver-only' : await state(l, cx)],
  ] as const
}

export const getBrokers: Handler = {
  id: 'GET BROKERS',
  run: async (cx, command) => {
    const rows = await Promise.all(of(cx, 'broker').map(l => brokerPairs(l, cx)))
    return list(
      rows.map(r => item(r)),
      command.options,
    )
  },
}
export const describeBroker: Handler = {
  id: 'DESCRIBE BROKER',
  run: async (cx, command) => {
    manages(cx)
    const l = find(cx, 'broker', (command.args as Words)['broker'])
    return describe(
      item([...(await brokerPairs(l, cx)), ...supports(l).filter(([k]) => k !== 'type')]),
      command.options,
    )
  },
}

async function dnsPairs(l: Loaded, cx: Context) {
  return [
    ['nameserver', l.plugin.id],
    ['zones', (l.service as DnsService).zones.join(',')],
    ['state', await state(l, cx)],
  ] as const
}
export const getNameservers: Handler = {
  id: 'GET NAMESERVERS',
  run: async (cx, command) => {
    const rows = await Promise.all(of(cx, 'dns').map(l => dnsPairs(l, cx)))
    return list(
      rows.map(r => item(r)),
      command.options,
    )
  },
}
export const describeNameserver: Handler = {
  id: 'DESCRIBE NAMESERVER',
  run: async (cx, command) => {
    manages(cx)
    const l = find(cx, 'dns', (command.args as Words)['nameserver'])
    const { host, port } = (l.service as DnsService).server
    return describe(item([...(await dnsPairs(l, cx)), ['address', `${host}:${port}`], ...supports(l)]), command.options)
  },
}

const agentPairs = (cx: Context, namespace: string | undefined) => {
  const { agent } = cx.kernel.registrar
  return [
    ['agent', agent.host],
    ['namespace', namespace],
    ['address', `${agent.host}:${agent.port}`],
  ] as const
}
export const getAgents: Handler = {
  id: 'GET AGENTS',
  run: (cx, command) => {
    const namespaces = cx.kernel.resources
      .list('Namespace')
      .map(n => n.name)
      .filter(n => cx.kernel.authorizer.mayNamespace(cx.subject, 'describe', n))
    return list([item(agentPairs(cx, undefined), { namespaces })], command.options)
  },
}
export const describeAgent: Handler = {
  id: 'DESCRIBE AGENT',
  run: async (cx, command) => {
    manages(cx)
    const name = (command.args as Words)['name'] as string
    const shown = cx.kernel.authorizer.mayNamespace(cx.subject, 'describe', name)
    const ns = shown ? cx.kernel.resources.get('Namespace', name) : undefined
    if (!ns && name !== cx.kernel.config.host) throw fnapError('NOTFOUND', 'there is no such agent or namespace here')
    if (ns?.spec.agent !== undefined) {
      const { host, port } = await placeOf(cx.kernel, ns, cx.call)
      const there = [
        ['agent', ns.spec.agent],
        ['namespace', ns.name],
        ['address', `${host}:${port}`],
      ] as const
      return describe(item(there), command.options)
    }
    const { advertised } = cx.kernel.brokers
    return describe(
      item([
        ...agentPairs(cx, ns?.name),
        ['brokers', advertised.join(',')],
        ['processors', cx.kernel.processors.types.map(t => t.type).join(',')],
      ]),
      command.options,
    )
  },
}
