import type { Reply } from '@fnaa/client'
import { type ErrorSymbol, errorKind, fnapError, formatCommand, isFnapError } from '@fnaa/protocol'
import type { Credential } from '../contract/broker.js'
import type { Call } from '../contract/common.js'
import type { SubscriptionStatus } from '../contract/kinds.js'
import type { Kernel } from '../kernel.js'
import { domainOf, namespaceOf, originOf } from '../names/names.js'
import { iso } from '../resources/clock.js'
import { isTrue } from '../resources/conditions.js'
import { step } from '../resources/steps.js'
import type { Agreement } from './agreement.js'
import type { Place } from './peers.js'
import type { Mine } from './subscriptions.js'
import type { Wish } from './wish.js'

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

const keyOf = (s: Mine): string => `Subscription/${s.name}`

/** One look at a subscription of ours: what is the next thing to do, and when to look again. */
export async function reconcileSubscription(k: Kernel, id: string, signal: AbortSignal): Promise<number | undefined> {
  const s = k.resources.get('Subscription', id)
  if (!s) return undefined
  const c = { signal }
  if (s.deleting !== undefined) return teardown(k, s, c)
  if (s.status.phase === 'revoked') return stopMoving(k, s, c)
  if (s.status.phase === 'failed' && !k.subscriptions.takeDue(id)) return undefined
  try {
    // Nothing moves any more before the provider hears of a STOP.
    if (s.spec.desired === 'stop') await k.queue.park(keyOf(s), k.processors.remove(s.name, c))
    if (mustAsk(k, s)) await ask(k, s, c)
  } catch (e) {
    if (signal.aborted) throw e
    await onError(k, s, e, c)
  }
  const now = k.resources.get('Subscription', id)
  if (!now || now.deleting !== undefined || now.status.phase === 'failed') return undefined
  if (now.status.phase === 'revoked') return stopMoving(k, now, c)
  // Only once the provider has agreed: a refusal leaves no local flow behind.
  if (now.status.endpoint !== undefined && now.spec.desired !== 'stop' && (await localReady(k, now, c)))
    await move(k, now, c)
  return pollIn(k, now)
}

/** The local flow is made if absent; an alias is private to its user and never in DNS. */
async function localReady(k: Kernel, s: Mine, c: Call): Promise<boolean> {
  if (s.spec.direction === 'out') return true
  const known = k.resources.get('Flow', s.spec.local)
  if (!known) {
    const ns = s.spec.alias ? undefined : namespaceOf(k.resources, s.spec.local)
    const broker = ns?.spec.broker ?? k.brokers.default?.id
    if (broker === undefined) throw fnapError('NOTSUPPORTED', 'this agent operates no broker')
    const spec = {
      namespace: ns?.name ?? '',
      owner: s.spec.for,
      broker,
      queue: { shards: 1, retentionMs: 604_800_000 },
      visibility: 'private' as const,
      requests: false,
      onDelete: 'delete' as const,
    }
    await k.resources.create(
      { kind: 'Flow', name: s.spec.local, spec, finalizers: ['fnaad/queue'], status: { conditions: [] } },
      c,
    )
    return false
  }
  if (!isTrue(known.status, 'Ready')) return false
  step('subscribe.local-ready')
  return true
}

const SUSPICIOUS_MS = 10_000

function mustAsk(k: Kernel, s: Mine): boolean {
  const due = k.subscriptions.takeDue(s.name)
  if (due || s.status.agreed !== s.spec.wish) return true
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
  return Math.round(period(k, s) * (0.8 + 0.4 * Math.random()))
}

async function ask(k: Kernel, s: Mine, c: Call): Promise<void> {
  const own = namespaceOf(k.resources, s.spec.source)
  if (own) return askOurselves(k, s, own.spec.zone, c)
  const place = await k.peers.find(s.spec.source, c)
  if (k.config.domains.includes(place.domain))
    throw fnapError('NOTFOUND', 'there is no such flow here, or it is not shown to you')
  if (s.status.peer !== undefined && s.status.peer !== place.domain)
    throw fnapError('CONFLICT', 'another domain speaks for the flow now; UNSUBSCRIBE and SUBSCRIBE to accept it')
  const line =
    s.spec.desired === 'stop'
      ? formatCommand('STOP SUBSCRIPTION', { id: s.name }, { gen: s.spec.wish })
      : subscribeLine(k, s)
  const reply = await k.peers.request(place, line, c)
  await onReply(k, s, place, reply, await k.peers.levelOf(place.domain), c)
}

function subscribeLine(k: Kernel, s: Mine): string {
  const o = {
    id: s.name,
    gen: s.spec.wish,
    accept: k.brokers.types,
    from: s.spec.from,
    mode: s.spec.mode,
    for: s.spec.for,
    format: 'json',
    ...(s.spec.filter === undefined ? {} : { filter: s.spec.filter }),
    ...(s.spec.reason === undefined ? {} : { reason: s.spec.reason }),
    ...(s.spec.rotate ? { rotate: true } : {}),
  }
  return formatCommand(s.spec.direction === 'in' ? 'SUBSCRIBE' : 'PUBLISH', { flow: s.spec.source }, o)
}

