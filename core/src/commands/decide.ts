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

/** Approval is a Grant to exactly who asked, and a hint to its agent: its next SUBSCRIBE provisions (federation rule 6). */
export const approve: Handler = {
  id: 'APPROVE',
  run: async (cx, command) => {
    const id = (command.args as Words)['id'] as string
    const o = command.options as Words
    const r = open(cx, id)
    const by = cx.subject.principals[0]!
    const rights = o['rights'] ?? (r.spec.direction === 'in' ? ['read', 'subscribe'] : ['write'])
    const grant = await give(cx, {
      on: { kind: 'Flow', name: r.spec.flow },
      to: r.spec.for,
      rights,
      expires: o['expires'],
      limits: o['limit'],
      request: r.name,
    })
    const decision = { approved: true, by, at: iso(cx.kernel.clock.now()) }
    await cx.kernel.resources.update(
      'Request',
      id,
      n => ({ spec: { ...n.spec, decision }, status: { ...n.status, grant } }),
      cx.call,
      r.uid,
    )
    await cx.kernel.audit.write({
      what: 'approve',
      who: by,
      on: r.spec.flow,
      detail: `${rights.join(',')} to ${r.spec.for}`,
    })
    cx.kernel.peers.hint(r.spec.peer, r.spec.flow, id)
    return `220 OK ${id}`
  },
}

/** A denied request is the owner's end of a pending subscriber; it may ask again in 30 days. */
export const deny: Handler = {
  id: 'DENY',
  run: async (cx, command) => {
    const id = (command.args as Words)['id'] as string
    const reason = ((command.options as Words)['reason'] as string | undefined) ?? 'denied by the owner'
    const r = open(cx, id)
    const by = cx.subject.principals[0]!
    const decision = { approved: false, by, at: iso(cx.kernel.clock.now()), reason }
    await cx.kernel.resources.update('Request', id, n => ({ spec: { ...n.spec, decision } }), ending(cx), r.uid)
    const s = cx.kernel.resources.get('Subscriber', id)
    if (s) await cx.kernel.provider.revoke(s, { by, reason }, patience(cx))
    await cx.kernel.audit.write({ what: 'deny', who: by, on: r.spec.flow, detail: r.spec.for })
    return `220 OK ${id}`
  },
}
