import type { On } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import { takeUpLocal } from '../federation/local-end.js'
import type { Kernel } from '../kernel.js'

/** A grant ends at its time, and what stood on it with it (hardening H7). */
export async function reconcileGrant(k: Kernel, name: string, signal: AbortSignal): Promise<number | undefined> {
  const g = k.resources.get('Grant', name)
  if (g?.spec.expires === undefined) return undefined
  const c = { signal, reserve: true }
  // A GRANT that comes at this moment may have moved its end.
  const left = await k.authorizer.changing(g.spec.on, async () => {
    const { expires } = k.resources.get('Grant', name)?.spec ?? {}
    if (expires === undefined) return undefined
    const ms = Date.parse(expires) - k.clock.now()
    if (ms <= 0) await k.resources.delete('Grant', name, c, g.uid)
    return ms
  })
  if (left === undefined || left > 0) return left
  await k.queue.park(
    `Grant/${name}`,
    enforceOn(k, g.spec.on, { by: k.config.host, reason: 'the grant has expired' }, c),
  )
  return undefined
}

/** What is granted on a thing goes with it, bars too. */
export function deleteGrants(k: Kernel, on: On, c: Call): Promise<void> {
  return k.authorizer.changing(on, async () => {
    for (const g of k.authorizer.grantsOn(on.kind, on.name)) await k.resources.delete('Grant', g.name, c)
  })
}

/** Whoever reads at the broker itself by it is held to what holds now. */
export function relimit(k: Kernel, on: { kind: 'Namespace' | 'Flow'; name: string }): void {
  const { resources, queue } = k
  for (const flow of flowsOf(k, on)) {
    for (const s of resources.by('Subscriber', 'flow', flow))
      if (s.status.mode === 'copy' || s.status.mode === 'direct') queue.add(`Subscriber/${s.name}`)
    for (const a of resources.by('Access', 'flow', flow)) queue.add(`Access/${a.name}`)
  }
}

/** A right was given: what failed for want of it is taken up again. */
export function takeUp(k: Kernel, on: { kind: 'Namespace' | 'Flow'; name: string }): void {
  for (const flow of flowsOf(k, on)) takeUpLocal(k, flow)
}

/** The flows that a grant on it reaches. */
export const flowsOf = (k: Kernel, on: { kind: 'Namespace' | 'Flow'; name: string }): string[] =>
  on.kind === 'Flow' ? [on.name] : k.resources.by('Flow', 'namespace', on.name).map(f => f.name)

/** Ends what stood on a right that was taken away, on a flow or on all flows of a namespace. */
export async function enforceOn(
  k: Kernel,
  on: { kind: 'Namespace' | 'Flow'; name: string },
  cause: { by: string; reason: string },
  c: { signal: AbortSignal },
): Promise<void> {
  await Promise.all(flowsOf(k, on).map(f => k.provider.enforce(f, cause, c)))
}
