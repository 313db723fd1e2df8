import { isIP } from 'node:net'
import { FnaError } from '@fnaa/core/plugin'
import { isName } from '@fnaa/protocol'
import { KeyFile, makeKey } from './key-file.js'
import type { Server } from './transport.js'
import type { TsigKey } from './tsig.js'

export interface DnsBindOptions {
  /** `host:port` of the zones' primary server, an IP address; an IPv6 one in brackets. Port 53 if absent. */
  readonly server: string
  /** The zones that are written; the agent's domains if absent. */
  readonly zones?: readonly string[]
  /** A file with the one key, as tsig-keygen writes it. It is read again when it has changed. */
  readonly keyFile?: string
  /** The key itself, where it comes from elsewhere. */
  readonly key?: { readonly name: string; readonly algorithm?: string; readonly secret: string }
  /**
   * A second key, for what the flows' key should not write: `_fnap`, addresses, and the delegation (NS, DS, glue) of child zones.
   * Without it these are the operator's to write.
   */
  readonly zoneKeyFile?: string
  /** How updates go: `tcp` if absent. An update over UDP has at most 512 bytes. */
  readonly transport?: 'tcp' | 'udp'
  /** Milliseconds for one update or one look; 5,000 if absent. */
  readonly timeoutMs?: number
}

export const OPTIONS_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  required: ['server'],
  properties: {
    server: {
      type: 'string',
      description: 'address:port of the primary server of the zones, an IP address',
      examples: ['127.0.0.1:53', '[::1]:53'],
    },
    zones: { type: 'array', uniqueItems: true, minItems: 1, items: { type: 'string' } },
    keyFile: { type: 'string', minLength: 1, description: 'a TSIG key as tsig-keygen writes it' },
    zoneKeyFile: {
      type: 'string',
      minLength: 1,
      description: 'a TSIG key that may write _fnap, addresses, NS and DS',
    },
    key: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'secret'],
      properties: {
        name: { type: 'string' },
        algorithm: { enum: ['hmac-sha256', 'hmac-sha384', 'hmac-sha512'] },
        secret: { type: 'string', description: 'base64' },
      },
    },
    transport: { enum: ['tcp', 'udp'] },
    timeoutMs: { type: 'integer', minimum: 100, maximum: 60_000 },
  },
} as const

/** @throws FNA_ERR_CONFIG */
export function parseServer(text: string): Server {
  const m = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text)
  const host = m?.[1] ?? m?.[2] ?? ''
  const port = Number(m?.[3] ?? 53)
  if (isIP(host) && port >= 1 && port <= 65_535) return { host, port }
  throw new FnaError('FNA_ERR_CONFIG', 'server is an IP address and a port, as 127.0.0.1:53 or [::1]:53')
}

/** @throws FNA_ERR_CONFIG */
export function parseZones(zones: readonly string[]): string[] {
  if (zones.length === 0)
    throw new FnaError('FNA_ERR_CONFIG', 'dns-bind writes no zone: give zones, or the agent domains')
  for (const zone of zones)
    if (!isName(zone)) throw new FnaError('FNA_ERR_CONFIG', 'a zone is a name of two labels or more, in lower case')
  return [...new Set(zones)]
}

/** Where the zone's key comes from; null where the operator gives none. */
export function zoneKeySource(o: DnsBindOptions): (() => Promise<TsigKey>) | null {
  if (o.zoneKeyFile === undefined) return null
  const file = new KeyFile(o.zoneKeyFile)
  return () => file.read()
}

/** Where the key comes from, asked before each update. @throws FNA_ERR_CONFIG where there is none, or two */
export function keySource(o: DnsBindOptions): () => Promise<TsigKey> {
  if ((o.keyFile === undefined) === (o.key === undefined))
    throw new FnaError('FNA_ERR_CONFIG', 'dns-bind signs its updates: give keyFile or key, one of them')
  if (o.keyFile !== undefined) {
    const file = new KeyFile(o.keyFile)
    return () => file.read()
  }
  const key = makeKey(o.key!, what => new FnaError('FNA_ERR_CONFIG', `the option key ${what}`))
  return async () => key
}
