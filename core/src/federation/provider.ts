import { signalAfter } from '@fnaa/client'
import { fnapError } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import type { Limits, Served } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import { enforceAccess } from '../grants/access-controller.js'
import { lowest, type Subject } from '../grants/authorizer.js'
import type { Kernel } from '../kernel.js'
import { UNSEEN } from '../names/names.js'
import { iso } from '../resources/clock.js'
import { condition, isTrue } from '../resources/conditions.js'
import { step } from '../resources/steps.js'
import type { Session } from '../server/session.js'
import { type Agreement, replyOf } from './agreement.js'
import { enforceLocal } from './local-end.js'
import { openRequest } from './requests.js'
import { servedAs } from './serving.js'
import { type Tracked, Tracking } from './tracking.js'
import { checkKnown, ended, isBeingCut, isTombstone, type Known, sameWish, specOf, stale, type Wish } from './wish.js'

/** Does it rest because it was asked to, and all of it? */
const isStopped = (s: Known): boolean =>
  s.status.phase === 'stopped' && condition(s.status, 'Ready')?.reason === 'Stopped'

/** P of federation.md: what others subscribe to here. The controller in subscriber-controller.ts does the work. */
export class Provider {
  readonly #k: Kernel
  readonly #tracking = new Tracking()

  constructor(kernel: Kernel) {
    this.#k = kernel
  }

