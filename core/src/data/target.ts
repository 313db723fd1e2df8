import { type CommandFrom, type From, fnapError, parseEndpointName } from '@fnaa/protocol'
import { type Context, flow, need } from '../commands/command.js'
import type { Limits } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import type { Cursor } from './positions.js'

/** What a READ or a WRITE is about, once it is known to be allowed. */
export interface Target {
  /** As the client named it. */
  readonly name: string
  readonly flow: Resource<'Flow'>
  /** Set for a subscriber's endpoint. */
  readonly subscriber?: Resource<'Subscriber'>
  readonly limits: Limits
  /** Where cursors are kept: below caller and flow, so that they are private (verbs). Null: who reads is nobody, and has none. */
  readonly cursors: { readonly owner: string; readonly prefix: string } | null
}

/** Finds and authorises. A session by an issued credential may use its one name only (hardening H3). */
export function target(cx: Context, name: string, right: 'read' | 'write'): Target {
  const { issued } = cx.session
  const endpoint = parseEndpointName(name)
  if (issued) {
    if (issued.scope.name !== name || issued.scope.right !== right) {
      throw fnapError('DENIED', 'this credential is for one endpoint and one direction')
    }
    if (issued.scope.kind !== 'subscriber') return ofFlow(cx, issued.scope.flow ?? issued.scope.name)
  }
  if (!endpoint) {
    const f = need(cx, right, flow(cx, name))
    const limits = cx.kernel.authorizer.limits(cx.subject, f)
    const owner = cx.subject.principals[0]!
    const cursors = cx.subject.type === 'anonymous' ? null : { owner, prefix: `${owner}/${f.uid}` }
    return { name, flow: f, limits, cursors }
  }
  return ofEndpoint(cx, name, endpoint.id, right)
}

/** One of our own processors: the run was authorised when it was planned. */
function ofFlow(cx: Context, name: string): Target {
  const f = cx.kernel.resources.get('Flow', name)
  if (!f || f.deleting !== undefined) throw fnapError('GONE', 'the flow has been deleted')
  const owner = `processor/${cx.session.issued!.scope.key}`
  return { name, flow: f, limits: {}, cursors: { owner, prefix: `${owner}/${f.uid}` } }
}

function ofEndpoint(cx: Context, name: string, id: string, right: 'read' | 'write'): Target {
  const s = cx.kernel.resources.get('Subscriber', id)
  const mine =
    s &&
    `${id}.${s.spec.flow}` === name &&
    (cx.session.issued?.scope.key === s.uid ||
      cx.subject.principals.includes(s.spec.peer) ||
      cx.subject.principals.includes(s.spec.for))
  if (!mine) throw fnapError('NOTFOUND', 'there is no such endpoint here, or it is not yours')
  if (s.spec.desired === 'revoked' || s.spec.desired === 'gone')
    throw fnapError('REVOKED', 'the subscription has ended')
  if ((s.status.mode ?? 'fnap') !== 'fnap')
    throw fnapError('NOTSUPPORTED', 'the endpoint is at its broker: DESCRIBE FLOW says where')
  if (s.status.phase !== 'ready') throw fnapError('BADSTATE', 'the endpoint is not ready: SUBSCRIBE again')
  if ((s.spec.direction === 'in' ? 'read' : 'write') !== right)
    throw fnapError('DENIED', 'the endpoint is for the other direction')
  const f = cx.kernel.resources.get('Flow', s.spec.flow)
  if (!f || f.deleting !== undefined) throw fnapError('GONE', 'the flow has been deleted')
  const owner = `subscriber/${s.uid}`
  return { name, flow: f, subscriber: s, limits: cx.kernel.provider.limits(s), cursors: { owner, prefix: owner } }
}

/** The cursor that FROM names; null where it names none. @throws DENIED where the reader has no cursors */
export function cursorOf(t: Target, from: CommandFrom | undefined): Cursor | null {
  if (from?.at !== 'cursor') return null
  if (!t.cursors)
    throw fnapError('DENIED', 'FROM CURSOR: anonymous readers keep no cursors; say FROM earliest, latest or a time')
  return { owner: t.cursors.owner, key: `${t.cursors.prefix}/${from.label}` }
}

/** The contract's From; a cursor's position is looked up, a new one begins at earliest. @throws DENIED, QUOTA, BADVALUE */
export async function fromOf(cx: Context, t: Target, given: CommandFrom | undefined, follow: boolean): Promise<From> {
  if (given === undefined) return { at: follow ? 'latest' : 'earliest' }
  switch (given.at) {
    case 'cursor': {
      const stranger = cx.subject.type !== 'user' || t.subscriber !== undefined
      const room = () => cx.kernel.room.need(stranger ? 'strangers' : 'cursors', 'new cursors')
      const position = await cx.kernel.positions.open(cursorOf(t, given)!, room, cx.call)
      return position ? { at: 'position', position } : { at: 'earliest' }
    }
    case 'position':
      throw fnapError('BADVALUE', 'FROM POSITION needs FORMAT BATCH')
    case 'time':
      return { at: 'time', time: given.time }
    default:
      return { at: given.at }
  }
}
