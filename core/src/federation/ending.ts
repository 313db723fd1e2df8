import { signalAfter } from '@fnaa/client'
import { fnapError, formatCommand, isFnapError } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import type { Kernel } from '../kernel.js'
import { domainOf, namespaceOf } from '../names/names.js'
import { forgetReader } from '../processors/reader-place.js'
import { step } from '../resources/steps.js'
import { keyOf, type Mine } from './subscriptions.js'

/** UNSUBSCRIBE: our processor first, then the provider, which ends it under any GEN; the local flow stays. */
export async function teardown(k: Kernel, s: Mine, c: Call): Promise<number | undefined> {
  await k.queue.park(keyOf(s), k.processors.remove(s.name, c))
  step('unsubscribe.processor-gone')
  if (s.status.phase !== 'revoked') await tellEnd(k, s, c)
  step('unsubscribe.told')
  await k.secrets.delete(`subscription/${s.uid}`, {}, c)
  await forgetReader(k, s, c)
  if (s.spec.alias) await k.resources.delete('Flow', s.spec.local, c)
  await k.resources.update('Subscription', s.name, () => ({ finalizers: [] }), c, s.uid)
  step('unsubscribe.gone')
  return undefined
}

async function tellEnd(k: Kernel, s: Mine, c: Call): Promise<void> {
  const own = namespaceOf(k.resources, s.spec.source)
  const signal = signalAfter(30_000, c.signal)
  if (own) {
    // Refused from the start: there is nobody to tell, and no tombstone to leave.
    if (s.status.phase === 'failed' && !k.resources.get('Subscriber', s.name)) return
    const peer = domainOf(k.config.domains, own.spec.zone) ?? k.config.domains[0]!
    return k.queue.park(keyOf(s), k.provider.end({ peer, flow: s.spec.source, id: s.name }, signal))
  }
  // Nobody was asked yet, or whoever was has refused.
  if (s.status.phase === 'resolving' || (s.status.phase === 'failed' && s.status.peer === undefined)) return
  // No word passes between us and a blocked domain, or one that may be another's: what it holds ends with its lease.
  if (s.status.peer !== undefined && (k.peers.blocked(s.status.peer) || k.pins.suspended(s.status.peer))) return
  const place = await k.queue.park(keyOf(s), k.peers.find(s.spec.source, c)).catch(e => {
    if (isFnapError(e) && e.symbol === 'NOTFOUND') return null // the namespace is no more: nobody to tell
    throw e
  })
  if (!place || (s.status.peer !== undefined && place.domain !== s.status.peer)) return
  const line = formatCommand('UNSUBSCRIBE', { flow: s.spec.source }, { id: s.name, gen: s.spec.wish })
  const reply = await k.queue.park(keyOf(s), k.peers.request(place, line, c))
  if (reply.kind === 'error' && reply.temporary) throw fnapError('REMOTE', 'the agent of that flow could not be told')
}
