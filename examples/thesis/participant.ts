import authDomainkey from '@fnaa/auth-domainkey'
import authSasl from '@fnaa/auth-sasl'
import brokerEmbedded from '@fnaa/broker-embedded'
import brokerFnap from '@fnaa/broker-fnap'
import type { Config } from '@fnaa/core'
import dnsEmbedded from '@fnaa/dns-embedded'
import processorBridge from '@fnaa/processor-bridge'
import processorDistributor from '@fnaa/processor-distributor'
import runtimeProcess from '@fnaa/runtime-process'
import storeLmdb from '@fnaa/store-lmdb'

/** What differs between the two participants of the thesis. */
export interface Participant {
  readonly domain: string
  readonly port: number
  readonly dnsPort: number
  readonly namespaces: readonly string[]
  /** The other participant: its names are asked at its own server, and unsigned DNS is believed of it. */
  readonly neighbour: { readonly domain: string; readonly dnsPort: number }
}

const data = process.env['THESIS_DATA'] ?? '.fnaad/thesis'

/** A number of the environment, so that a second pair can run beside the first. */
export const port = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise)

/** One participant on loopback: an agent with its own broker, names, users and keys. */
export const participant = (p: Participant): Config => ({
  host: `fnaa.${p.domain}`,
  domains: [p.domain],
  listen: [`tcp://127.0.0.1:${p.port}`],
  data: `${data}/${p.domain}`,
  tls: { development: `${data}/ca` },
  namespaces: p.namespaces,
  administrators: [`test@${p.domain}`],
  resolver: { servers: [`127.0.0.1:${p.dnsPort}`] },
  network: { allow: ['127.0.0.0/8'] },
  trust: { dns: [p.neighbour.domain] },
  publishEndpoints: true,
  log: { level: (process.env['THESIS_LOG'] ?? 'info') as 'info' },
  plugins: [
    storeLmdb(),
    authSasl({ plainInClear: 'loopback' }),
    authDomainkey(),
    dnsEmbedded({
      listen: `127.0.0.1:${p.dnsPort}`,
      forward: { [p.neighbour.domain]: `127.0.0.1:${p.neighbour.dnsPort}` },
    }),
    brokerEmbedded(),
    brokerFnap(),
    runtimeProcess(),
    processorBridge(),
    processorDistributor(),
  ],
})
