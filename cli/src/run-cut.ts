import { isId, type On, whoMatches } from '@fnaa/protocol'
import type { Context } from './context.js'
import { type Given, requestOf } from './line.js'
import { over, type Seen, subscribersFrom, subscribersOf, withReceipts } from './receipts.js'
import { byGrants } from './run-grants.js'
import { runWith } from './run-verb.js'
import type { Session } from './session.js'
import { safe } from './text.js'
import type { CommandSpec } from './tree.js'

const domainOf = (who: string): string => who.slice(who.indexOf('@') + 1)

/** REMOVE SUBSCRIBER, the receipts, and a note of whether they can come back: by a grant that stays, or only after a new one. */
export async function runRemoveSubscriber(cx: Context, spec: CommandSpec, words: readonly string[], given: Given) {
  const request = requestOf(spec, words, given)
  const { flow, who } = request.args as { flow: string; who: string }
  await runWith(cx, request, async (session, run) => {
    const before = await withReceipts(cx, () => subscribersOf(session, flow), run)
    const named = (s: Seen) => (isId(who) ? s.subscriber === who : whoMatches(who, s.who) || domainOf(s.who) === who)
    const cut = [...(before?.values() ?? [])].filter(s => !over(s) && s.phase !== 'pending' && named(s))
    for (const one of new Set(cut.map(s => s.who))) for (const note of await back(cx, session, flow, one)) cx.note(note)
  })
}

/** How who was removed can come back: by a grant that stays, as who may all, or only after a new grant. */
async function back(cx: Context, session: Session, flow: string, one: string): Promise<string[]> {
  const on: On = { kind: 'Flow', name: flow }
  const { still, unseen, of } = await byGrants(cx, session, { on, who: one, rights: ['subscribe'] })
  if (of?.get('owner') === one) return [`${one} owns ${flow}, and may subscribe again`]
  if (still.length > 0) return [...still, ...unseen]
  const domain = domainOf(one)
  const own = domainOf(of?.get('owner') ?? '') === domain
  const whom = own ? one : `'*@${domain}'`
  const barred = own
    ? `${one} had come by visibility, and is barred`
    : `${one} had come by visibility: all of ${domain} are barred`
  return [
    `${barred} from ${flow} until: ${cx.typed(`fnua grant read,subscribe on flow ${flow} to ${whom}`)}`,
    ...unseen,
  ]
}

/** UPDATE PEER, and a note where the domain has never been here: a name that is misspelt is not seen otherwise. */
export async function runUpdatePeer(cx: Context, spec: CommandSpec, words: readonly string[], given: Given) {
  const request = requestOf(spec, words, given)
  const { domain } = request.args as { domain: string }
  await runWith(cx, request, async (session, run) => {
    const { blocked } = request.options
    await withReceipts(cx, blocked === true ? () => subscribersFrom(session, domain) : undefined, run)
    if (blocked === false) cx.note('what was cut off stays so: they may subscribe again')
    const peer = await session.look(`DESCRIBE PEER ${domain}`)
    // Only who has proved itself here has a level.
    if (!peer || peer.lines.some(line => line.startsWith('level='))) return
    const peers = cx.typed('fnua get peers')
    cx.note(
      `${domain} has not been here yet, and has no subscriptions: this holds when it comes. Is it spelt right? ${peers}`,
    )
  })
}

/** UPDATE FLOW, and the receipts of who had come by what everyone might do, or by whose it was. */
export async function runUpdateFlow(cx: Context, spec: CommandSpec, words: readonly string[], given: Given) {
  const request = requestOf(spec, words, given)
  const { flow } = request.args as { flow: string }
  await runWith(cx, request, async (session, run) => {
    const { visibility, owner } = request.options
    const narrows = owner !== undefined || (visibility !== undefined && visibility !== 'public')
    await withReceipts(cx, narrows ? () => subscribersOf(session, flow) : undefined, run)
  })
}

/** DELETE FLOW, and who is cut off by it: their receipts go with the flow. */
export async function runDeleteFlow(cx: Context, spec: CommandSpec, words: readonly string[], given: Given) {
  const request = requestOf(spec, words, given)
  const { flow } = request.args as { flow: string }
  await runWith(cx, request, async (session, run) => {
    const before = cx.settings.quiet ? undefined : await subscribersOf(session, flow)
    await run()
    for (const s of before?.values() ?? [])
      if (!over(s)) cx.note(`${safe(s.who)} is cut off, for the flow is gone (${s.subscriber})`)
  })
}
