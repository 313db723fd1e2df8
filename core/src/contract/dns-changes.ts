import { checkRecord, type DnsRecord, isFnapError, isOwner, isWithin } from '@fnaa/protocol'
import type { OwnerSet } from './dns.js'
import { FnaError } from './errors.js'

/** The longest of the zones that a name lies in, or null. */
export function zoneOf(name: string, zones: readonly string[]): string | null {
  let found: string | null = null
  for (const zone of zones) if (isWithin(name, zone) && zone.length > (found?.length ?? 0)) found = zone
  return found
}

/**
 * Checks what `apply` is asked to write, all of it, before anything is written.
 * @returns copies, without records that stand twice
 * @throws FNA_ERR_FOREIGN for an owner in no zone, FNA_ERR_INVALID for a record that breaks the strict checks or an owner
 * given twice, FNA_ERR_UNSUPPORTED for one that `kept` names as the operator's
 * @param kept owners that this service leaves to the operator
 */
export function checkChanges(
  changes: readonly OwnerSet[],
  zones: readonly string[],
  kept: (owner: string) => boolean,
): OwnerSet[] {
  const seen = new Set<string>()
  return changes.map(({ owner, records, zone: above }) => {
    if (!isOwner(owner)) throw invalid('an owner is labels of a-z 0-9 _ and hyphens')
    if (seen.has(owner)) throw invalid('an owner stands twice in one change')
    seen.add(owner)
    const zone =
      above === undefined ? zoneOf(owner, zones) : zones.includes(above) && isWithin(owner, above) ? above : null
    if (!zone) throw new FnaError('FNA_ERR_FOREIGN', `${owner} is in none of the zones`)
    if (kept(owner))
      throw new FnaError('FNA_ERR_UNSUPPORTED', `${owner} is for the operator to write, not for this plugin`)
    const checked = unique(records.map(record => checkOne(record, owner, zone)))
    return above === undefined ? { owner, records: checked } : { owner, records: checked, zone }
  })
}

function checkOne(record: DnsRecord, owner: string, zone: string): DnsRecord {
  if (record.name !== owner) throw invalid('a record bears the name of its owner')
  if (owner === zone && (record.type === 'NS' || record.type === 'DS')) {
    throw invalid(`${record.type} at the apex of a zone is not to be written`)
  }
  try {
    return checkRecord({ ...record })
  } catch (e) {
    throw invalid(isFnapError(e) ? e.sentence : 'a record is malformed', e)
  }
}

function unique(records: readonly DnsRecord[]): DnsRecord[] {
  const seen = new Set<string>()
  return records.filter(record => {
    const { ttl: _, ...rest } = record
    const key = JSON.stringify(rest, Object.keys(rest).sort())
    return !seen.has(key) && seen.add(key)
  })
}

const invalid = (message: string, cause?: unknown): FnaError =>
  new FnaError('FNA_ERR_INVALID', message, cause === undefined ? undefined : { cause })
