import type { Call } from '../contract/common.js'
import { isFna } from '../contract/errors.js'
import type { FlowStatus } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import type { Broker } from '../data/brokers.js'
import { isTombstone } from '../federation/wish.js'
import { deleteGrants } from '../grants/grant-controller.js'
import type { Kernel } from '../kernel.js'
import { iso } from '../resources/clock.js'
import { isTrue, withCondition } from '../resources/conditions.js'
import { step } from '../resources/steps.js'
import { isAlias, queueName } from './names.js'

type F = Resource<'Flow'>

/** A flow's queue, then its names; each step may be taken again after a crash. */
export async function reconcileFlow(k: Kernel, name: string, signal: AbortSignal): Promise<number | undefined> {
  const f = k.resources.get('Flow', name)
  if (!f) return undefined
  const c = { signal, reserve: true }
  const broker = k.brokers.of(f)
  if (f.deleting !== undefined) return remove(k, f, broker, c)
  // Names of flows lead to the agent: when it is elsewhere, they are written anew.
  const elsewhere = isNamed(f) && f.status.place !== k.registrar.place
  if (isTrue(f.status, 'Ready', f.generation) && !elsewhere) return undefined
  const queue = f.spec.adopt ?? broker.service.queueFor(queueName(name))
  const made = await queueOf(k, f, broker, queue, c).catch(async e => {
    // Tried again all the same: an operator may give the right, or change the limit.
    if (REFUSED.some(code => isFna(e, code))) await report(k, f, 'False', 'QueueRefused', {}, c)
    throw e
  })
  if (typeof made === 'string') return report(k, f, 'False', made, {}, c)
  const now = k.resources.get('Flow', name) ?? f
  const { place } = k.registrar
  let dns: FlowStatus['dns']
  try {
    dns = await names(k, { ...f, status: { ...now.status, queue } }, broker, c)
  } catch (e) {
    const reason = unnamed(e)
    await report(k, f, 'False', reason, { queue, epoch: made.epoch }, c)
    // Somebody else's name does not go away by asking again.
    if (reason === 'NameExists') return undefined
    throw e
  }
  step('flow.create.named')
  await report(k, f, 'True', 'Ready', { queue, epoch: made.epoch, dns, place }, c)
  step('flow.create.ready')
  for (const s of k.resources.by('Subscription', 'local', name)) k.queue.add(`Subscription/${s.name}`)
  // Copies are like their source.
  for (const s of k.resources.by('Subscriber', 'flow', name))
    if (s.status.mode === 'copy') k.queue.add(`Subscriber/${s.name}`)
  return undefined
}

const REFUSED = ['FNA_ERR_DENIED', 'FNA_ERR_INVALID', 'FNA_ERR_UNSUPPORTED', 'FNA_ERR_TOO_LARGE'] as const

/** The queue as it is wanted; or the reason why it cannot be. */
async function queueOf(k: Kernel, f: F, broker: Broker, queue: string, c: Call): Promise<{ epoch: string } | string> {
  const refusal = await ensureQueue(k, f, broker, queue, c)
  if (refusal !== undefined) return refusal
  const described = await broker.service.describeQueue(queue, c)
  if (!described) throw new Error(`the queue of ${f.name} is gone right after it was made`)
  if (f.generation > 1) await broker.service.updateQueue(queue, f.spec.queue, c)
  return described
}

/**
 * Exists is not success: that there was no such queue is written down before one is made; what is there afterwards is ours,
 * what was there before is not.
 * @returns the reason why the flow cannot be
 */
async function ensureQueue(k: Kernel, f: F, broker: Broker, queue: string, c: Call): Promise<string | undefined> {
  const there = await broker.service.describeQueue(queue, c)
  if (f.spec.adopt !== undefined) return there ? undefined : 'QueueAbsent'
  if (there) return f.status.absentSeen ? undefined : 'QueueExists'
  if (f.status.epoch !== undefined)
    k.log.error({ flow: f.name, queue }, 'the queue of a flow has gone: made anew, its events are lost')
  await k.resources.update('Flow', f.name, n => ({ status: { ...n.status, absentSeen: true, queue } }), c, f.uid)
  step('flow.create.absent-seen')
  await broker.service.createQueue(queue, f.spec.queue, c)
  step('flow.create.queue-made')
  return undefined
}

