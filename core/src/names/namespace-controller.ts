import type { Kernel } from '../kernel.js'
import { iso } from '../resources/clock.js'
import { isTrue, withCondition } from '../resources/conditions.js'
import { domainOf } from './names.js'

/** Puts every namespace of this agent into DNS: how it is found, and whose domain it must prove. */
export async function reconcileNamespace(k: Kernel, name: string, signal: AbortSignal): Promise<undefined> {
  const n = k.resources.get('Namespace', name)
  if (!n) return undefined
  const c = { signal, reserve: true }
  const domain = domainOf(k.config.domains, name)
  if (n.deleting !== undefined) {
    if (k.resources.by('Flow', 'namespace', name).length > 0) return undefined
    await k.registrar.forgetNamespace(name, c)
    for (const g of k.authorizer.grantsOn('Namespace', name)) await k.resources.delete('Grant', g.name, c)
    await k.resources.update('Namespace', name, () => ({ finalizers: [] }), c, n.uid)
    return undefined
  }
  if (domain !== undefined) await k.registrar.agentNames([{ name, domain }], c)
  if (isTrue(n.status, 'Ready', n.generation)) return undefined
  const ready = {
    type: 'Ready',
    status: 'True' as const,
    reason: 'Ready',
    generation: n.generation,
    since: iso(k.clock.now()),
  }
  await k.resources.update('Namespace', name, now => ({ status: withCondition(now.status, ready) }), c, n.uid)
  return undefined
}
