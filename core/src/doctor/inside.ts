import { signalAfter } from '@fnaa/client'
import type { AdminCommand, AuthService } from '../contract/auth.js'
import type { DnsService, DnsSupports, OwnerSet } from '../contract/dns.js'
import type { Kernel } from '../kernel.js'
import { domainOf } from '../names/names.js'
import type { AgentAddress } from '../names/registrar.js'

/** What only the running agent can tell of itself. */
export interface Inside {
  /** Milliseconds since 1970 by its clock. */
  readonly now: number
  readonly agent: AgentAddress
  /** Namespaces that it serves, each with the domain that it proves there. */
  readonly namespaces: readonly { readonly name: string; readonly domain: string }[]
  /** What must stand in DNS for others to believe it. */
  readonly keys: readonly OwnerSet[]
  readonly zones: readonly Zone[]
  readonly services: readonly Condition[]
}
/** A zone that a plugin of the config writes. */
export interface Zone {
  readonly zone: string
  readonly server: { readonly host: string; readonly port: number }
  /** The plugin publishes keys itself. */
  readonly keys: boolean
}
export interface Condition {
  readonly kind: string
  readonly id: string
  readonly ok: boolean
  readonly detail?: string
  readonly clockSeconds?: number
}

export const DOCTOR = {
  name: 'doctor',
  usage: 'doctor',
  summary: 'what the running agent knows of itself, as JSON',
} as const
const HEALTH_MS = 10_000
const MOMENT_MS = 2000

/** `fnaad doctor` asks this of the agent that runs. */
export function doctorCommand(k: Kernel): AdminCommand {
  return { ...DOCTOR, run: async () => [JSON.stringify(await inside(k))] }
}

async function inside(k: Kernel): Promise<Inside> {
  const c = { signal: signalAfter(HEALTH_MS) }
  const of = (kind: string) => k.loaded.filter(l => l.plugin.manifest.kind === kind)
  const keys = await Promise.all(of('auth').map(l => (l.service as AuthService).records(c)))
  const own = k.resources.list('Namespace').filter(n => n.deleting === undefined && n.spec.agent === undefined)
  const services = await Promise.all(k.loaded.map(l => conditionOf(k, l, c)))
  return {
    agent: k.registrar.agent,
    namespaces: own.flatMap(({ name }) => {
      const domain = domainOf(k.config.domains, name)
      return domain === undefined ? [] : [{ name, domain }]
    }),
    keys: keys.flat(),
    zones: of('dns').flatMap(l => {
      const { zones, server } = l.service as DnsService
      return zones.map(zone => ({ zone, server, keys: (l.plugin.manifest.supports as DnsSupports).keys }))
    }),
    services,
    // The last thing: whoever asks compares it with his own.
    now: k.clock.now(),
  }
}

async function conditionOf(k: Kernel, l: Kernel['loaded'][number], c: { signal: AbortSignal }): Promise<Condition> {
  const { kind } = l.plugin.manifest
  const base = { kind, id: l.plugin.id }
  // A broker that is here as a driver only has no service that could be ill.
  if (kind === 'broker' && 'driverOnly' in l.service) return { ...base, ok: true }
  const look = () => l.service.health(c).catch(e => ({ ok: false, detail: (e as Error).message }))
  const first = await look()
  if (first.ok) return { ...base, ...first }
  // What is just starting gets a moment.
  await k.clock.timer(MOMENT_MS, c.signal)
  return { ...base, ...(await look()) }
}
