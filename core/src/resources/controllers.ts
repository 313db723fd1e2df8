import type { Resource } from '../contract/store.js'
import { reconcileSubscriber } from '../federation/subscriber-controller.js'
import { reconcileSubscription } from '../federation/subscription-controller.js'
import { reconcileAccess } from '../grants/access-controller.js'
import { reconcileGrant, relimit } from '../grants/grant-controller.js'
import type { Kernel } from '../kernel.js'
import { reconcileFlow } from '../names/flow-controller.js'
import { reconcileNamespace } from '../names/namespace-controller.js'
import { same } from './conditions.js'
import type { KindName, Listener } from './resources.js'

type Reconciler = (k: Kernel, name: string, signal: AbortSignal) => Promise<number | undefined>

/** What looks after each kind; kinds without an entry are only data. */
const RECONCILERS: Partial<Record<KindName, Reconciler>> = {
  Namespace: reconcileNamespace,
  Flow: reconcileFlow,
  Subscription: reconcileSubscription,
  Subscriber: reconcileSubscriber,
  Processor: (k, name, signal) => k.processors.reconcile(name, signal),
  Grant: reconcileGrant,
  Access: reconcileAccess,
}

export async function reconcile(k: Kernel, key: string, signal: AbortSignal): Promise<number | undefined> {
  const slash = key.indexOf('/')
  const run = RECONCILERS[key.slice(0, slash) as KindName]
  return run?.(k, key.slice(slash + 1), signal)
}

/** Every change wakes its controller: urgent where something ends, preempting where the spec is another one. */
export function wake(k: Kernel): Listener {
  return (now, previous, gone) => {
    const key = `${now.kind}/${now.name}`
    if (now.kind === 'Grant' && !same(limitsOf(gone ? now : previous), gone ? undefined : limitsOf(now)))
      relimit(k, (now as Resource<'Grant'>).spec.on)
    if (gone || !(now.kind in RECONCILERS)) {
      if (gone) wakeOwner(k, now)
      // A namespace that is being deleted goes with its last flow.
      if (gone && now.kind === 'Flow') k.queue.add(`Namespace/${(now as Resource<'Flow'>).spec.namespace}`)
      return
    }
    const ends =
      now.deleting !== undefined ||
      ['revoked', 'gone', 'stop'].includes((now.spec as { desired?: string }).desired ?? '')
    const spec = previous !== undefined && previous.generation !== now.generation
    const marked = now.deleting !== undefined && previous?.deleting === undefined
    k.queue.add(key, { urgent: ends, preempt: spec || marked })
    if (now.kind === 'Processor' && previous?.status !== now.status) wakeOwner(k, now)
  }
}

const limitsOf = (g: { readonly spec: object } | undefined) => (g as Resource<'Grant'> | undefined)?.spec.limits

function wakeOwner(k: Kernel, r: { owner?: { kind: string; name: string } }): void {
  if (r.owner) k.queue.add(`${r.owner.kind}/${r.owner.name}`)
}