/** Source and subscriber in one agent: the same agreement, without a wire. */
async function askOurselves(k: Kernel, s: Mine, zone: string, c: Call): Promise<void> {
  const peer = domainOf(k.config.domains, zone) ?? k.config.domains[0]!
  const signal = AbortSignal.any([c.signal, AbortSignal.timeout(30_000)])
  if (s.spec.desired === 'stop') {
    await k.queue.park(keyOf(s), k.provider.stop({ peer, id: s.name, generation: s.spec.wish }, signal))
    return told(k, s, { phase: 'stopped' }, c)
  }
  const wish: Wish = {
    flow: s.spec.source,
    direction: s.spec.direction,
    id: s.name,
    generation: s.spec.wish,
    peer,
    for: s.spec.for,
    from: s.spec.from,
    mode: s.spec.mode,
    accept: k.brokers.types,
    rotate: s.spec.rotate ?? false,
    ...(s.spec.filter === undefined ? {} : { filter: s.spec.filter }),
    ...(s.spec.reason === undefined ? {} : { reason: s.spec.reason }),
  }
  const agreement = await k.queue.park(keyOf(s), k.provider.agree(wish, signal))
  if (agreement) await agreed(k, s, peer, undefined, agreement, c)
  else await told(k, s, { phase: 'pending', peer }, c)
}

async function onReply(
  k: Kernel,
  s: Mine,
  place: Place,
  reply: Reply,
  level: string | undefined,
  c: Call,
): Promise<void> {
  if (reply.kind === 'pending')
    return told(k, s, { phase: 'pending', peer: place.domain, ...(level ? { level } : {}) }, c)
  if (reply.kind === 'ok') return told(k, s, { phase: 'stopped' }, c)
  if (reply.kind === 'data') return agreed(k, s, place.domain, level, parseAgreement(reply.lines, s), c)
  if (reply.symbol === 'STALE') {
    const theirs = Number(/^\d+/.exec(reply.text)?.[0] ?? s.spec.wish)
    await k.resources.update(
      'Subscription',
      s.name,
      n => (n.spec.wish > theirs ? undefined : { spec: { ...n.spec, wish: theirs + 1 } }),
      c,
      s.uid,
    )
    return
  }
  throw fnapError(
    (errorKind(reply.symbol ?? '') ? reply.symbol : 'REMOTE') as ErrorSymbol,
    reply.text.includes('220') ? undefined : reply.text,
  )
}

/** Only what is understood is taken from a stranger's JSON. */
function parseAgreement(lines: readonly string[], s: Mine): Agreement {
  const bad = (why: string) => fnapError('REMOTE', `the agent of that flow sent an agreement that ${why}`)
  let a: Agreement
  try {
    a = JSON.parse(lines[0] ?? '') as Agreement
  } catch (e) {
    throw fnapError('REMOTE', 'the agent of that flow sent an agreement that is no JSON', e)
  }
  if (a.endpoint !== `${s.name}.${s.spec.source}`) throw bad('is for another endpoint')
  if (typeof a.type !== 'string' || !Array.isArray(a.servers) || a.servers.length === 0) throw bad('names no server')
  if (!a.servers.every(x => typeof x === 'string' && /^[a-z0-9.-]{1,253}:\d{1,5}$/.test(x)))
    throw bad('names a server that is none')
  if (typeof a.credential?.mechanism !== 'string' || typeof a.credential.values !== 'object')
    throw bad('has no credential')
  if (typeof a.epoch !== 'string' || !Array.isArray(a.origins) || a.origins.length > 1000)
    throw bad('has no epoch or origins')
  return a
}

async function agreed(
  k: Kernel,
  s: Mine,
  peer: string,
  level: string | undefined,
  a: Agreement,
  c: Call,
): Promise<void> {
  step('subscribe.agreed')
  if (s.spec.direction === 'in' && a.origins.includes(originOf(s.spec.local))) {
    throw fnapError('LOOP', 'the events of that flow come from the local flow')
  }
  if (!k.brokers.types.includes(a.type))
    throw fnapError('REMOTE', 'the agent of that flow chose a broker type that was not offered')
  const foreign = !k.config.domains.includes(peer)
  const mode = (a.options as { tls?: string } | undefined)?.tls
  if (foreign && (a.tls === undefined || mode === 'none'))
    throw fnapError('REMOTE', 'the agent of that flow offers an endpoint without TLS')
  await k.secrets.put(`subscription/${s.uid}`, Buffer.from(JSON.stringify(a.credential satisfies Credential)), {}, c)
  step('subscribe.secret-kept')
  const lease = Math.max(3600, Math.min(Number(a.lease) || 0, 366 * 86_400))
  const endpoint = {
    type: a.type,
    servers: a.servers,
    queue: a.queue ?? a.endpoint,
    ...(a.tls ? { tls: a.tls } : {}),
    ...(a.options === undefined ? {} : { options: a.options }),
  }
  const phase = s.status.phase === 'active' || s.status.phase === 'paused' ? s.status.phase : 'starting'
  const changed = s.status.sourceEpoch !== undefined && s.status.sourceEpoch !== a.epoch
  await told(
    k,
    s,
    {
      phase,
      peer,
      ...(level === undefined ? {} : { level }),
      name: a.endpoint,
      endpoint,
      sourceEpoch: a.epoch,
      origins: a.origins.map(String),
      renewBy: iso(k.clock.now() + lease * 1000),
      gaps: (s.status.gaps ?? 0) + (changed ? 1 : 0),
    },
    c,
  )
  step('subscribe.endpoint-kept')
}

