import { InTurn } from '@fnaa/client'
import { fnapError } from '@fnaa/protocol'
import type { Resource } from '../contract/store.js'
import { iso } from '../resources/clock.js'
import { type Context, ending, flow, type Handler, need, patience, type Words } from './command.js'
import { give } from './grant.js'

function open(cx: Context, id: string): Resource<'Request'> {
  const r = cx.kernel.resources.get('Request', id)
  const f = r && cx.kernel.resources.get('Flow', r.spec.flow)
  if (!r || !f || !cx.kernel.authorizer.mayFlow(cx.subject, 'manage', f))
    throw fnapError('NOTFOUND', 'there is no such request for a flow of yours')
  need(cx, 'manage', flow(cx, r.spec.flow, { alias: false }))
  if (r.spec.decision !== undefined) throw fnapError('CONFLICT', 'the request has been decided already')
  return r
}

/** Of two that decide one request at once, the second finds it decided. */
const decisions = new InTurn()

/** Approval is a Grant to exactly who asked, and a hint to its agent: its next SUBSCRIBE provisions (federation rule 6). */
export const approve: Handler = {
  id: 'APPROVE',
  run: async (cx, command) => {
    const id = (command.args as Words)['id'] as string
    const o = command.options as Words
    const by = cx.subject.principals[0]!
    const decided = await decisions.run(id, async () => {
      const { uid, spec } = open(cx, id)
      const rights = o['rights'] ?? (spec.direction === 'in' ? ['read', 'subscribe'] : ['write'])
      const on = { kind: 'Flow', name: spec.flow } as const
      const gift = { on, to: spec.for, rights, expires: o['expires'], limits: o['limit'], request: id }
      const grant = await give(cx, gift)
      const decision = { approved: true, by, at: iso(cx.kernel.clock.now()) }
      const change = (n: Resource<'Request'>) => ({ spec: { ...n.spec, decision }, status: { ...n.status, grant } })
      await cx.kernel.resources.update('Request', id, change, cx.call, uid)
      return { ...spec, rights }
    })
    const detail = `${decided.rights.join(',')} to ${decided.for}`
    await cx.kernel.audit.write({ what: 'approve', who: by, on: decided.flow, detail })
    cx.kernel.peers.hint(decided.peer, decided.flow, id)
    return `220 OK ${id}`
  },
}

/** A denied request is the owner's end of a pending subscriber; it may ask again in 30 days. */
export const deny: Handler = {
  id: 'DENY',
  run: async (cx, command) => {
    const id = (command.args as Words)['id'] as string
    const reason = ((command.options as Words)['reason'] as string | undefined) ?? 'denied by the owner'
    const by = cx.subject.principals[0]!
    const { spec } = await decisions.run(id, async () => {
      const r = open(cx, id)
      const decision = { approved: false, by, at: iso(cx.kernel.clock.now()), reason }
      await cx.kernel.resources.update('Request', id, n => ({ spec: { ...n.spec, decision } }), ending(cx), r.uid)
      return r
    })
    const s = cx.kernel.resources.get('Subscriber', id)
    if (s) await cx.kernel.provider.revoke(s, { by, reason }, patience(cx))
    await cx.kernel.audit.write({ what: 'deny', who: by, on: spec.flow, detail: spec.for })
    return `220 OK ${id}`
  },
}
