import { randomBytes } from 'node:crypto'
import { mintId } from '@fnaa/protocol'
import type { Resource } from '../contract/store.js'
import { isTombstone, type Known } from '../federation/wish.js'
import { type Context, ending, flow, type Handler, need, patience, type Words } from './command.js'
import { stands } from './grant.js'
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
    const cause = { by, reason }
    const signal = patience(cx)
    // Who only asks has come by nothing yet, and may ask again.
    const came = found.filter(s => !isTombstone(s) && s.status.phase !== 'pending')
    const unnamed = came.filter(s => s.spec.for !== f.spec.owner && !granted(cx, s, f))
    if (unnamed.length > 0) await bar(cx, f.name, unnamed)
    const cuts = found.map(s => cx.kernel.provider.revoke(s, cause, signal))
    // Others of a domain that is barred stood on the same visibility.
    if (unnamed.length > 0) cuts.push(cx.kernel.provider.enforce(f.name, cause, { ...cx.call, signal }))
    await Promise.all(cuts)
    for (const s of found)
      await cx.kernel.audit.write({ what: 'remove', who: by, on: f.name, detail: `${s.spec.for} ${s.spec.id}` })
    return `220 OK ${who}`
  },
}

/** Does a grant let it do what it does? */
const granted = (cx: Context, s: Known, f: Resource<'Flow'>): boolean => {
  const right = s.spec.direction === 'out' ? 'write' : 'subscribe'
  return cx.kernel.authorizer.granted(cx.kernel.provider.subjectOf(s), right, f)
}

/** Each once, however many of a domain are removed. */
function bar(cx: Context, name: string, all: readonly Known[]): Promise<void> {
  const { authorizer, config, resources } = cx.kernel
  const on = { kind: 'Flow', name } as const
  const whom = all.flatMap(({ spec }) =>
    config.domains.includes(spec.peer) ? [spec.for] : [spec.peer, `*@${spec.peer}`],
  )
  return authorizer.changing(on, async () => {
    stands(cx, on)
    const barred = authorizer.grantsOn(on.kind, name).filter(g => g.spec.deny)
    for (const to of new Set(whom)) {
      if (barred.some(g => g.spec.to === to)) continue
      const spec = { on, to, rights: [], deny: true }
      const made = {
        kind: 'Grant',
        name: mintId(randomBytes(16)),
        spec,
        finalizers: [],
        status: { conditions: [] },
      } as const
      await resources.create(made, ending(cx))
    }
  })
}
