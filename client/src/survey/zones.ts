import type { AnyRecord, DnskeyRecord, Response } from '../dns-message.js'
import type { Call } from '../types.js'
import type { Ds } from './delegation.js'
import type { Questions } from './questions.js'

export const parentOf = (name: string): string => (name.includes('.') ? name.slice(name.indexOf('.') + 1) : '')
export const labelsOf = (name: string): number => (name === '' ? 0 : name.split('.').length)

/** Of one type, at one name. */
export function recordsOf<T extends AnyRecord['type']>(
  r: Response | null,
  type: T,
  name: string,
): Extract<AnyRecord, { readonly type: T }>[] {
  return (r?.answers ?? []).filter(
    (x): x is Extract<AnyRecord, { readonly type: T }> => x.type === type && x.name === name,
  )
}

/**
 * The zone that a name lies in, whatever validation says of it.
 * @returns null where nobody says
 */
export async function zoneAround(q: Questions, name: string, c: Call): Promise<string | null> {
  for (let at = name; at !== ''; at = parentOf(at)) {
    const answer = await q.raw({ name: at, type: 'SOA', unchecked: true }, c)
    if (!answer) return null
    if (recordsOf(answer, 'SOA', at).length > 0) return at
    if (answer.deniedBy !== null) return answer.deniedBy
  }
  return null
}

/** What a zone and its parent say about who signs it. */
export interface Signing {
  readonly keys: readonly DnskeyRecord[]
  readonly ds: readonly Ds[]
  /** The parent's word on DS, its absence too, has been validated. */
  readonly dsSecure: boolean
}

export async function signingOf(q: Questions, zone: string, c: Call): Promise<Signing> {
  const [keys, ds, checked] = await Promise.all([
    q.raw({ name: zone, type: 'DNSKEY', unchecked: true }, c),
    q.raw({ name: zone, type: 'DS', unchecked: true }, c),
    q.raw({ name: zone, type: 'DS' }, c),
  ])
  return {
    keys: recordsOf(keys, 'DNSKEY', zone),
    ds: recordsOf(ds, 'DS', zone),
    dsSecure: checked?.authentic === true && q.server !== undefined && q.heeds(q.server),
  }
}
