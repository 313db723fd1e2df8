import type { Call } from '../contract/common.js'
import { isFna } from '../contract/errors.js'
import type { NamespaceStatus } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import { deleteGrants } from '../grants/grant-controller.js'
import type { Kernel } from '../kernel.js'
import { iso } from '../resources/clock.js'
import { isTrue, withCondition } from '../resources/conditions.js'
import { step } from '../resources/steps.js'
import { delegate, isUnread, takeBack, ZoneUnreached, ZoneUnsigned } from './delegation.js'
import { domainOf } from './names.js'

type N = Resource<'Namespace'>

/** Puts every namespace of this agent into DNS: how it is found, whose domain it must prove, and the zone that it is where it is one. */
export async function reconcileNamespace(k: Kernel, name: string, signal: AbortSignal): Promise<undefined> {
  const n = k.resources.get('Namespace', name)
  if (!n) return undefined
  const c = { signal, reserve: true }
  if (n.deleting !== undefined) return remove(k, n, c)
  const ready = isTrue(n.status, 'Ready', n.generation)
  if (!ready && n.spec.delegated && isUnread(n)) {
    try {
      await delegate(k, n, c)
    } catch (e) {
      await report(k, n, 'False', reasonOf(e), c, sentence(e))
      throw e
    }
  }
  const domain = domainOf(k.config.domains, name)
  // What lies in a zone of another agent is that one's to write.
  if (domain !== undefined && n.spec.agent === undefined) await k.registrar.agentNames([{ name, domain }], c)
  if (!ready) await report(k, n, 'True', 'Ready', c)
  return undefined
}

async function remove(k: Kernel, n: N, c: Call): Promise<undefined> {
  if (k.resources.by('Flow', 'namespace', n.name).length > 0) return undefined
  if (n.spec.delegated) {
    try {
      await takeBack(k, n, c)
    } catch (e) {
      await report(k, n, 'False', reasonOf(e), c, sentence(e))
      throw e
    }
  }
  step('namespace.delete.undelegated')
  if (n.spec.agent === undefined) await k.registrar.forgetNamespace(n.name, c)
  await deleteGrants(k, { kind: 'Namespace', name: n.name }, c)
  await k.resources.update('Namespace', n.name, () => ({ finalizers: [] }), c, n.uid)
  return undefined
}

/** Why a zone is not delegated: for the condition, and for who waits. */
function reasonOf(e: unknown): string {
  if (e instanceof ZoneUnreached) return 'ZoneUnreached'
  if (e instanceof ZoneUnsigned) return 'ZoneUnsigned'
  if (isFna(e, 'FNA_ERR_NOTFOUND')) return 'ZoneAbsent'
  if (isFna(e, 'FNA_ERR_INVALID')) return 'ZoneInvalid'
  if (isFna(e, 'FNA_ERR_ADDRESS')) return 'ZoneAddress'
  if (isFna(e, 'FNA_ERR_EXISTS')) return 'NameExists'
  if (isFna(e, 'FNA_ERR_UNSUPPORTED')) return 'CannotDelegate'
  if (isFna(e, 'FNA_ERR_CONFIG')) return 'NameServerRefuses'
  return 'NameServerUnavailable'
}

const sentence = (e: unknown): string => (e instanceof Error ? e.message : String(e))

async function report(
  k: Kernel,
  n: N,
  status: 'True' | 'False',
  reason: string,
  c: Call,
  message?: string,
): Promise<void> {
  const ready = { type: 'Ready', status, reason, generation: n.generation, since: iso(k.clock.now()) }
  const condition = message === undefined ? ready : { ...ready, message }
  await k.resources.update(
    'Namespace',
    n.name,
    now => ({ status: withCondition<NamespaceStatus>(now.status, condition) }),
    c,
    n.uid,
  )
}
