import type { Session } from './session.js'
import { safe } from './text.js'

/** What is looked at of a subscriber. */
export interface Seen {
  readonly subscriber: string
  readonly who: string
  readonly phase: string
  readonly cut?: Readonly<Record<string, string>>
}
/** Subscribers of a flow by id, those that are over too. */
type Subscribers = ReadonlyMap<string, Seen>

/** Is it ended for good? */
export const over = (s: Seen | undefined): boolean => s?.phase === 'revoked' || s?.phase === 'gone'

/** Who subscribes to a flow and who did; undefined where it is not shown to the caller. */
export async function subscribersOf(session: Session, flow: string): Promise<Subscribers | undefined> {
  const reply = await session.look(`GET SUBSCRIBERS ${flow} ALL FORMAT JSON`)
  if (!reply) return undefined
  const all = JSON.parse(reply.lines[0] ?? '[]') as readonly Seen[]
  return new Map(all.map(s => [s.subscriber, s]))
}

/** The receipts of those that were cut between two looks, a line each: what was cut when, or is still to be. */
export function receipts(before: Subscribers | undefined, after: Subscribers | undefined): string[] {
  if (!before || !after) return []
  return [...after.values()]
    .filter(s => over(s) && !over(before.get(s.subscriber)))
    .map(s => safe(`${s.who} is cut off (${s.subscriber}): ${timesOf(s.cut)}`))
}

function timesOf(cut: Seen['cut'] = {}): string {
  const times = Object.entries(cut).map(([what, at]) => `${what} ${at === 'pending' ? 'still pending' : at}`)
  return times.length > 0 ? times.join(', ') : 'nothing was open'
}
