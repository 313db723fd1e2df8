import { type Position, parseEndpointName } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import { isFna } from '../contract/errors.js'
import type { Resource } from '../contract/store.js'
import type { Kernel } from '../kernel.js'
import { iso } from '../resources/clock.js'
import { condition, same, withCondition } from '../resources/conditions.js'
import { step } from '../resources/steps.js'
import { endpointFor, restEndpoint, unmakeEndpoint } from './provisioning.js'
import { isTombstone, type Known } from './wish.js'

/** Makes the world match a Subscriber: endpoint, credential, position, names; or cuts it off, in the order of rule 14. */
export async function reconcileSubscriber(k: Kernel, id: string, signal: AbortSignal): Promise<number | undefined> {
  const s = k.resources.get('Subscriber', id)
  if (!s) return undefined
  const c = { signal, reserve: true }
  if (isTombstone(s)) return cut(k, s, c)
  const flow = k.resources.get('Flow', s.spec.flow)
  if (!flow || flow.deleting !== undefined) return condemn(k, s, 'gone', 'the flow was deleted', c)
  if (s.status.phase === 'pending') return undefined
  if (!k.provider.may(s, flow)) return condemn(k, s, 'revoked', 'the right has ended', c)
  if (k.pins.suspended(s.spec.peer)) return held(k, s, c)
  if (s.spec.desired === 'stop') return rest(k, s, 'Stopped', c)
  const now = k.clock.now()
  const lease = s.status.leaseUntil === undefined ? undefined : Date.parse(s.status.leaseUntil)
  if (s.status.phase !== 'preparing' && lease !== undefined && lease <= now) return lapsed(k, s, lease, c)
  if (s.status.phase === 'stopped') return lease === undefined ? undefined : lease + k.periods.grace * 1000 - now
  await provision(k, s, flow, c)
  return k.periods.lease * 1000
}

/** Rule 4: first the feed goes off, then, a month later, it ends. */
async function lapsed(k: Kernel, s: Known, lease: number, c: Call): Promise<number | undefined> {
  const over = lease + k.periods.grace * 1000 - k.clock.now()
  if (over <= 0) return condemn(k, s, 'gone', 'the lease ended', c)
  return (await rest(k, s, 'LeaseEnded', c)) ?? over
}

/** Hardening H8: everything rests, a copy too, until the owner has looked at it or the lease is over. */
async function held(k: Kernel, s: Known, c: Call): Promise<number | undefined> {
  if (condition(s.status, 'Ready')?.reason !== 'Suspended') return rest(k, s, 'Suspended', c)
  if (s.status.leaseUntil === undefined) return undefined
  const over = Date.parse(s.status.leaseUntil) + k.periods.grace * 1000 - k.clock.now()
  return over > 0 ? over : condemn(k, s, 'gone', 'the lease ended', c)
}

/**
 * The feed goes off; credential and position stay. That it is so is said when it is: to who asked for it, and to ourselves, for a
 * broker may fail and an agent may end in between.
 * @returns milliseconds after which it has to be done once more; else nothing
 */
async function rest(k: Kernel, s: Known, reason: string, c: Call): Promise<number | undefined> {
  k.provider.cutSessions(s)
  const stopped = (why: string) =>
    k.resources.update(
      'Subscriber',
      s.name,
      // It may have been taken up again meanwhile: the next look is at that.
      n =>
        n.spec.generation === s.spec.generation
          ? { status: { ...ready(k, n, 'False', why), phase: 'stopped' } }
          : undefined,
      c,
      s.uid,
    )
  // Where nobody asked, the phase is what tells the feed.
  if (reason !== 'Stopped' && s.status.phase !== 'stopped') await stopped('Stopping')
  const again = await restEndpoint(k, s, reason === 'Suspended', c).catch(e => {
    if (!passes(e)) throw e
    k.log.debug({ subscriber: s.name, err: e }, 'the broker cannot shut it out yet')
    return CUT_AGAIN_MS
  })
  if (again === undefined) await stopped(reason)
  return again
}

async function provision(k: Kernel, s: Known, flow: Resource<'Flow'>, c: Call): Promise<void> {
  const name = `${s.spec.id}.${s.spec.flow}`
  const positioned = position(k, s, flow, c)
  // What comes through this agent needs a place to begin and a credential, in no order; a copy is fed from its place on.
  if ((s.status.mode ?? 'fnap') !== 'fnap') await positioned
  positioned.catch(() => undefined)
  const endpoint = await endpointFor(k, s, flow, c).finally(() => positioned)
  const shards = await shardsOf(k, flow, c)
  if (k.config.publishEndpoints) await k.registrar.endpoint(name, endpoint.queue, endpoint.type, endpoint.servers, c)
  const leaseUntil = iso(k.clock.now() + k.periods.lease * 1000)
  await k.resources.update(
    'Subscriber',
    s.name,
    n =>
      isTombstone(n) || n.spec.desired !== 'run'
        ? undefined
        : {
            status: {
              ...ready(k, n, 'True', 'Ready'),
              phase: 'ready',
              endpoint,
              ...(shards === undefined ? {} : { shards }),
              leaseUntil: n.status.leaseUntil ?? leaseUntil,
            },
          },
    c,
    s.uid,
  )
  step('subscriber.ready')
}

