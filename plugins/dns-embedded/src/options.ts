import { isIP } from 'node:net'
import { FnaError } from '@fnaa/core/plugin'
import { isName } from '@fnaa/protocol'

export interface DnsEmbeddedOptions {
  /** `host:port` to listen on, UDP and TCP; an IPv6 address in brackets; port 0 takes a free one. 127.0.0.1:5300 if absent. */
  readonly listen?: string
  /** The zones served; the agent's domains if absent. */
  readonly zones?: readonly string[]
  /** The address of this server, for NS and the apex; the host of `listen` if absent. */
  readonly address?: string
  /** Zones of other servers (`.`: all) and where to ask, `host:port`. Loopback clients and servers only: for several agents on one host. */
  readonly forward?: Readonly<Record<string, string>>
  /** May `_fnapkey` records be written? Yes if absent. */
  readonly keys?: boolean
  /** Responses a second to one network (/24, /48) that is not this host; 20 if absent. */
  readonly responsesPerSecond?: number
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

export const DEFAULT_LISTEN = '127.0.0.1:5300'

/** 0 to 65535. */
const PORT = '([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])'

/** JSON Schema (2020-12) of the options. */
export const OPTIONS_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  properties: {
    listen: {
      type: 'string',
      pattern: `^(\\[[0-9a-fA-F:.]+\\]|[0-9.]+):${PORT}$`,
      description: 'address:port of this host, port 0 to 65535',
      examples: ['127.0.0.1:5300'],
    },
    zones: { type: 'array', uniqueItems: true, minItems: 1, items: { type: 'string' } },
    address: { type: 'string', description: 'IP address of this server as others see it' },
    forward: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'zone to host:port, on loopback',
    },
    keys: { type: 'boolean', description: 'let _fnapkey records be written' },
    responsesPerSecond: { type: 'integer', minimum: 1, maximum: 1_000_000 },
  },
} as const

/**
 * `host:port` with an IP address, in brackets for IPv6.
 * @throws FNA_ERR_CONFIG
 */
export function parseHostPort(text: string, option: string): HostPort {
  const m = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  const host = m?.[1] ?? m?.[2] ?? ''
  const port = Number(m?.[3] ?? Number.NaN)
  if (isIP(host) && !host.includes('%') && port <= 65_535) return { host, port }
  throw new FnaError('FNA_ERR_CONFIG', `${option} is address:port, as 127.0.0.1:5300 or [::1]:5300`)
}

/** @throws FNA_ERR_CONFIG */
export function parseZones(zones: readonly string[]): string[] {
  for (const zone of zones) {
    if (!isName(zone)) throw new FnaError('FNA_ERR_CONFIG', 'a zone is a name of two labels or more, in lower case')
  }
  if (zones.length === 0)
    throw new FnaError('FNA_ERR_CONFIG', 'dns-embedded serves no zone: give zones, or the agent domains')
  return [...new Set(zones)]
}

/**
 * The address that NS and the apex lead to.
 * @throws FNA_ERR_CONFIG where the server listens on every address and `address` does not say which one others use
 */
export function serverAddress(bound: string, address: string | undefined): string {
  const found = address ?? bound
  if (isIP(found) && found !== '0.0.0.0' && found !== '::') return found
  throw new FnaError(
    'FNA_ERR_CONFIG',
    'dns-embedded listens on every address: say with `address` under which one others reach it',
  )
}