/** @returns what stands in DNS now */
async function names(k: Kernel, f: F, broker: Broker, c: Call): Promise<NonNullable<FlowStatus['dns']>> {
  if (isAlias(f.name) || f.spec.namespace === '') return 'none'
  if (!k.registrar.serviceFor(f.name)) return 'none'
  if (f.spec.visibility === 'private') {
    await forget(k, f, c)
    await k.registrar.shorten(f.spec.namespace, listed(k, f.spec.namespace), c)
    return 'private'
  }
  // Written down first: who deletes it, or makes it private, before the next line of its status takes the names away all the same.
  if (f.status.dns !== 'registered')
    await k.resources.update('Flow', f.name, n => ({ status: { ...n.status, dns: 'registering' } }), c, f.uid)
  step('flow.create.naming')
  await k.registrar.flow(f, broker, c)
  await k.registrar.listing(f.spec.namespace, listed(k, f.spec.namespace, f), c)
  return 'registered'
}

/** May something of it stand in DNS? */
const isNamed = (f: F): boolean => f.status.dns === 'registered' || f.status.dns === 'registering'

/** What somebody else has made there is none of our names, and then none of them was made. */
async function forget(k: Kernel, f: F, c: Call): Promise<void> {
  if (!isNamed(f)) return
  await k.registrar.forget(f.name, c, f.spec.namespace).catch(e => {
    if (f.status.dns === 'registered' || !isFna(e, 'FNA_ERR_EXISTS')) throw e
  })
}

/** Why a flow has no names: for the condition, and for who waits. */
function unnamed(e: unknown): 'NameExists' | 'NameServerRefuses' | 'NameServerUnavailable' {
  if (isFna(e, 'FNA_ERR_EXISTS')) return 'NameExists'
  return isFna(e, 'FNA_ERR_CONFIG') ? 'NameServerRefuses' : 'NameServerUnavailable'
}

/** The public flows of a namespace, in order; `f` as it is meant to be. */
function listed(k: Kernel, namespace: string, f?: F): string[] {
  const all = k.resources.by('Flow', 'namespace', namespace).filter(x => x.name !== f?.name)
  const open = [...all, ...(f ? [f] : [])].filter(x => x.spec.visibility === 'public' && x.deleting === undefined)
  return open.map(x => x.name).sort()
}

/** DELETE FLOW: subscribers first (410 GONE), then names, then the queue. */
async function remove(k: Kernel, f: F, broker: Broker, c: Call): Promise<number | undefined> {
  const live = k.resources.by('Subscriber', 'flow', f.name).filter(s => !isTombstone(s))
  const cause = { by: f.spec.owner, reason: 'the flow was deleted' }
  const cuts = live.map(s => k.provider.revoke(s, cause, c.signal, 'gone'))
  await k.queue.park(`Flow/${f.name}`, Promise.all(cuts))
  await k.queue.park(
    `Flow/${f.name}`,
    k.provider.enforce(f.name, { by: k.config.host, reason: 'the flow was deleted' }, c),
  )
  step('flow.delete.subscribers-cut')
  await forget(k, f, c)
  // What was registered counts: made private while the name server was away, it is listed still.
  const mayBeListed = f.spec.visibility === 'public' || isNamed(f)
  if (f.spec.namespace !== '' && mayBeListed)
    await k.registrar.shorten(f.spec.namespace, listed(k, f.spec.namespace), c)
  step('flow.delete.unnamed')
  const queue = f.status.queue
  const ours = f.spec.adopt === undefined && f.status.absentSeen === true
  if (queue !== undefined && ours && f.spec.onDelete === 'delete') await broker.service.deleteQueue(queue, c)
  step('flow.delete.queue-gone')
  await deleteGrants(k, { kind: 'Flow', name: f.name }, c)
  for (const r of k.resources.by('Request', 'flow', f.name)) await k.resources.delete('Request', r.name, c)
  await k.resources.update('Flow', f.name, () => ({ finalizers: [] }), c, f.uid)
  step('flow.delete.gone')
  return undefined
}

async function report(
  k: Kernel,
  f: F,
  status: 'True' | 'False',
  reason: string,
  more: Partial<FlowStatus>,
  c: Call,
): Promise<undefined> {
  const ready = { type: 'Ready', status, reason, generation: f.generation, since: iso(k.clock.now()) }
  await k.resources.update('Flow', f.name, n => ({ status: withCondition({ ...n.status, ...more }, ready) }), c, f.uid)
}
