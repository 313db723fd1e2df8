import { type DnsRecord, zoneLine } from '@fnaa/protocol'
import type { DnskeyRecord } from '../dns-message.js'
import { dsOf, entries } from '../dnskey.js'

export type Ds = Extract<DnsRecord, { readonly type: 'DS' }>

const SHA256 = 2

/** Lines for the parent zone: the DS of each key that it has to vouch for. */
export const dsLines = (keys: readonly DnskeyRecord[]): string[] =>
  entries(keys).map(key => zoneLine({ name: key.name, ttl: key.ttl, type: 'DS', ...dsOf(key.name, key) }))

/** Does one of the DS name one of the keys? Null where none is of a digest that can be computed here. */
export function vouched(ds: readonly Ds[], keys: readonly DnskeyRecord[]): boolean | null {
  const known = ds.filter(d => d.digestType === SHA256)
  if (known.length === 0) return null
  const digests = new Set(keys.map(k => dsOf(k.name, k).digest))
  return known.some(d => digests.has(d.digest.toLowerCase()))
}
