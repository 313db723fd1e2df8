import { fnapError, isFnapError, LIMITS } from '@fnaa/protocol'
import type { Credential } from '../contract/broker.js'
import type { Call } from '../contract/common.js'
import type { SubscriptionStatus } from '../contract/kinds.js'
import type { Kernel } from '../kernel.js'
import { iso } from '../resources/clock.js'
import { same } from '../resources/conditions.js'
import { step } from '../resources/steps.js'
import type { Agreement } from './agreement.js'
import { closesLoop } from './origins.js'
import { reasonIn } from './reason.js'
import { keyOf, type Mine } from './subscriptions.js'

/** Answers after which asking again makes no sense until somebody changes something. */
const FINAL: ReadonlySet<string> = new Set([
  'DENIED',
  'NOTFOUND',
  'CONFLICT',
  'NOTSUPPORTED',
  'SYNTAX',
  'BADVALUE',
  'BADNAME',
  'LOOP',
  'UNKNOWNCOMMAND',
])

/** The provider agreed: what it handed out is kept, the credential sealed. @throws FnapError LOOP, REMOTE */
export async function agreed(
  k: Kernel,
  s: Mine,
  peer: string,
  level: string | undefined,
  a: Agreement,
  c: Call,
): Promise<void> {
  step('subscribe.agreed')
  if (closesLoop(k.resources, s.spec, a.origins))
    throw fnapError(
      'LOOP',
      s.spec.direction === 'in'
        ? 'the events of that flow come from the local flow'
        : 'the events of that flow end up in the local flow',
    )
  if (!k.brokers.types.includes(a.type))
    throw fnapError('REMOTE', 'the agent of that flow chose a broker type that was not offered')
  const foreign = !k.config.domains.includes(peer)
  const mode = (a.options as { tls?: string } | undefined)?.tls
  if (foreign && (a.tls === undefined || mode === 'none'))
    throw fnapError('REMOTE', 'the agent of that flow offers an endpoint without TLS')
  const credential: Credential | null = a.credential ?? null
  await k.secrets.put(`subscription/${s.uid}`, Buffer.from(JSON.stringify(credential)), {}, c)
  step('subscribe.secret-kept')
  const lease = Math.max(3600, Math.min(Number(a.lease) || 0, 366 * 86_400))
  const endpoint = {
    type: a.type,
    servers: a.servers,
    queue: a.queue ?? a.endpoint,
    ...(a.reader === undefined ? {} : { reader: a.reader }),
    ...(a.tls ? { tls: a.tls } : {}),
    ...(a.options === undefined ? {} : { options: a.options }),
  }
  const reader = s.status.endpoint?.reader
  const phase = s.status.phase === 'active' || s.status.phase === 'paused' ? s.status.phase : 'starting'
  const changed = s.status.sourceEpoch !== undefined && s.status.sourceEpoch !== a.epoch
  const fedGaps = a.gaps ?? 0
  await told(
    k,
    s,
    {
      phase,
      peer,
      ...(level === undefined ? {} : { level }),
      name: a.endpoint,
      endpoint,
      mode: a.mode,
      // A queue that was adopted may have more than a flow takes here.
      ...(a.shards === undefined ? {} : { shards: Math.min(a.shards, LIMITS.shards) }),
      ...(reader === undefined || reader === a.reader ? {} : { readerBefore: reader }),
      sourceEpoch: a.epoch,
      origins: a.origins.map(String),
      renewBy: iso(k.clock.now() + lease * 1000),
      gaps: (s.status.gaps ?? 0) + (changed ? 1 : 0) + Math.max(0, fedGaps - (s.status.fedGaps ?? 0)),
      fedGaps,
    },
    c,
  )
  step('subscribe.endpoint-kept')
  if (s.spec.direction === 'in' && !same([...(s.status.origins ?? [])].sort(), [...a.origins].sort()))
    tellFollowers(k, s.spec.local)
}

/** Who subscribed to the local flow hears where its events come from now: of several that close a loop at once, each knew a part. */
function tellFollowers(k: Kernel, local: string): void {
  for (const s of k.resources.by('Subscriber', 'flow', local))
    if (s.status.phase === 'ready') k.peers.hint(s.spec.peer, s.spec.flow, s.spec.id)
}

/** The provider has heard this wish. */
export async function told(k: Kernel, s: Mine, change: Partial<SubscriptionStatus>, c: Call): Promise<void> {
  const asked = {
    type: 'Asked',
    status: 'True' as const,
    reason: 'Answered',
    generation: s.generation,
    since: iso(k.clock.now()),
  }
  await k.resources.update(
    'Subscription',
    s.name,
    n => {
      if (n.spec.wish !== s.spec.wish) return undefined
      const { error: _gone, reason: _past, ...status } = n.status
      const conditions = [...status.conditions.filter(x => x.type !== 'Asked'), asked]
      return { status: { ...status, ...change, agreed: s.spec.wish, conditions } }
    },
    c,
    s.uid,
  )
}

/** What an error means for the subscription: over, failed until somebody changes something, or tried again (thrown). */
export async function onError(k: Kernel, s: Mine, e: unknown, c: Call): Promise<void> {
  const symbol = isFnapError(e) ? e.symbol : 'INTERNAL'
  const error = isFnapError(e) ? `${e.symbol} ${e.sentence}` : 'INTERNAL something went wrong here'
  const said = reasonIn(error)
  const reason = said === undefined ? {} : { reason: said }
  k.log.warn({ subscription: s.name, source: s.spec.source, err: e }, 'subscription: asking failed')
  const mark = (change: (now: Mine) => Partial<SubscriptionStatus>) =>
    k.resources.update('Subscription', s.name, n => ({ status: { ...n.status, error, ...change(n) } }), c, s.uid)
  if (symbol === 'REVOKED' || symbol === 'GONE') {
    await mark(n => ({ phase: 'revoked', receipt: error, ...reason, agreed: n.spec.wish }))
    return
  }
  if (FINAL.has(symbol)) {
    await mark(n => ({ phase: 'failed', ...reason, agreed: n.spec.wish }))
    await k.queue.park(keyOf(s), k.processors.remove(s.name, c))
    return
  }
  // Active says that events can pass: not while nothing runs and the provider cannot be asked (federation rule 12).
  const idle = k.processors.phaseOf(s.name) !== 'running'
  await mark(n => ({ phase: idle && n.status.phase === 'active' ? 'starting' : n.status.phase }))
  throw e
}