/** Asked of the queue: the flow's own number says nothing of one that was adopted. */
async function shardsOf(k: Kernel, flow: Resource<'Flow'>, c: Call): Promise<number | undefined> {
  const found =
    flow.status.queue === undefined ? null : await k.brokers.of(flow).service.describeQueue(flow.status.queue, c)
  return found?.shards
}

/** `latest` and a time become a position now: what is written from here on will be read, whenever that is. */
async function position(k: Kernel, s: Known, flow: Resource<'Flow'>, c: Call): Promise<void> {
  if (s.spec.direction !== 'in' || (await k.positions.get(s.uid, c))) return
  const wire = await k.brokers.open(flow, c)
  try {
    const source = await wire.source({ reader: `begin-${s.uid}`, epoch: 0, from: s.spec.from }, c)
    const at: Position = await source.position(c)
    await source.close()
    await k.positions.put(s.uid, at, c)
    step('subscriber.positioned')
  } finally {
    await wire.close()
  }
}

async function condemn(k: Kernel, s: Known, desired: 'revoked' | 'gone', reason: string, c: Call): Promise<undefined> {
  const cause = { by: k.config.host, at: iso(k.clock.now()), reason }
  await k.resources.update(
    'Subscriber',
    s.name,
    n => (isTombstone(n) ? undefined : { spec: { ...n.spec, desired, cause } }),
    c,
    s.uid,
  )
}

/** Milliseconds until a broker that did not answer is asked again: once it is back, whoever was cut off is so within seconds. */
const CUT_AGAIN_MS = 3_000
const PASSES = ['FNA_ERR_UNAVAILABLE', 'FNA_ERR_PLUGIN_TIMEOUT', 'FNA_ERR_TIMEOUT'] as const
/** Is it that a broker does not answer, which it may do again? */
const passes = (e: unknown): boolean => PASSES.some(code => isFna(e, code))

/** Rule 14. Every cut has its time in the receipt; the tombstone is written after the last. */
async function cut(k: Kernel, s: Known, c: Call): Promise<number | undefined> {
  const phase = s.spec.desired as 'revoked' | 'gone'
  if (s.status.phase === phase) return forget(k, s, c)
  const before = Object.entries(s.status.cut ?? {}).filter(([, at]) => at !== 'pending')
  const receipt: Record<string, string> = Object.fromEntries(before)
  const done = (what: string) => {
    receipt[what] = iso(k.clock.now())
  }
  k.provider.cutSessions(s)
  done('sessions')
  step('subscriber.cut-sessions')
  const again = await unmakeEndpoint(k, s, done, c).catch(async e => {
    // A broker that does not answer now has it done later: until then the receipt says so.
    const parts = s.status.mode === 'copy' ? ['access', 'feed', 'queue'] : ['access']
    const open = parts.filter(what => receipt[what] === undefined)
    const pending = Object.fromEntries(open.map(what => [what, 'pending']))
    const said = { ...receipt, ...pending }
    // A receipt that says nothing new wakes nobody: the next look comes when the back-off says so.
    await k.resources.update(
      'Subscriber',
      s.name,
      n => (same(sorts(n.status.cut), sorts(said)) ? undefined : { status: { ...n.status, cut: said } }),
      c,
    )
    if (!passes(e)) throw e
    k.log.debug({ subscriber: s.name, err: e }, 'the broker cannot cut it off yet')
    return CUT_AGAIN_MS
  })
  if (again !== undefined) return again
  await k.issued.revoke(s.uid, c)
  done('credential')
  step('subscriber.cut-credential')
  k.provider.cutSessions(s)
  if (k.config.publishEndpoints && parseEndpointName(`${s.spec.id}.${s.spec.flow}`)) {
    await k.registrar.forget(`${s.spec.id}.${s.spec.flow}`, c)
    done('names')
  }
  await k.positions.forget(s.uid, c)
  step('subscriber.cut-position')
  const request = k.resources.get('Request', s.name)
  if (request && request.spec.decision === undefined) await k.resources.delete('Request', s.name, c)
  const forgetAt = iso(k.clock.now() + k.periods.tombstone * 1000)
  await k.resources.update(
    'Subscriber',
    s.name,
    n => ({ status: { ...ready(k, n, 'False', 'Ended'), phase, cut: receipt, forget: forgetAt } }),
    c,
    s.uid,
  )
  step('subscriber.tombstone')
  await k.audit.write({
    what: 'cut',
    who: s.spec.cause?.by ?? '',
    on: s.spec.flow,
    detail: `${s.spec.id} of ${s.spec.peer}: ${s.spec.cause?.reason ?? ''}`,
  })
  k.peers.hint(s.spec.peer, s.spec.flow, s.spec.id)
  return k.periods.tombstone * 1000
}

/** What is cut and what is not yet, without the times. */
const sorts = (cut: Readonly<Record<string, string>> = {}): Record<string, boolean> =>
  Object.fromEntries(Object.entries(cut).map(([what, at]) => [what, at === 'pending']))

async function forget(k: Kernel, s: Known, c: Call): Promise<number | undefined> {
  const left = s.status.forget === undefined ? 0 : Date.parse(s.status.forget) - k.clock.now()
  if (left > 0) return left
  await k.resources.delete('Subscriber', s.name, c, s.uid)
  return undefined
}

function ready(k: Kernel, s: Known, status: 'True' | 'False', reason: string) {
  return withCondition(s.status, { type: 'Ready', status, reason, generation: s.generation, since: iso(k.clock.now()) })
}
