import { fnapError } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import type { Kernel } from '../kernel.js'
import { isTrue } from '../resources/conditions.js'
import { step } from '../resources/steps.js'
import { onError } from './answers.js'
import { ask } from './asking.js'
import { teardown } from './ending.js'
import { failLocally, lacking, namespaceForLocal } from './local-end.js'
import { keyOf, type Mine } from './subscriptions.js'

/** One look at a subscription of ours: what is the next thing to do, and when to look again. */
export async function reconcileSubscription(k: Kernel, id: string, signal: AbortSignal): Promise<number | undefined> {
  const s = k.resources.get('Subscription', id)
  if (!s) return undefined
  const c = { signal, reserve: true }
  if (s.deleting !== undefined) return teardown(k, s, c)
  if (s.status.phase === 'revoked') return stopMoving(k, s, c)
  const due = k.subscriptions.takeDue(id)
  const lacks = s.spec.desired === 'stop' ? undefined : lacking(k, s)
  if (lacks) return s.status.phase === 'failed' ? undefined : failLocally(k, s, lacks, c)
  if (s.status.phase === 'failed' && !due) return undefined
  try {
    // Nothing moves any more before the provider hears of a STOP.
    // The same of a domain that may be another's: asking ends well only when it has proved to be the one it was (H8).
    const held = s.status.peer !== undefined && k.pins.suspended(s.status.peer) !== undefined
    if (held || s.spec.desired === 'stop') await k.queue.park(keyOf(s), k.processors.remove(s.name, c))
    if (due || held || mustAsk(k, s)) await ask(k, s, c)
  } catch (e) {
    // What was to be asked is still to be asked, where the answer was none.
    const again = (err: unknown): never => {
      if (due) k.subscriptions.markDue(id)
      throw err
    }
    if (signal.aborted) again(e)
    await onError(k, s, e, c).catch(again)
  }
  const now = k.resources.get('Subscription', id)
  if (!now || now.deleting !== undefined || now.status.phase === 'failed') return undefined
  if (now.status.phase === 'revoked') return stopMoving(k, now, c)
  // Only once the provider has agreed: a refusal leaves no local flow behind.
  if (now.status.endpoint !== undefined && now.spec.desired !== 'stop') {
    const there = await localReady(k, now, c).catch(e => failLocally(k, now, e, c))
    if (there === undefined) return undefined
    if (there) await move(k, now, c)
  }
  return pollIn(k, now)
}

/** The local flow is made if absent; an alias is private to its user and never in DNS. */
async function localReady(k: Kernel, s: Mine, c: Call): Promise<boolean> {
  // Asking took its time: the right may have ended meanwhile.
  const lacks = lacking(k, s)
  if (lacks) throw lacks
  if (s.spec.direction === 'out') return true
  const known = k.resources.get('Flow', s.spec.local)
  if (!known) {
    const ns = namespaceForLocal(k, s)
    const broker = ns?.spec.broker ?? k.brokers.default?.id
    if (broker === undefined) throw fnapError('NOTSUPPORTED', 'this agent operates no broker')
    const spec = {
      namespace: ns?.name ?? '',
      owner: s.spec.for,
      broker,
      // As many as the source: a shard's events stay together, and as many can be read at once.
      queue: { shards: s.status.shards ?? 1, retentionMs: 604_800_000 },
      visibility: 'private' as const,
      requests: false,
      onDelete: 'delete' as const,
    }
    const made = { kind: 'Flow' as const, name: s.spec.local, spec, finalizers: ['fnaad/queue'] }
    await k.quotas.flow(s.spec.local, () => k.resources.create({ ...made, status: { conditions: [] } }, c))
    return false
  }
  if (!isTrue(known.status, 'Ready')) return false
  step('subscribe.local-ready')
  return true
}

const SUSPICIOUS_MS = 10_000

function mustAsk(k: Kernel, s: Mine): boolean {
  if (s.status.agreed !== s.spec.wish) return true
  // A run that fails may have been cut off: the provider knows.
  if (k.processors.phaseOf(s.name) === 'failed' && k.clock.now() - askedAt(s) > SUSPICIOUS_MS) return true
  if (s.status.phase === 'pending' || s.status.phase === 'resolving' || s.status.phase === 'requested')
    return pollDue(k, s)
  return pollDue(k, s) || (s.spec.desired !== 'stop' && s.status.endpoint === undefined)
}

const period = (k: Kernel, s: Mine): number =>
  (s.status.phase === 'pending' ? k.periods.pollPending : k.periods.poll) * 1000

/** When the provider answered last; 0 where it never did. */
const askedAt = (s: Mine): number =>
  Date.parse(s.status.conditions.find(x => x.type === 'Asked')?.since ?? '1970-01-01T00:00:00Z')

const pollDue = (k: Kernel, s: Mine): boolean => k.clock.now() - askedAt(s) >= period(k, s) * 0.8

/** With jitter, so that a thousand subscriptions do not ask at once. */
function pollIn(k: Kernel, s: Mine): number {
  const poll = Math.round(period(k, s) * (0.8 + 0.4 * Math.random()))
  return Math.min(poll, k.subscriptions.lateIn(s.name) ?? poll)
}

/** The processor follows what is wanted; what it reports makes the subscription active. */
async function move(k: Kernel, s: Mine, c: Call): Promise<void> {
  if (s.status.phase === 'pending' || s.status.endpoint === undefined || s.status.agreed !== s.spec.wish) return
  await k.processors.ensureFor(s, c)
  step('subscribe.processor-stored')
  const phase = k.processors.phaseOf(s.name)
  const next =
    s.spec.desired === 'pause'
      ? phase === 'paused'
        ? 'paused'
        : s.status.phase
      : phase === 'running'
        ? 'active'
        : s.status.phase === 'active' && phase !== 'failed'
          ? 'active'
          : 'starting'
  await k.resources.update(
    'Subscription',
    s.name,
    n => {
      const copy = n.status.mode === 'copy' && next === 'active' ? n.status.endpoint?.queue : undefined
      const proved = copy === undefined || copy === n.status.proved ? {} : { proved: copy }
      if (n.status.agreed !== n.spec.wish || (n.status.phase === next && !('proved' in proved))) return undefined
      return { status: { ...n.status, phase: next, ...proved } }
    },
    c,
    s.uid,
  )
  if (next === 'active') step('subscribe.active')
}

async function stopMoving(k: Kernel, s: Mine, c: Call): Promise<undefined> {
  await k.queue.park(keyOf(s), k.processors.remove(s.name, c))
  await k.secrets.delete(`subscription/${s.uid}`, {}, c)
}
