import type { Reply } from '@fnaa/client'
import { isId, type On, parseItem, whoMatches } from '@fnaa/protocol'
import type { Context } from './context.js'
import { type Given, requestOf } from './line.js'
import { over, receipts, subscribersOf } from './receipts.js'
import { byGrants } from './run-grants.js'
import { printReply, titleOf, withSession } from './run-verb.js'
import type { CommandSpec } from './tree.js'

const domainOf = (who: string): string => who.slice(who.indexOf('@') + 1)

/** REMOVE SUBSCRIBER, the receipts, and a note of whether they can come back: by a grant that stays, or only after a new one. */
export async function runRemoveSubscriber(cx: Context, spec: CommandSpec, words: readonly string[], given: Given) {
  const request = requestOf(spec, words, given)
  const { flow, who } = request.args as { flow: string; who: string }
  cx.debug.say(titleOf(request))
  await withSession(cx, request, async session => {
    if (cx.settings.quiet) return printReply(cx, request, await session.command(request.line))
    const before = await subscribersOf(session, flow)
    await printReply(cx, request, await session.command(request.line))
    for (const note of receipts(before, await subscribersOf(session, flow))) cx.note(note)
    const named = (s: { readonly subscriber: string; readonly who: string }) =>
      isId(who) ? s.subscriber === who : whoMatches(who, s.who) || domainOf(s.who) === who
    const on: On = { kind: 'Flow', name: flow }
    for (const one of new Set([...(before?.values() ?? [])].filter(s => !over(s) && named(s)).map(s => s.who))) {
      const { still, unseen } = await byGrants(cx, session, { on, who: one, rights: ['subscribe'] })
      const back = cx.typed(`fnua grant read,subscribe on flow ${flow} to ${one}`)
      if (still.length === 0) cx.note(`${one} had come by visibility, and is barred from ${flow} until: ${back}`)
      for (const note of [...still, ...unseen]) cx.note(note)
    }
  })
}

/** UPDATE PEER, and a note where the domain has never been here: a name that is misspelt is not seen otherwise. */
export async function runUpdatePeer(cx: Context, spec: CommandSpec, words: readonly string[], given: Given) {
  const request = requestOf(spec, words, given)
  const { domain } = request.args as { domain: string }
  cx.debug.say(titleOf(request))
  await withSession(cx, request, async session => {
    const blocks = request.options['blocked'] === true
    const before = blocks ? await session.look(`DESCRIBE PEER ${domain}`) : undefined
    await printReply(cx, request, await session.command(request.line))
    const peer = await session.look(`DESCRIBE PEER ${domain}`)
    const cut = subscriptions(before) - subscriptions(peer)
    if (before) cx.note(`${cut} of its subscriptions ${cut === 1 ? 'is' : 'are'} cut off`)
    // Only who has proved itself here has a level.
    if (!peer || peer.lines.some(line => line.startsWith('level='))) return
    const peers = cx.typed('fnua get peers')
    cx.note(
      `${domain} has not been here yet, and has no subscriptions: this holds when it comes. Is it spelt right? ${peers}`,
    )
  })
}

const subscriptions = (peer: Reply | undefined): number =>
  Number(peer?.lines.map(line => parseItem(line).get('subscriptions')).find(n => n !== undefined) ?? 0)
