import { ReplyError } from '@fnaa/client'
import type { Context } from './context.js'
import { isDocument, rowsOf } from './output.js'
import type { Run } from './run-verb.js'
import type { Session } from './session.js'
import { safe } from './text.js'

/** What is looked at of a subscriber. */
export interface Seen {
  readonly subscriber: string
  readonly who: string
  readonly phase: string
  readonly flow: string
  readonly cut?: Readonly<Record<string, string>>
  readonly cause?: { readonly reason?: string }
}
/** Subscribers by id, those that are over too. */
type Subscribers = ReadonlyMap<string, Seen>

/** Flows of a namespace that are looked at, at most. */
const MOST_FLOWS = 200

const ended = (s: Seen | undefined): boolean => s?.phase === 'revoked' || s?.phase === 'gone'

/** Is it ended for good, or being ended? */
export const over = (s: Seen): boolean => ended(s) || s.cause !== undefined

/** Who subscribes to flows and who did; undefined where it is not shown to the caller. */
export async function subscribersOf(session: Session, ...flows: readonly string[]): Promise<Subscribers | undefined> {
  const found = new Map<string, Seen>()
  for (const flow of flows) {
    const reply = await session.look(`GET SUBSCRIBERS ${flow} ALL FORMAT JSON`)
    if (!reply) return undefined
    const all = JSON.parse(reply.lines[0] ?? '[]') as readonly Omit<Seen, 'flow'>[]
    for (const s of all) found.set(s.subscriber, { ...s, flow })
  }
  return found
}

/** Those of a domain, as its Peer tells of them. */
export async function subscribersFrom(session: Session, domain: string): Promise<Subscribers | undefined> {
  const reply = await session.look(`DESCRIBE PEER ${domain} FORMAT JSON`)
  if (!reply) return undefined
  const { subscribers = [] } = JSON.parse(reply.lines[0] ?? '{}') as { subscribers?: readonly Seen[] }
  return new Map(subscribers.map(s => [s.subscriber, s]))
}

/** The flows of a namespace; undefined where there are too many to look at each. */
export async function flowsIn(session: Session, namespace: string): Promise<string[] | undefined> {
  const reply = await session.look(`GET FLOWS ${namespace} MAX ${MOST_FLOWS + 1}`)
  const flows = rowsOf(reply?.lines ?? []).flatMap(row => row.get('flow') ?? [])
  return flows.length > MOST_FLOWS ? undefined : flows
}

/**
 * Does what cuts somebody off, and notes the receipts: also of what is not over when the agent has waited long enough, for then it
 * matters most.
 * @param look who there is, before and after; undefined where it cannot be seen, or where nobody is cut off
 * @returns who there was before
 */
export async function withReceipts(
  cx: Context,
  look: (() => Promise<Subscribers | undefined>) | undefined,
  work: Run,
): Promise<Subscribers | undefined> {
  const before = cx.settings.quiet && !isDocument(cx.settings.output) ? undefined : await look?.()
  let cut: Seen[] | undefined
  const again = async () => {
    const after = before && (await look?.())
    cut = after && cutOff(before, after)
    return cut === undefined ? {} : { receipts: cut.map(receipt) }
  }
  const tell = () => {
    for (const s of cut ?? []) cx.note(safe(sentence(s, before?.get(s.subscriber))))
    if (cut?.length === 0) cx.note(NOBODY)
  }
  try {
    await work(again)
  } catch (e) {
    if (e instanceof ReplyError && e.reply.symbol === 'TIMEOUT') await again().then(tell)
    throw e
  }
  tell()
  return before
}

const NOBODY =
  'no subscriber is cut off by it; sessions and logins at the broker that nothing gives any more have ended'

/** Those that were cut off between two looks, or are being. */
const cutOff = (before: Subscribers, after: Subscribers): Seen[] =>
  [...after.values()].filter(s => over(s) && s.cause?.reason !== 'unsubscribed' && !ended(before.get(s.subscriber)))

const receipt = ({ subscriber, who, flow, phase, cut, cause }: Seen): Seen => ({
  subscriber,
  who,
  flow,
  phase,
  ...(cut && { cut }),
  ...(cause && { cause }),
})

function sentence(s: Seen, before: Seen | undefined): string {
  if (before?.phase === 'pending')
    return `the request of ${s.who} for ${s.flow} is ended (${s.subscriber}); they may ask again`
  const times = Object.entries(s.cut ?? {}).map(([what, at]) => `${what} ${at === 'pending' ? 'still pending' : at}`)
  const none = ended(s) ? 'nothing was open' : 'not yet'
  return `${s.who} is cut off from ${s.flow} (${s.subscriber}): ${times.join(', ') || none}`
}
