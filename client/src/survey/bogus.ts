import { zoneLine } from '@fnaa/protocol'
import type { Signature } from '../dns-message.js'
import { dsLines, vouched } from './delegation.js'
import { broken, command, type Finding, record } from './finding.js'
import type { Plan } from './plan.js'
import type { Asked } from './questions.js'
import { parentOf, type Signing, signingOf, zoneAround } from './zones.js'

/** Why validation of an answer failed, with what mends it: the zone that the name lies in, then those above. */
export async function whyBogus(plan: Plan, failed: Asked): Promise<Finding> {
  const { questions: q, c } = plan
  for (let zone = await zoneAround(q, failed.name, c); zone; zone = await zoneAround(q, parentOf(zone), c)) {
    const signing = await signingOf(q, zone, c)
    const delegated = wrongDelegation(zone, signing)
    if (delegated) return delegated
    const dated = dates(plan, zone, await signaturesOf(plan, failed, zone))
    if (dated) return dated
    if (!zone.includes('.')) break
  }
  return broken(
    'dns',
    'signature',
    `DNSSEC validation of ${failed.name} fails, and nobody may believe what it says`,
    command(`delv ${failed.name}. ${failed.type} +vtrace`, 'any machine: it shows the step that fails'),
  )
}

/** What is wrong where the parent vouches for keys that the zone does not have. */
export function wrongDelegation(zone: string, { keys, ds }: Pick<Signing, 'keys' | 'ds'>): Finding | null {
  if (ds.length === 0) return null
  const at = `the parent zone ${parentOf(zone) || '.'}`
  if (keys.length === 0)
    return broken(
      'dns',
      'ds',
      `the parent of ${zone} says that it is signed (DS), and the zone has no DNSKEY`,
      command(`rndc sign ${zone}`, `the name server of ${zone}, where the zone has a dnssec-policy`),
      ...ds.map(d => record(`; remove: ${zoneLine(d)}`, `${at}, where the zone is not to be signed`)),
    )
  if (vouched(ds, keys) !== false) return null
  return broken(
    'dns',
    'ds',
    `the DS of ${zone} in its parent names none of the zone's keys`,
    ...dsLines(keys).map(line => record(line, at)),
    ...ds.map(d => record(`; remove: ${zoneLine(d)}`, at)),
  )
}

async function signaturesOf({ questions: q, c }: Plan, failed: Asked, zone: string): Promise<Signature[]> {
  const answers = await Promise.all([
    q.raw({ name: failed.name, type: failed.type, unchecked: true }, c),
    q.raw({ name: zone, type: 'DNSKEY', unchecked: true }, c),
    q.raw({ name: zone, type: 'SOA', unchecked: true }, c),
  ])
  return answers.flatMap(a => a?.signatures ?? []).filter(s => s.signer === zone)
}

/** Signatures that hold no longer, or not yet; none at all. */
function dates(plan: Plan, zone: string, signatures: readonly Signature[]): Finding | null {
  const now = plan.now() / 1000
  const at = `the name server of ${zone}`
  const again = [
    command(`rndc sign ${zone}`, `${at}, where it signs the zone itself`),
    command(
      `dnssec-signzone -o ${zone} <file of the zone>`,
      `${at}, where the zone is signed by hand; then rndc reload ${zone}`,
    ),
  ]
  if (signatures.length === 0)
    return broken('dns', 'signature', `${zone} should be signed, and its records have no signatures (RRSIG)`, ...again)
  const ended = signatures.filter(s => s.expires < now)
  if (ended.length > 0) {
    const last = Math.max(...ended.map(s => s.expires))
    return broken('dns', 'signature', `signatures of ${zone} expired on ${day(last)}`, ...again)
  }
  const early = signatures.find(s => s.begins > now)
  if (!early) return null
  return broken(
    'dns',
    'signature',
    `signatures of ${zone} hold from ${day(early.begins)} on only: the clock that signed, or that of this machine, is wrong`,
    command('timedatectl set-ntp true', `this machine, and ${at}`),
    ...again,
  )
}

/** Seconds since 1970 as a person reads them. */
export const day = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('.000', '')
