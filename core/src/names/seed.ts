import type { Config } from '../config/define.js'
import type { AuthService } from '../contract/auth.js'
import type { Call } from '../contract/common.js'
import { FnaError } from '../contract/errors.js'
import type { Kernel } from '../kernel.js'
import type { Address } from '../server/listener.js'
import { ownAddresses } from './interfaces.js'
import { domainOf } from './names.js'
import type { Registrar } from './registrar.js'

/** What others are told: the config's word, or where we listen. */
export function addressOf(config: Config, bound: readonly Address[]): Registrar['agent'] {
  const first = bound[0]
  const advertised = config.advertise?.split(':')
  const port = advertised ? Number(advertised[1]) : (first?.port ?? 61_000)
  const specific = bound.map(a => a.host).filter(h => h !== '::' && h !== '0.0.0.0')
  const tls = bound.find(a => a.port === port)?.protocol === 'tls'
  const { addresses } = config
  const found = addresses === 'interfaces' ? ownAddresses(config.network?.allow ?? []) : addresses
  return { host: advertised?.[0] ?? config.host, port, tls, addresses: found ?? [...new Set(specific)] }
}

/** Namespaces of the config are made where they are missing. */
export async function seed(k: Kernel, c: Call): Promise<void> {
  await ownNames(k, c)
  for (const n of k.config.namespaces ?? []) {
    const spec = typeof n === 'string' ? { name: n } : n
    if (k.resources.get('Namespace', spec.name)) continue
    const zone = domainOf(k.config.domains, spec.name)
    if (zone === undefined) throw new FnaError('FNA_ERR_CONFIG', `namespaces: ${spec.name} lies in none of domains`)
    const broker = spec.broker ?? k.brokers.default?.id
    if (broker === undefined)
      throw new FnaError('FNA_ERR_CONFIG', 'namespaces: the config has no broker plugin that holds flows')
    const owner = spec.owner ?? k.config.administrators?.[0] ?? `postmaster@${zone}`
    await k.resources.create(
      {
        kind: 'Namespace',
        name: spec.name,
        spec: { owner, broker, zone },
        finalizers: ['fnaad/names'],
        status: { conditions: [] },
      },
      c,
    )
  }
}

/** Looks whether this machine has other addresses than it had, where it is to tell them. Without any, the old ones stay. */
export async function readdress(k: Kernel, c: Call): Promise<void> {
  if (k.config.addresses !== 'interfaces') return
  const addresses = ownAddresses(k.config.network?.allow ?? [])
  const before = k.registrar.agent
  if (addresses.length === 0 || addresses.join() === before.addresses.join()) return
  k.log.info({ addresses, before: before.addresses }, 'the addresses of this machine have changed')
  k.registrar.agent = { ...before, addresses }
  await ownNames(k, c)
}

/** Milliseconds between two tries, doubling. */
const AGAIN = { first: 1000, most: 60_000 } as const

/** How the agent is found from each of its domains. A name server that is down does not keep the agent from its work: it is asked again. */
async function ownNames(k: Kernel, c: Call, wait: number = AGAIN.first): Promise<void> {
  const bound = k.config.domains.map(d => ({ name: d, domain: d })).filter(d => k.registrar.serviceFor(d.name))
  try {
    await k.announcement.note(c)
    await k.registrar.agentNames(bound, c)
  } catch (err) {
    k.log.warn({ err, retryMs: wait }, "the agent's own names are not in DNS")
    void k.clock
      .timer(wait, c.signal)
      .then(() => (c.signal.aborted ? undefined : ownNames(k, c, Math.min(AGAIN.most, wait * 2))))
  }
}

/** Keys that prove our domains, where the DNS plugin may write them. */
export async function publishKeys(k: Kernel, c: Call): Promise<void> {
  for (const l of k.loaded) {
    if (l.plugin.manifest.kind === 'auth') await k.registrar.keys(await (l.service as AuthService).records(c), c)
  }
}
