import type { Kernel } from '../kernel.js'

/** A grant ends at its time, and what stood on it with it (hardening H7). */
export async function reconcileGrant(k: Kernel, name: string, signal: AbortSignal): Promise<number | undefined> {
  const g = k.resources.get('Grant', name)
  if (g?.spec.expires === undefined) return undefined
  const left = Date.parse(g.spec.expires) - k.clock.now()
  if (left > 0) return left
  const c = { signal, reserve: true }
  await k.resources.delete('Grant', name, c, g.uid)
  await k.queue.park(`Grant/${name}`, enforceOn(k, g.spec.on, 'the grant has expired', c))
  return undefined
}

/** Ends what stood on a right that was taken away, on a flow or on all flows of a namespace. */
export async function enforceOn(
  k: Kernel,
  on: { kind: 'Namespace' | 'Flow'; name: string },
  why: string,
  c: { signal: AbortSignal },
): Promise<void> {
  const flows = on.kind === 'Flow' ? [on.name] : k.resources.by('Flow', 'namespace', on.name).map(f => f.name)
  await Promise.all(flows.map(f => k.provider.enforce(f, why, c)))
}
