import { isId, type On, whoMatches } from '@fnaa/protocol'
import type { Context } from './context.js'
import { type Given, requestOf } from './line.js'
import { type Row, rowsOf } from './output.js'
import { byGrants } from './run-grants.js'
import { printReply, titleOf, withSession } from './run-verb.js'
import type { CommandSpec } from './tree.js'

const domainOf = (who: string): string => who.slice(who.indexOf('@') + 1)

/** REMOVE SUBSCRIBER, and a note of whether they can come back: by a grant that stays, or only after a new one. */
export async function runRemoveSubscriber(cx: Context, spec: CommandSpec, words: readonly string[], given: Given) {
  const request = requestOf(spec, words, given)
  const { flow, who } = request.args as { flow: string; who: string }
  cx.debug.say(titleOf(request))
  await withSession(cx, request, async session => {
    // Afterwards an id leads to nobody.
    const before = cx.settings.quiet ? undefined : await session.look(`GET SUBSCRIBERS ${flow}`)
    await printReply(cx, request, await session.command(request.line))
    const named = (row: Row) => {
      const other = row.get('who') ?? ''
      return isId(who) ? row.get('subscriber') === who : whoMatches(who, other) || domainOf(other) === who
    }
    const on: On = { kind: 'Flow', name: flow }
    for (const one of new Set(
      rowsOf(before?.lines ?? [])
        .filter(named)
        .map(row => row.get('who') ?? ''),
    )) {
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
    await printReply(cx, request, await session.command(request.line))
    const peer = await session.look(`DESCRIBE PEER ${domain}`)
    // Only who has proved itself here has a level.
    if (!peer || peer.lines.some(line => line.startsWith('level='))) return
    const peers = cx.typed('fnua get peers')
    cx.note(
      `${domain} has not been here yet, and has no subscriptions: this holds when it comes. Is it spelt right? ${peers}`,
    )
  })
}
