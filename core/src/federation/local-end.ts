import { type FnapError, fnapError, isFnapError, parseNewName } from '@fnaa/protocol'
import { managedNamespaceOf } from '../commands/command.js'
import type { Call } from '../contract/common.js'
import type { Resource } from '../contract/store.js'
import type { Subject } from '../grants/authorizer.js'
import type { Kernel } from '../kernel.js'
import { isHost } from '../names/names.js'
import { keyOf, type Mine } from './subscriptions.js'

const subjectOf = (s: Mine): Subject => ({ type: 'user', principals: [s.spec.for] })

/** What the user of a subscription lacks at its local flow: events pass only as long as it lacks nothing (hardening H7). */
export function lacking(k: Kernel, s: Mine): FnapError | undefined {
  // An alias is its user's own, and a flow that is not there yet is asked about when it is made.
  const f = s.spec.alias ? undefined : k.resources.get('Flow', s.spec.local)
  const right = s.spec.direction === 'in' ? 'write' : 'read'
  if (!f || k.authorizer.mayFlow(subjectOf(s), right, f)) return undefined
  return fnapError('DENIED', `this needs ${right} on the local flow`)
}

/**
 * May a user make this local flow? Asked before the wish and again when it is made, as an owner may have taken days to agree.
 * @returns the namespace that it lies in
 * @throws FnapError BADNAME, CONFLICT, DENIED, NOTFOUND
 */
export function newLocal(cx: { kernel: Kernel; subject: Subject }, name: string): Resource<'Namespace'> {
  parseNewName(name, 'LOCAL')
  if (isHost(cx.kernel, name)) throw fnapError('CONFLICT', 'LOCAL is the name of an agent')
  const ns = managedNamespaceOf(cx, name, 'LOCAL')
  if (cx.kernel.resources.get('Namespace', name)) throw fnapError('CONFLICT', 'LOCAL is the name of a namespace')
  return ns
}

/** The same, for the user of a subscription. An alias lies in no namespace. */
export const namespaceForLocal = (k: Kernel, s: Mine): Resource<'Namespace'> | undefined =>
  s.spec.alias ? undefined : newLocal({ kernel: k, subject: subjectOf(s) }, s.spec.local)

/** Nothing moves any more, and the status says what is in the way. @throws the error where it is no answer of FNAP */
export async function failLocally(k: Kernel, s: Mine, e: unknown, c: Call): Promise<undefined> {
  if (!isFnapError(e)) throw e
  await k.queue.park(keyOf(s), k.processors.remove(s.name, c))
  const error = `${e.symbol} ${e.sentence}`
  await k.resources.update(
    'Subscription',
    s.name,
    n => ({ status: { ...n.status, phase: 'failed', error, agreed: n.spec.wish } }),
    c,
    s.uid,
  )
  return undefined
}

const OVER: ReadonlySet<string> = new Set(['failed', 'revoked', 'stopped'])

/**
 * Ends what a user of ours no longer may at a flow, and takes up again what failed for want of a right that is back. Resolves
 * when nothing of it moves. @throws FnapError TIMEOUT
 */
export async function enforceLocal(k: Kernel, flow: string, c: Call): Promise<void> {
  takeUpLocal(k, flow)
  const doomed = k.resources.by('Subscription', 'local', flow).filter(s => lacking(k, s))
  await Promise.all(doomed.map(s => cut(k, s, c)))
}

async function cut(k: Kernel, s: Mine, c: Call): Promise<void> {
  k.queue.add(keyOf(s), { urgent: true, preempt: true })
  const over = (n: Mine | undefined) => (!n || n.deleting !== undefined || OVER.has(n.status.phase) ? true : undefined)
  if (!(await k.resources.until('Subscription', s.name, over, c.signal)))
    throw fnapError('TIMEOUT', `${s.name} the work goes on`)
  await k.processors.remove(s.name, { ...c, reserve: true })
}

/** A right was given: what failed for want of one is asked for again. */
export function takeUpLocal(k: Kernel, flow: string): void {
  for (const s of k.resources.by('Subscription', 'local', flow)) {
    if (s.status.phase !== 'failed' || !s.status.error?.startsWith('DENIED') || lacking(k, s)) continue
    k.subscriptions.markDue(s.name)
    k.queue.add(keyOf(s))
  }
}