/** The provider has heard this wish. */
async function told(k: Kernel, s: Mine, change: Partial<SubscriptionStatus>, c: Call): Promise<void> {
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
      const { error: _gone, ...status } = n.status
      const conditions = [...status.conditions.filter(x => x.type !== 'Asked'), asked]
      return { status: { ...status, ...change, agreed: s.spec.wish, conditions } }
    },
    c,
    s.uid,
  )
}

async function onError(k: Kernel, s: Mine, e: unknown, c: Call): Promise<void> {
  const symbol = isFnapError(e) ? e.symbol : 'INTERNAL'
  const error = isFnapError(e) ? `${e.symbol} ${e.sentence}` : 'INTERNAL something went wrong here'
  k.log.warn({ subscription: s.name, source: s.spec.source, err: e }, 'subscription: asking failed')
  if (symbol === 'REVOKED' || symbol === 'GONE') {
    await k.resources.update(
      'Subscription',
      s.name,
      n => ({ status: { ...n.status, phase: 'revoked', error, receipt: error, agreed: n.spec.wish } }),
      c,
      s.uid,
    )
    return
  }
  if (FINAL.has(symbol)) {
    await k.resources.update(
      'Subscription',
      s.name,
      n => ({ status: { ...n.status, phase: 'failed', error, agreed: n.spec.wish } }),
      c,
      s.uid,
    )
    await k.queue.park(keyOf(s), k.processors.remove(s.name, c))
    return
  }
  await k.resources.update('Subscription', s.name, n => ({ status: { ...n.status, error } }), c, s.uid)
  throw e
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
    n =>
      n.status.phase === next || n.status.agreed !== n.spec.wish ? undefined : { status: { ...n.status, phase: next } },
    c,
    s.uid,
  )
  if (next === 'active') step('subscribe.active')
}

async function stopMoving(k: Kernel, s: Mine, c: Call): Promise<undefined> {
  await k.queue.park(keyOf(s), k.processors.remove(s.name, c))
  await k.secrets.delete(`subscription/${s.uid}`, {}, c)
}

/** UNSUBSCRIBE: our processor first, then the provider, which ends it under any GEN; the local flow stays. */
async function teardown(k: Kernel, s: Mine, c: Call): Promise<number | undefined> {
  await k.queue.park(keyOf(s), k.processors.remove(s.name, c))
  step('unsubscribe.processor-gone')
  if (s.status.phase !== 'revoked') await tellEnd(k, s, c)
  step('unsubscribe.told')
  await k.secrets.delete(`subscription/${s.uid}`, {}, c)
  if (s.spec.alias) await k.resources.delete('Flow', s.spec.local, c)
  await k.resources.update('Subscription', s.name, () => ({ finalizers: [] }), c, s.uid)
  step('unsubscribe.gone')
  return undefined
}

async function tellEnd(k: Kernel, s: Mine, c: Call): Promise<void> {
  const own = namespaceOf(k.resources, s.spec.source)
  const signal = AbortSignal.any([c.signal, AbortSignal.timeout(30_000)])
  if (own) {
    const peer = domainOf(k.config.domains, own.spec.zone) ?? k.config.domains[0]!
    return k.queue.park(keyOf(s), k.provider.end({ peer, flow: s.spec.source, id: s.name }, signal))
  }
  if (s.status.phase === 'failed' && s.status.peer === undefined) return
  const place = await k.peers.find(s.spec.source, c).catch(e => {
    if (isFnapError(e) && e.symbol === 'NOTFOUND') return null // the namespace is no more: nobody to tell
    throw e
  })
  if (!place || (s.status.peer !== undefined && place.domain !== s.status.peer)) return
  const reply = await k.peers.request(
    place,
    formatCommand('UNSUBSCRIBE', { flow: s.spec.source }, { id: s.name, gen: s.spec.wish }),
    c,
  )
  if (reply.kind === 'error' && reply.temporary) throw fnapError('REMOTE', 'the agent of that flow could not be told')
}
