import type { Call } from '../contract/common.js'
import type { Resource } from '../contract/store.js'
import { limitsAt } from '../federation/serving.js'
import type { Kernel } from '../kernel.js'
import { iso } from '../resources/clock.js'
import { withCondition } from '../resources/conditions.js'
import { step } from '../resources/steps.js'

type Access = Resource<'Access'>

/** A user's own application at the broker: a login of its own as long as the user has the right (ACCESS FLOW). */
export async function reconcileAccess(k: Kernel, name: string, signal: AbortSignal): Promise<number | undefined> {
  const a = k.resources.get('Access', name)
  if (!a) return undefined
  const c = { signal, reserve: true }
  if (a.deleting !== undefined) return cut(k, a, c)
  const f = k.resources.get('Flow', a.spec.flow)
  if (!f || !stands(k, a, f)) {
    await k.resources.delete('Access', name, c, a.uid)
    return undefined
  }
  if (f.status.queue === undefined) throw new Error(`flow ${f.name} has no queue yet`)
  const broker = k.brokers.of(f)
  const limits = limitsAt(broker, k.authorizer.limits(subject(a), f))
  const request = { queue: f.status.queue, rights: [a.spec.right], ...limits }
  const opt = { turn: a.spec.turn, overlapMs: k.periods.rotation * 1000 }
  const { endpoint } = await k.access.grant(a.uid, broker, request, opt, c)
  const ready = { type: 'Ready', status: 'True' as const, reason: 'Granted', generation: a.generation }
  await k.resources.update(
    'Access',
    name,
    n => ({ status: withCondition({ ...n.status, endpoint }, { ...ready, since: iso(k.clock.now()) }) }),
    c,
    a.uid,
  )
  step('access.ready')
  return undefined
}

/** Taking it away at the broker is what ends its open connections. */
async function cut(k: Kernel, a: Access, c: Call): Promise<number | undefined> {
  const again = await k.access.revoke(a.uid, c)
  if (again !== undefined) return again
  step('access.cut')
  const at = iso(k.clock.now())
  await k.audit.write({
    what: 'cut',
    who: k.config.host,
    on: a.spec.flow,
    detail: `access ${a.spec.label} of ${a.spec.who} at ${at}`,
  })
  await k.resources.update('Access', a.name, () => ({ finalizers: [] }), c, a.uid)
  return undefined
}

const subject = (a: Access) => ({ type: 'user' as const, principals: [a.spec.who] })

function stands(k: Kernel, a: Access, f: Resource<'Flow'>): boolean {
  return f.deleting === undefined && k.authorizer.mayFlow(subject(a), a.spec.right, f)
}

/** Ends the accesses whose right is no longer there. Resolves when they are cut. */
export async function enforceAccess(k: Kernel, flow: string, c: Call): Promise<void> {
  const f = k.resources.get('Flow', flow)
  const doomed = k.resources.by('Access', 'flow', flow).filter(a => !f || !stands(k, a, f))
  await Promise.all(doomed.map(a => endAccess(k, a, c)))
}

/** Resolves when it is cut. @returns false where the signal aborts first */
export async function endAccess(k: Kernel, a: Access, c: Call): Promise<boolean> {
  await k.resources.delete('Access', a.name, { ...c, reserve: true }, a.uid)
  const gone = (n: Access | undefined) => (n && n.uid === a.uid ? undefined : true)
  return (await k.resources.until('Access', a.name, gone, c.signal)) ?? false
}
