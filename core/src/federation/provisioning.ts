import { batchOf, markerBatch } from '@fnaa/protocol'
import type { Endpoint } from '../contract/broker.js'
import type { Call } from '../contract/common.js'
import type { Resource } from '../contract/store.js'
import type { Broker } from '../data/brokers.js'
import type { Kernel } from '../kernel.js'
import { feed } from '../processors/feeds.js'
import { same } from '../resources/conditions.js'
import { step } from '../resources/steps.js'
import { fnapEndpoint } from './agreement.js'
import { limitsAt } from './serving.js'
import { isTombstone, type Known } from './wish.js'

const endpointName = (s: Known): string => `${s.spec.id}.${s.spec.flow}`

/** Makes what a subscriber reads (or writes), with a credential of its own; each step may be taken again. */
export async function endpointFor(k: Kernel, s: Known, flow: Resource<'Flow'>, c: Call): Promise<Endpoint> {
  const right = s.spec.direction === 'in' ? 'read' : 'write'
  if ((s.status.mode ?? 'fnap') === 'fnap') {
    await k.issued.ensure({ kind: 'subscriber', key: s.uid, name: endpointName(s), right }, c)
    step('subscriber.issued')
    return fnapEndpoint(k, endpointName(s), false)
  }
  // It came through the agent before, perhaps: not any more, and its position stands still.
  await k.issued.revoke(s.uid, c)
  const queue = s.status.mode === 'copy' ? await copyQueue(k, s, flow, c) : flow.status.queue
  if (queue === undefined) throw new Error(`flow ${flow.name} has no queue yet`)
  const { principal } = s.spec
  const request = {
    queue,
    rights: [right] as const,
    ...(principal === undefined ? {} : { principal }),
    ...limitsAt(k.brokers.of(flow), k.provider.limits(s)),
  }
  const opt = { turn: s.spec.rotated ?? 0, overlapMs: k.periods.rotation * 1000 }
  const { endpoint } = await k.access.grant(s.uid, k.brokers.of(flow), request, opt, c)
  step('subscriber.issued')
  if (s.status.mode === 'copy') await fed(k, s, flow, c)
  return endpoint
}

/** The copy's queue, like the source's. Exists is not success: that there was none is written down before one is made. */
async function copyQueue(k: Kernel, s: Known, flow: Resource<'Flow'>, c: Call): Promise<string> {
  const broker = k.brokers.of(flow)
  const { service } = broker
  const queue = service.queueFor(endpointName(s))
  const source = await service.describeQueue(flow.status.queue!, c)
  if (!source) throw new Error(`the queue of ${flow.name} is gone`)
  const { epoch: _its, ...spec } = source
  const there = await service.describeQueue(queue, c)
  const note = (copied?: typeof spec) =>
    k.resources.update(
      'Subscriber',
      s.name,
      n => (isTombstone(n) ? undefined : { status: { ...n.status, queue, ...(copied ? { copied } : {}) } }),
      c,
      s.uid,
    )
  if (there && s.status.queue === undefined) throw new Error(`there is a queue ${queue} already, which is not ours`)
  if (!there) {
    if (s.status.copied) k.log.error({ subscriber: s.name, queue }, 'a copy has gone: made anew, what it held is lost')
    await note()
    step('subscriber.queue-absent')
    await service.createQueue(queue, spec, c)
    step('subscriber.queue-made')
    await mark(k, s, broker, queue, c)
  } else if (!s.status.copied) await mark(k, s, broker, queue, c)
  else if (!same(s.status.copied, spec)) await service.updateQueue(queue, spec, c)
  await note(spec)
  return queue
}

/** Rule 12: what the subscriber reads first, and drops, stands in the copy before anything is fed. A second one is dropped as well. */
async function mark(k: Kernel, s: Known, broker: Broker, queue: string, c: Call): Promise<void> {
  const wire = await k.brokers.openQueue(broker, queue, c)
  try {
    const sink = await wire.sink({ writer: `marker-${s.uid}`, epoch: 0 }, c)
    await sink.write(batchOf({ shard: '0', last: '', bytes: markerBatch(s.spec.id, k.clock.now()) }), {}, c)
    await sink.close()
  } finally {
    await wire.close()
  }
  step('subscriber.marked')
}

/** Its feed is on: what comes into the flow from now on comes into the copy. */
async function fed(k: Kernel, s: Known, flow: Resource<'Flow'>, c: Call): Promise<void> {
  await k.queue.park(`Subscriber/${s.name}`, feed(k, flow, c))
  step('subscriber.fed')
}

/**
 * The feed goes off, the place in the source stays. A reader at the source itself is shut out; a copy may be read to its end,
 * where the reader is still who it was.
 * @returns milliseconds after which it has to be done once more; else nothing
 */
export async function restEndpoint(k: Kernel, s: Known, shut: boolean, c: Call): Promise<number | undefined> {
  const flow = k.resources.get('Flow', s.spec.flow)
  const { mode } = s.status
  try {
    return mode === 'direct' || (shut && mode === 'copy') ? await k.access.revoke(s.uid, c) : undefined
  } finally {
    // A broker that does not take the login away is no reason to go on feeding.
    if (mode === 'copy' && flow) await k.queue.park(`Subscriber/${s.name}`, feed(k, flow, c))
  }
}

/**
 * Takes it away: access first, then the feed, then the queue. @param done is told what is over
 * @returns milliseconds after which it has to be done once more; else nothing
 */
export async function unmakeEndpoint(
  k: Kernel,
  s: Known,
  done: (what: 'access' | 'feed' | 'queue') => void,
  c: Call,
): Promise<number | undefined> {
  const mode = s.status.mode ?? 'fnap'
  const again = await k.access.revoke(s.uid, c)
  if (mode !== 'fnap' && again === undefined) done('access')
  step('subscriber.cut-access')
  if (mode !== 'copy') return again
  const flow = k.resources.get('Flow', s.spec.flow)
  if (flow) await k.queue.park(`Subscriber/${s.name}`, feed(k, flow, c))
  done('feed')
  step('subscriber.cut-feed')
  if (flow && s.status.queue !== undefined) await k.brokers.of(flow).service.deleteQueue(s.status.queue, c)
  if (again === undefined) done('queue')
  step('subscriber.cut-queue')
  return again
}
