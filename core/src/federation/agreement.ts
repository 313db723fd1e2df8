import { fnapError } from '@fnaa/protocol'
import type { Credential, Endpoint } from '../contract/broker.js'
import type { Kernel } from '../kernel.js'
import { credentialOf } from './issued.js'
import { originsOf } from './origins.js'
import type { Known } from './wish.js'

/** What P hands out: federation.md's JSON. `lease` in seconds, as a duration. */
export interface Agreement {
  readonly endpoint: string
  readonly type: string
  readonly servers: readonly string[]
  readonly queue: string
  readonly tls?: { readonly servername?: string; readonly ca?: string }
  readonly options?: Endpoint['options']
  readonly epoch: string
  readonly lease: number
  readonly origins: readonly string[]
  readonly credential: Credential
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
export function replyOf(kernel: Kernel, s: Known): Agreement {
  const account = kernel.issued.of(s.uid).at(-1)
  const flow = kernel.resources.get('Flow', s.spec.flow)
  if (!account || !s.status.endpoint || flow?.status.epoch === undefined) {
    throw fnapError('UNAVAILABLE', 'the endpoint is not ready, try again')
  }
  const e = s.status.endpoint
  return {
    endpoint: `${s.spec.id}.${s.spec.flow}`,
    type: e.type,
    servers: e.servers,
    queue: e.queue,
    ...(e.tls ? { tls: e.tls } : {}),
    ...(e.options === undefined ? {} : { options: e.options }),
    epoch: flow.status.epoch,
    lease: kernel.periods.lease,
    origins: originsOf(kernel.resources, s.spec.flow),
    credential: credentialOf(account),
  }
}
