import { fnapError, isId } from '@fnaa/protocol'
import type { Mine } from '../federation/subscriptions.js'
import { aliasName } from '../names/names.js'
import { type Context, flow } from './command.js'

/** May the caller end or steer it: its own, or it feeds a flow that the caller manages? */
export function steers(cx: Context, s: Mine): boolean {
  if (cx.subject.type !== 'user') return false
  if (s.spec.for === cx.subject.principals[0] || cx.kernel.authorizer.isAdministrator(cx.subject)) return true
  const local = cx.kernel.resources.get('Flow', s.spec.local)
  return local !== undefined && cx.kernel.authorizer.mayFlow(cx.subject, 'manage', local)
}

/** Subscriptions by id, by local flow or by source, in this order. */
export function candidates(cx: Context, target: string): Mine[] {
  const { resources } = cx.kernel
  if (isId(target)) {
    const s = resources.get('Subscription', target)
    return s && steers(cx, s) ? [s] : []
  }
  const alias =
    cx.subject.type === 'user'
      ? resources.by('Subscription', 'local', aliasName(cx.subject.principals[0]!, target))
      : []
  if (alias.length > 0) return alias
  const local = resources.by('Subscription', 'local', target).filter(s => steers(cx, s))
  return local.length > 0 ? local : resources.by('Subscription', 'source', target).filter(s => steers(cx, s))
}

/** Exactly one. @throws FnapError NOTFOUND, AMBIGUOUS */
export function one(cx: Context, target: string): Mine {
  const found = candidates(cx, target)
  if (found.length > 1) throw fnapError('AMBIGUOUS', 'several subscriptions fit: give the id')
  if (!found[0]) throw fnapError('NOTFOUND', 'there is no such subscription of yours')
  return found[0]
}

/** The one that feeds a local flow: PAUSE FLOW and its like. */
export function feeding(cx: Context, local: string): Mine {
  const f = flow(cx, local)
  const found = cx.kernel.resources.by('Subscription', 'local', f.name).filter(s => steers(cx, s))
  if (found.length > 1) throw fnapError('AMBIGUOUS', 'several subscriptions feed the flow: give the id')
  if (!found[0]) throw fnapError('NOTFOUND', 'no subscription of yours feeds the flow')
  return found[0]
}
