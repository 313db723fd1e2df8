import { createHash } from 'node:crypto'
import type { DnsRecord } from '@fnaa/protocol'
import type { DnskeyRecord } from '../dns-message.js'

type Ds = Extract<DnsRecord, { readonly type: 'DS' }>

const SHA256 = 2
/** The flag of a key that a parent's DS names (RFC 4034 §2.1.1: secure entry point). */
const ENTRY = 1
const REVOKED = 0x80

/** The DS that a parent publishes for a zone's key (RFC 4034 §5.1.4, RFC 4509). */
export function dsOf(key: DnskeyRecord): Ds {
  const data = Buffer.from(key.data, 'base64')
  const owner = Buffer.concat([
    ...key.name.split('.').map(label => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.from([0]),
  ])
  return {
    name: key.name,
    ttl: key.ttl,
    type: 'DS',
    keyTag: tagOf(data),
    algorithm: key.algorithm,
    digestType: SHA256,
    digest: createHash('sha256').update(owner).update(data).digest('hex'),
  }
}

/** The keys of a zone that its parent has to vouch for. */
export function entries(keys: readonly DnskeyRecord[]): DnskeyRecord[] {
  const alive = keys.filter(k => (k.flags & REVOKED) === 0)
  const entry = alive.filter(k => (k.flags & ENTRY) !== 0)
  return entry.length > 0 ? entry : alive
}

/** Does one of the DS name one of the keys? Null where none is of a digest that can be computed here. */
export function vouched(ds: readonly Ds[], keys: readonly DnskeyRecord[]): boolean | null {
  const known = ds.filter(d => d.digestType === SHA256)
  if (known.length === 0) return null
  const digests = new Set(keys.map(k => dsOf(k).digest))
  return known.some(d => digests.has(d.digest.toLowerCase()))
}

/** RFC 4034, appendix B. */
function tagOf(data: Buffer): number {
  let sum = 0
  for (const [i, byte] of data.entries()) sum += i % 2 === 0 ? byte << 8 : byte
  return (sum + (sum >>> 16)) & 0xffff
}
