import { type DsData, dsOf, ZoneAsker } from '@fnaa/client'
import { isWithin } from '@fnaa/protocol'
import type { Call, Dial, DialTarget } from '../contract/common.js'
import { FnaError } from '../contract/errors.js'

/** What a zone has to say of one below it (RFC 1034 §4.2, RFC 4035 §2.4). */
export interface Cut {
  /** Hosts of the name servers. */
  readonly servers: readonly string[]
  /** Addresses of those that lie in the child zone itself: nobody could find them else. */
  readonly glue: readonly { readonly name: string; readonly address: string }[]
  /** Empty for a zone that is not signed. */
  readonly ds: readonly DsData[]
}

const ASK_MS = 10_000
const MOST = { servers: 13, addresses: 8, keys: 8 } as const

/**
 * Asks a name server for what the zone above must say of one of its zones. Keys count that sign the zone at this moment: a DS for
 * another one would make it bogus for everybody.
 * @throws FNA_ERR_NOTFOUND where it does not serve the zone, FNA_ERR_INVALID where the zone cannot be delegated as it is,
 * FNA_ERR_ADDRESS, FNA_ERR_UNAVAILABLE
 */
export async function readCut(zone: string, at: DialTarget, dial: Dial, c: Call): Promise<Cut> {
  const asker = new ZoneAsker(await dial(at, c), ASK_MS, c.signal)
  try {
    const soa = await asker.ask({ name: zone, type: 'SOA' })
    if (!soa.authoritative || !soa.answers.some(r => r.name === zone))
      throw new FnaError('FNA_ERR_NOTFOUND', `the name server ${at.host} has no zone ${zone}`)
    const servers = (await asker.ask({ name: zone, type: 'NS' })).answers.flatMap(r =>
      r.type === 'NS' ? [r.target] : [],
    )
    if (servers.length === 0 || servers.length > MOST.servers)
      throw new FnaError('FNA_ERR_INVALID', `the zone ${zone} names no name server (NS), or more than ${MOST.servers}`)
    const glue: { name: string; address: string }[] = []
    for (const name of servers.filter(s => isWithin(s, zone))) glue.push(...(await addresses(asker, name)))
    return { servers: [...servers].sort(), glue, ds: await digests(asker, zone) }
  } finally {
    asker.close()
  }
}

async function addresses(asker: ZoneAsker, name: string): Promise<{ name: string; address: string }[]> {
  const found: string[] = []
  for (const type of ['A', 'AAAA'] as const)
    for (const r of (await asker.ask({ name, type })).answers)
      if ('address' in r && r.name === name) found.push(r.address)
  if (found.length === 0 || found.length > MOST.addresses)
    throw new FnaError(
      'FNA_ERR_INVALID',
      `the name server ${name} has no address in its zone, or more than ${MOST.addresses}`,
    )
  return found.sort().map(address => ({ name, address }))
}

async function digests(asker: ZoneAsker, zone: string): Promise<DsData[]> {
  // Of the real clock: signatures do not turn with the agent's.
  const { signed, keys } = await asker.keys(zone, Math.floor(Date.now() / 1000))
  if (signed && keys.length === 0)
    throw new FnaError(
      'FNA_ERR_INVALID',
      `the zone ${zone} has keys (DNSKEY), but none whose signature of them holds now`,
    )
  if (keys.length > MOST.keys)
    throw new FnaError('FNA_ERR_INVALID', `the zone ${zone} is signed by more than ${MOST.keys} keys`)
  return keys.map(key => dsOf(zone, key)).sort((a, b) => a.keyTag - b.keyTag)
}
