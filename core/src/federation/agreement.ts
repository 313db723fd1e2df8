import { fnapError } from '@fnaa/protocol'
import type { Credential, Endpoint } from '../contract/broker.js'
import type { Call } from '../contract/common.js'
import type { Served } from '../contract/kinds.js'
import type { Kernel } from '../kernel.js'
import { credentialOf } from './issued.js'
import { destinationsOf, originsOf } from './origins.js'
import type { Known } from './wish.js'

/** What P hands out: federation.md's JSON. `lease` in seconds, as a duration. */
export interface Agreement {
  readonly endpoint: string
  readonly type: string
  readonly mode: Served
  readonly servers: readonly string[]
  readonly queue: string
  /** What names of consumer groups and the like begin with, where the broker wants that. */
  readonly reader?: string
  readonly tls?: { readonly servername?: string; readonly ca?: string }
  readonly options?: Endpoint['options']
  readonly epoch: string
  /** Of the source; absent where its broker does not say. */
  readonly shards?: number
  readonly lease: number
  /** How often the copy has passed over events that the flow did not have any more; absent: never. */
  readonly gaps?: number
  /** Flows whose events may come through this one; of PUBLISH, in which they may end up. */
  readonly origins: readonly string[]
  /** Absent where the broker admits S by its PRINCIPAL. */
  readonly credential?: Credential
}

/** The agent itself as a broker of type fnap: where `name` is read or written. */
export function fnapEndpoint(kernel: Kernel, name: string, own: boolean): Endpoint {
  const { agent } = kernel.registrar
  const addresses = kernel.listener.addresses
  const near = addresses.find(a => a.protocol === 'tls') ?? addresses[0]
  const secure = kernel.certificates !== null
  const mode = !secure ? 'none' : (own ? near?.protocol === 'tls' : agent.tls) ? 'implicit' : 'starttls'
  const server = own && near ? `${reachable(near.host)}:${near.port}` : `${agent.host}:${agent.port}`
  const ca = kernel.certificates?.ca ?? (own ? kernel.certificates?.cert : undefined)
  return {
    type: 'fnap',
    servers: [server],
    queue: name,
    ...(secure ? { tls: { servername: agent.host, ...(ca === undefined ? {} : { ca }) } } : {}),
    options: { tls: mode },
  }
}

/** An address that listens on all is reached on loopback. */
const reachable = (host: string): string => (host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host)

/** @throws FnapError UNAVAILABLE where the credential or the queue has gone meanwhile */
export async function replyOf(kernel: Kernel, s: Known, c: Call): Promise<Agreement> {
  const mode = s.status.mode ?? 'fnap'
  const credential = await credentialFor(kernel, s, c)
  const flow = kernel.resources.get('Flow', s.spec.flow)
  if (credential === undefined || !s.status.endpoint || flow?.status.epoch === undefined) {
    throw fnapError('UNAVAILABLE', 'the endpoint is not ready, try again')
  }
  // The agent may be elsewhere since the endpoint was made.
  const e = mode === 'fnap' ? fnapEndpoint(kernel, `${s.spec.id}.${s.spec.flow}`, false) : s.status.endpoint
  return {
    endpoint: `${s.spec.id}.${s.spec.flow}`,
    type: e.type,
    mode,
    servers: e.servers,
    queue: e.queue,
    ...(e.reader === undefined ? {} : { reader: e.reader }),
    ...(e.tls ? { tls: e.tls } : {}),
    ...(e.options === undefined ? {} : { options: e.options }),
    epoch: flow.status.epoch,
    ...(s.status.shards === undefined ? {} : { shards: s.status.shards }),
    lease: kernel.periods.lease,
    ...(s.status.gaps === undefined ? {} : { gaps: s.status.gaps }),
    origins: (s.spec.direction === 'in' ? originsOf : destinationsOf)(kernel.resources, s.spec.flow),
    ...(credential === null ? {} : { credential }),
  }
}

async function credentialFor(k: Kernel, s: Known, c: Call): Promise<Credential | null | undefined> {
  if ((s.status.mode ?? 'fnap') !== 'fnap') return (await k.access.of(s.uid, c))?.credential
  const account = k.issued.of(s.uid).at(-1)
  return account && credentialOf(account)
}
