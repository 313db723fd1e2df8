import { survey } from '@fnaa/client'
import { zoneLine } from '@fnaa/protocol'
import type { Inside, Zone } from './inside.js'

const { broken, command, fine, option, record, warning } = survey

/** Signatures that end sooner should have been made anew by now. */
const SOON_SECONDS = 3 * 86_400

/**
 * A domain as its own name server has it, against what the rest of the world hears: authority, signatures, delegation, DS, keys.
 * @returns false where nothing more can be asked
 */
export async function ownZone(plan: survey.Plan, zone: Zone, inside: Inside, tell: survey.Tell): Promise<boolean> {
  const { questions: q, c } = plan
  const at = survey.serverText(zone.server)
  const soa = await q.raw({ name: zone.zone, type: 'SOA' }, c, reachable(zone.server))
  if (!soa) {
    const mend = command('systemctl restart named', `${zone.server.host}, where the name server is BIND`)
    tell(broken('dns', 'authority', `your own name server ${at} does not answer`, mend))
    return false
  }
  if (!soa.authoritative || survey.recordsOf(soa, 'SOA', zone.zone).length === 0) {
    tell(
      broken(
        'dns',
        'authority',
        `your own name server ${at} does not serve the zone ${zone.zone}`,
        option(`zone "${zone.zone}" { type primary; file "<file>"; };`, `named.conf of ${zone.server.host}`),
      ),
    )
    return false
  }
  tell(fine('dns', 'authority', `your own name server ${at} serves ${zone.zone}`))
  signatures(plan, zone, soa.signatures, tell)
  await delegation(plan, zone, tell)
  await keys(plan, zone, inside, tell)
  return true
}

/** A server that listens everywhere is asked here. */
const reachable = (s: Zone['server']) => ({
  ...s,
  host: s.host === '0.0.0.0' ? '127.0.0.1' : s.host === '::' ? '::1' : s.host,
})

function signatures(
  plan: survey.Plan,
  { zone }: Zone,
  found: readonly { readonly expires: number; readonly begins: number }[],
  tell: survey.Tell,
): void {
  if (found.length === 0) return
  const now = plan.now() / 1000
  const first = Math.min(...found.map(s => s.expires))
  const sign = command(`rndc sign ${zone}`, `the name server of ${zone}; where it is signed by hand: dnssec-signzone`)
  if (first < now) tell(broken('dns', 'signature', `signatures of ${zone} expired on ${survey.day(first)}`, sign))
  else if (first < now + SOON_SECONDS)
    tell(
      warning(
        'dns',
        'signature',
        `signatures of ${zone} expire on ${survey.day(first)}: they should be new by now`,
        sign,
      ),
    )
  else tell(fine('dns', 'signature', `signatures of ${zone} hold until ${survey.day(first)}`))
}

/** What the parent says of the zone, as the resolver hears it. */
async function delegation(plan: survey.Plan, { zone, server }: Zone, tell: survey.Tell): Promise<void> {
  const { questions: q, c } = plan
  const here = reachable(server)
  const [seen, keys] = await Promise.all([
    q.raw({ name: zone, type: 'SOA', unchecked: true }, c),
    q.raw({ name: zone, type: 'DNSKEY' }, c, here),
  ])
  const own = survey.recordsOf(keys, 'DNSKEY', zone)
  const parent = survey.parentOf(zone)
  if (seen && survey.recordsOf(seen, 'SOA', zone).length === 0 && (seen.rcode === 0 || seen.rcode === 3)) {
    const lines = await cut(plan, zone, here)
    const ds = survey.dsLines(own)
    const text = `${zone} is not delegated: nobody finds it, as its parent ${seen.deniedBy ?? parent} names no name server of it`
    tell(broken('dns', 'delegation', text, ...[...lines, ...ds].map(line => record(line, `the parent zone ${parent}`))))
    return
  }
  const ds = survey.recordsOf(await q.raw({ name: zone, type: 'DS', unchecked: true }, c), 'DS', zone)
  const wrong = survey.wrongDelegation(zone, { keys: own, ds })
  if (wrong) tell(wrong)
  else if (seen)
    tell(fine('dns', 'delegation', `${zone} is delegated${ds.length > 0 ? ', with the DS of its key' : ''}`))
}

/** NS and glue, as the zone itself has them. */
async function cut(plan: survey.Plan, zone: string, server: Zone['server']): Promise<string[]> {
  const { questions: q, c } = plan
  const ns = survey.recordsOf(await q.raw({ name: zone, type: 'NS' }, c, server), 'NS', zone)
  const glue: string[] = []
  for (const { target } of ns.filter(r => r.target.endsWith(`.${zone}`)))
    for (const type of ['A', 'AAAA'] as const)
      for (const r of survey.recordsOf(await q.raw({ name: target, type }, c, server), type, target))
        glue.push(zoneLine(r))
  return [...ns.map(zoneLine), ...glue]
}

/** Keys that prove the domain: in its zone, as the agent has them. */
async function keys(plan: survey.Plan, { zone, server, keys: writes }: Zone, inside: Inside, tell: survey.Tell) {
  const { questions: q, c } = plan
  for (const set of inside.keys.filter(s => s.owner.endsWith(`._fnapkey.${zone}`))) {
    const [answer, seen] = await Promise.all([
      q.raw({ name: set.owner, type: 'TXT' }, c, reachable(server)),
      q.raw({ name: set.owner, type: 'TXT' }, c),
    ])
    const there = textsOf(survey.recordsOf(answer, 'TXT', set.owner))
    const wanted = textsOf(set.records.flatMap(r => (r.type === 'TXT' ? [r] : [])))
    const lines = set.records.map(zoneLine)
    if (there.join() !== wanted.join()) {
      const gone = there.filter(t => !wanted.includes(t)).map(t => `; remove: ${set.owner}. 300 IN TXT "${t}"`)
      const what =
        wanted.length === 0
          ? 'is no key of this agent any more'
          : there.length === 0
            ? 'is not in DNS'
            : 'is another in DNS'
      const mends = [...lines, ...gone].map(line =>
        record(line, `the zone ${zone}${writes ? ' (the agent writes it itself)' : ''}`),
      )
      const make = wanted.length === 0 ? warning : broken
      tell(make('key', 'record', `the key at ${set.owner} ${what}`, ...mends))
    } else if (seen && textsOf(survey.recordsOf(seen, 'TXT', set.owner)).join() !== wanted.join())
      tell(
        warning(
          'key',
          'cache',
          `the key at ${set.owner} is not everywhere yet: caches hold what was there before`,
          command('again, in 5 minutes', 'this machine'),
        ),
      )
  }
}

const textsOf = (records: readonly { readonly strings: readonly string[] }[]): string[] =>
  records.map(r => r.strings.join('')).sort()
