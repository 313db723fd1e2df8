import { randomBytes } from 'node:crypto'
import { mintId } from '@fnaa/protocol'
import { isTombstone, type Known } from '../federation/wish.js'
import { type Context, ending, flow, type Handler, need, patience, type Words } from './command.js'
import { removableOf } from './subscriber-of.js'

/** Answers when they are cut. The grant stays: REVOKE it too. Who came by visibility is barred (hardening H7). */
export const removeSubscriber: Handler = {
  id: 'REMOVE SUBSCRIBER',
  run: async (cx, command) => {
    const { flow: name, who } = command.args as Words
    const reason = ((command.options as Words)['reason'] as string | undefined) ?? 'removed by the owner'
    const f = need(cx, 'manage', flow(cx, name, { alias: false }))
    const found = removableOf(cx.kernel, f.name, who)
    const by = cx.subject.principals[0]!
    for (const s of found) if (!isTombstone(s) && !granted(cx, s, f.name)) await bar(cx, s, f.name)
    await Promise.all(found.map(s => cx.kernel.provider.revoke(s, { by, reason }, patience(cx))))
    for (const s of found)
      await cx.kernel.audit.write({ what: 'remove', who: by, on: f.name, detail: `${s.spec.for} ${s.spec.id}` })
    return `220 OK ${who}`
  },
}

const granted = (cx: Context, s: Known, name: string): boolean => {
  const f = cx.kernel.resources.get('Flow', name)!
  return cx.kernel.authorizer.shared(cx.kernel.provider.subjectOf(s), f)
}

async function bar(cx: Context, s: Known, name: string): Promise<void> {
  const own = cx.kernel.config.domains.includes(s.spec.peer)
  const barred = cx.kernel.authorizer.grantsOn('Flow', name).filter(g => g.spec.deny)
  for (const to of own ? [s.spec.for] : [s.spec.peer, `*@${s.spec.peer}`]) {
    if (barred.some(g => g.spec.to === to)) continue
    await cx.kernel.resources.create(
      {
        kind: 'Grant',
        name: mintId(randomBytes(16)),
        spec: { on: { kind: 'Flow', name }, to, rights: [], deny: true },
        finalizers: [],
        status: { conditions: [] },
      },
      ending(cx),
    )
  }
}