  /** Who a subscriber is to the grants. */
  subjectOf(s: { readonly spec: { readonly for: string; readonly peer: string } }): Subject {
    if (this.#k.config.domains.includes(s.spec.peer)) return { type: 'user', principals: [s.spec.for] }
    return { type: 'domain', principals: [s.spec.for, s.spec.peer] }
  }

  may(
    s: { readonly spec: { readonly for: string; readonly peer: string; readonly direction: 'in' | 'out' } },
    f: Resource<'Flow'>,
  ): boolean {
    if (this.#k.peers.blocked(s.spec.peer)) return false
    return this.#k.authorizer.mayFlow(this.subjectOf(s), s.spec.direction === 'in' ? 'subscribe' : 'write', f)
  }

  limits(s: Known): Limits {
    const now = this.#k.resources.get('Subscriber', s.name) ?? s
    const f = this.#k.resources.get('Flow', s.spec.flow)
    return lowest([now.spec.limits, f && this.#k.authorizer.limits(this.subjectOf(s), f)])
  }

  /**
   * SUBSCRIBE or PUBLISH of an agent. Waits until the endpoint stands.
   * @returns the agreement, or null: pending until the owner decides
   * @throws FnapError as verbs.md has them
   */
  async agree(w: Wish, signal: AbortSignal): Promise<Agreement | null> {
    const known = this.#k.resources.get('Subscriber', w.id)
    if (known) checkKnown(known, w)
    if (known?.spec.generation === w.generation && !sameWish(known, w)) throw stale(known)
    // Whoever it is now, nothing is told and nothing is made before our owner has looked at it (hardening H8).
    if (this.#k.pins.suspended(w.peer)) return null
    if (w.filter !== undefined) throw fnapError('NOTSUPPORTED', 'FILTER is not supported by this agent')
    const flow = await this.#authorise(w)
    if (!known) await this.#k.quotas.subscriber(w)
    const c = { signal }
    if (flow === null) {
      await openRequest(this.#k, w, c)
      return null
    }
    const limits = known ? this.limits(known) : this.#k.authorizer.limits(this.subjectOf({ spec: w }), flow)
    await this.#keep(w, servedAs(this.#k, w, flow, known, limits), known, c)
    return this.#settled(w, signal)
  }

  /** STOP of an agent: the feed goes off, the position is kept. */
  async stop(w: { peer: string; id: string; generation: number }, signal: AbortSignal): Promise<void> {
    const known = this.#k.resources.get('Subscriber', w.id)
    if (!known) return
    this.#refuseSuspended(w.peer)
    checkKnown(known, w)
    if (known.spec.generation === w.generation && known.spec.desired !== 'stop') throw stale(known)
    const c = { signal, reserve: true }
    await this.#k.resources.update(
      'Subscriber',
      w.id,
      s =>
        isTombstone(s) || s.spec.generation > w.generation
          ? undefined
          : { spec: { ...s.spec, desired: 'stop', generation: w.generation } },
      c,
    )
    const done = await this.#k.resources.until(
      'Subscriber',
      w.id,
      s => (!s || isTombstone(s) || isStopped(s) || s.status.phase === 'pending' ? true : undefined),
      signal,
    )
    if (!done) throw fnapError('TIMEOUT', `${w.id} the work goes on`)
    const now = this.#k.resources.get('Subscriber', w.id)
    if (now && isTombstone(now)) throw ended(now)
    await this.#extend(w.id, c)
  }

  /** UNSUBSCRIBE of an agent: final, whatever the generation; of an unknown ID a short tombstone (rule 5). */
  async end(w: { peer: string; flow: string; id: string }, signal: AbortSignal): Promise<void> {
    const known = this.#k.resources.get('Subscriber', w.id)
    if (!known) return this.#endUnknown(w, { signal })
    if (known.spec.peer !== w.peer) throw fnapError('CONFLICT', 'this ID belongs to another domain')
    this.#refuseSuspended(w.peer)
    if (!isTombstone(known)) await this.#condemn(known, 'gone', { by: w.peer, reason: 'unsubscribed' }, signal)
    await this.#untilCut(w.id, signal)
  }

  /** REMOVE SUBSCRIBER, REVOKE and the like: ends it for good and waits until it is cut. */
  async revoke(
    s: Known,
    cause: { by: string; reason: string },
    signal: AbortSignal,
    how: 'revoked' | 'gone' = 'revoked',
  ): Promise<void> {
    if (!isTombstone(s)) await this.#condemn(s, how, cause, signal)
    await this.#untilCut(s.name, signal)
  }

  /** Ends whatever stands on a right that is no longer there. @param cause.by who took it away. Resolves when it is cut. */
  async enforce(flowName: string, cause: { by: string; reason: string }, c: Call): Promise<void> {
    const flow = this.#k.resources.get('Flow', flowName)
    this.#tracking.cut(flowName, t => !this.#mayStill(t, flow))
    // Whoever asks for the same again waits for what is not done yet.
    const open = (s: Known) => !isTombstone(s) || (flow !== undefined && isBeingCut(s))
    const doomed = this.#k.resources
      .by('Subscriber', 'flow', flowName)
      .filter(s => open(s) && s.status.phase !== 'pending' && (!flow || !this.may(s, flow)))
    await Promise.all(doomed.map(s => this.revoke(s, cause, c.signal)))
    await enforceLocal(this.#k, flowName, c)
    await this.#k.processors.enforce(flowName, c.signal)
    await enforceAccess(this.#k, flowName, c)
  }

  /** What ended while the stream was being opened cuts it, as it does from now on. */
  track(t: Tracked): () => void {
    const untrack = this.#tracking.add(t)
    if (!this.#mayStill(t, this.#k.resources.get('Flow', t.flow))) t.session.destroy()
    return untrack
  }

  /** One run of a reader at a time: a newer one ends the older (federation rule 8). */
  fence(uid: string, session: Session): void {
    this.#k.sessions.cut(s => s !== session && s.issued?.scope.key === uid && s.streaming)
  }

  cutSessions(s: Known): number {
    const name = `${s.spec.id}.${s.spec.flow}`
    const streams = this.#tracking.cut(s.spec.flow, t => t.name === name)
    return streams + this.#k.sessions.cut(x => x.issued?.scope.key === s.uid)
  }

  /** Reading through the endpoint renews the lease; written at most every hundredth of it. */
  renew(id: string): void {
    const s = this.#k.resources.get('Subscriber', id)
    if (!s || s.status.leaseUntil === undefined) return
    const until = this.#k.clock.now() + this.#k.periods.lease * 1000
    if (until - Date.parse(s.status.leaseUntil) > this.#k.periods.lease * 10) {
      void this.#extend(id, { signal: signalAfter(30_000) }).catch(() => undefined)
    }
  }

  async #extend(id: string, c: Call): Promise<void> {
    const leaseUntil = iso(this.#k.clock.now() + this.#k.periods.lease * 1000)
    await this.#k.resources.update(
      'Subscriber',
      id,
      s => (isTombstone(s) ? undefined : { status: { ...s.status, leaseUntil } }),
      { ...c, reserve: true },
    )
  }

  /** What another owner of the domain ends, the one before could not take up again. */
  #refuseSuspended(peer: string): void {
    if (this.#k.pins.suspended(peer))
      throw fnapError('UNAVAILABLE', 'your domain proves itself otherwise than before; the owner has been asked')
  }

  #mayStill(t: Tracked, flow: Resource<'Flow'> | undefined): boolean {
    if (!flow || flow.deleting !== undefined) return false
    if (t.session.issued) return true // its subscriber or processor is looked at by itself
    return this.#k.authorizer.mayFlow(t.subject, t.right, flow)
  }

  /** The flow, or null where only a request may be made. @throws NOTFOUND, DENIED */
  async #authorise(w: Wish): Promise<Resource<'Flow'> | null> {
    const flow = this.#k.resources.get('Flow', w.flow)
    const unseen = fnapError('NOTFOUND', UNSEEN)
    if (!flow || flow.deleting !== undefined || flow.spec.namespace === '') throw unseen
    if (this.#k.peers.blocked(w.peer)) throw unseen
    const probe = { spec: { for: w.for, peer: w.peer, direction: w.direction } }
    if (this.may(probe, flow)) return flow
    if (flow.spec.requests && !this.#barred(probe, flow)) return null
    if (this.#k.authorizer.mayFlow(this.subjectOf(probe), 'describe', flow)) {
      throw fnapError(
        'DENIED',
        w.direction === 'in' ? 'this needs subscribe on the flow' : 'this needs write on the flow',
      )
    }
    throw unseen
  }

  #barred(s: { readonly spec: { readonly for: string; readonly peer: string } }, f: Resource<'Flow'>): boolean {
    return this.#k.authorizer.onFlow(this.subjectOf(s), f) === 0 && f.spec.visibility !== 'private'
  }

  async #keep(w: Wish, mode: Served, known: Known | undefined, c: Call): Promise<void> {
    const { resources } = this.#k
    const phase = { phase: 'preparing' as const, mode, ...(w.level === undefined ? {} : { level: w.level }) }
    if (!known) {
      const status = { conditions: [], ...phase }
      try {
        await resources.create({ kind: 'Subscriber', name: w.id, spec: specOf(w), finalizers: [], status }, c)
      } catch (e) {
        // Two tries at once (F3): the other one made it; this one joins.
        if ((e as { code?: string }).code !== 'FNA_ERR_EXISTS') throw e
        const other = resources.get('Subscriber', w.id)
        if (!other) throw e
        checkKnown(other, w)
        if (other.spec.generation === w.generation && !sameWish(other, w)) throw stale(other)
      }
      step('subscriber.stored')
      return
    }
    const scope = {
      kind: 'subscriber',
      key: known.uid,
      name: `${w.id}.${w.flow}`,
      right: w.direction === 'in' ? 'read' : 'write',
    } as const
    if (w.rotate && mode === 'fnap' && w.generation > known.spec.generation)
      await this.#k.issued.rotate(scope, this.#k.periods.rotation * 1000, c)
    // What stands already may be renewed however full the store is: it gets no bigger by that.
    await resources.update(
      'Subscriber',
      w.id,
      s => {
        if (isTombstone(s) || s.spec.generation > w.generation) return undefined
        const settled = s.status.phase === 'ready' && s.spec.desired === 'run' && s.status.mode === mode
        const again = settled ? {} : phase
        return { spec: specOf(w, s.spec), status: { ...s.status, ...again } }
      },
      c,
    )
    await this.#extend(w.id, c)
  }

  async #settled(w: Wish, signal: AbortSignal): Promise<Agreement> {
    const ready = await this.#k.resources.until(
      'Subscriber',
      w.id,
      s => {
        if (!s || isTombstone(s)) return { over: s }
        return s.status.phase === 'ready' && isTrue(s.status, 'Ready', s.generation) ? { s } : undefined
      },
      signal,
    )
    if (!ready) throw fnapError('TIMEOUT', `${w.id} the work goes on`)
    if (!ready.s) throw fnapError(ready.over?.spec.desired === 'revoked' ? 'REVOKED' : 'GONE', 'it has ended meanwhile')
    return replyOf(this.#k, ready.s, { signal })
  }

  async #condemn(
    s: Known,
    desired: 'revoked' | 'gone',
    cause: { by: string; reason: string },
    signal: AbortSignal,
  ): Promise<void> {
    const at = iso(this.#k.clock.now())
    await this.#k.resources.update(
      'Subscriber',
      s.name,
      now => (isTombstone(now) ? undefined : { spec: { ...now.spec, desired, cause: { ...cause, at } } }),
      { signal, reserve: true },
    )
  }

  async #untilCut(id: string, signal: AbortSignal): Promise<void> {
    const cut = await this.#k.resources.until(
      'Subscriber',
      id,
      s => (!s || s.status.phase === 'revoked' || s.status.phase === 'gone' ? true : undefined),
      signal,
    )
    if (!cut) throw fnapError('TIMEOUT', `${id} the work goes on`)
  }

  async #endUnknown(w: { peer: string; flow: string; id: string }, c: Call): Promise<void> {
    const { resources, clock, periods } = this.#k
    await this.#k.quotas.unknown(w.peer)
    const now = clock.now()
    const cause = { by: w.peer, at: iso(now), reason: 'unsubscribed before it was known' }
    const spec = {
      flow: w.flow,
      direction: 'in' as const,
      peer: w.peer,
      id: w.id,
      generation: 0,
      for: w.peer,
      from: { at: 'latest' as const },
      mode: 'fnap' as const,
      desired: 'gone' as const,
      cause,
    }
    const status = { conditions: [], phase: 'gone' as const, forget: iso(now + periods.unknownTombstone * 1000) }
    await resources.create({ kind: 'Subscriber', name: w.id, spec, finalizers: [], status }, c).catch(e => {
      if ((e as { code?: string }).code !== 'FNA_ERR_EXISTS') throw e
    })
  }
}
