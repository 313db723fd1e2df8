import type { Reply } from '@fnaa/client'
import { signalAfter } from '@fnaa/client'
import { type ErrorSymbol, errorKind, fnapError, formatCommand, isFnapError } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import type { Kernel } from '../kernel.js'
import { domainOf, namespaceOf, UNSEEN } from '../names/names.js'
import { step } from '../resources/steps.js'
import { agreed, told } from './answers.js'
import { parseAgreement } from './parse-agreement.js'
import type { Place } from './peers.js'
import { keyOf, type Mine } from './subscriptions.js'
import type { Wish } from './wish.js'

/**
 * Brings our wish to the provider: over its agent's connection, or in here where both are ours. The worker is given back
 * meanwhile, as a silent peer takes its time.
 * @throws FnapError of the answer
 */
export async function ask(k: Kernel, s: Mine, c: Call): Promise<void> {
  const own = namespaceOf(k.resources, s.spec.source)
  if (own) return askOurselves(k, s, own.spec.zone, c)
  if (s.status.peer !== undefined) refuseBlocked(k, s.status.peer)
  const line =
    s.spec.desired === 'stop'
      ? formatCommand('STOP SUBSCRIPTION', { id: s.name }, { gen: s.spec.wish })
      : subscribeLine(k, s)
  for (const call of [c, { ...c, fresh: true }]) {
    const place = await k.queue.park(keyOf(s), k.peers.find(s.spec.source, call))
    refuseBlocked(k, place.domain)
    if (k.config.domains.includes(place.domain)) throw fnapError('NOTFOUND', UNSEEN)
    if (s.status.peer !== undefined && s.status.peer !== place.domain)
      throw fnapError('CONFLICT', 'another domain speaks for the flow now; UNSUBSCRIBE and SUBSCRIBE to accept it')
    await requested(k, s, c)
    const reply = await k.queue.park(keyOf(s), k.peers.request(place, line, c))
    // Somebody else speaks for the name by now: looked for once more.
    if (reply.symbol === 'MOVED' && !call.fresh) continue
    return onReply(k, s, place, reply, await k.peers.levelOf(place.domain), c)
  }
}

/** From here on the provider may know of it, whatever becomes of the answer: until then an end needs nobody else. */
async function requested(k: Kernel, s: Mine, c: Call): Promise<void> {
  await k.resources.update(
    'Subscription',
    s.name,
    n => (n.status.phase === 'resolving' ? { status: { ...n.status, phase: 'requested' } } : undefined),
    c,
    s.uid,
  )
  step('subscribe.requested')
}

function refuseBlocked(k: Kernel, domain: string): void {
  if (k.peers.blocked(domain))
    throw fnapError('DENIED', 'the domain of the flow is blocked here; UPDATE PEER with BLOCKED no lifts that')
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
  const signal = signalAfter(30_000, c.signal)
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
  const agreement = await k.queue.park(keyOf(s), k.provider.agree(wish, signal)).catch(e => unseen(k, s, e, c))
  if (agreement) await agreed(k, s, peer, undefined, agreement, c)
  else await told(k, s, { phase: 'pending', peer }, c)
}

/** What is not shown is looked for in DNS as well: it must not answer sooner than what is not there. */
async function unseen(k: Kernel, s: Mine, e: unknown, c: Call): Promise<never> {
  if (isFnapError(e) && e.symbol === 'NOTFOUND') await k.queue.park(keyOf(s), k.peers.find(s.spec.source, c))
  throw e
}

async function onReply(
  k: Kernel,
  s: Mine,
  place: Place,
  reply: Reply,
  level: string | undefined,
  c: Call,
): Promise<void> {
  if (reply.symbol === 'STALE') return overtaken(k, s, reply.text, c)
  k.subscriptions.answered(s.name)
  if (reply.kind === 'pending')
    return told(k, s, { phase: 'pending', peer: place.domain, ...(level ? { level } : {}) }, c)
  if (reply.kind === 'ok') return told(k, s, { phase: 'stopped' }, c)
  if (reply.kind === 'data') return agreed(k, s, place.domain, level, parseAgreement(reply.lines, s), c)
  if (reply.symbol === 'MOVED') throw fnapError('REMOTE', 'the agent of that flow says that it has moved')
  throw fnapError(
    (errorKind(reply.symbol ?? '') ? reply.symbol : 'REMOTE') as ErrorSymbol,
    reply.text.includes('220') ? undefined : reply.text,
  )
}

/** GEN has 15 digits at most (hardening H6). */
const HIGHEST = 999_999_999_999_999

/**
 * Rule 2: the provider knows a higher generation than ours, so we were set back (a restored backup): the next wish is above it.
 * Saying so again and again is a fault of theirs, which waits longer each time.
 */
async function overtaken(k: Kernel, s: Mine, text: string, c: Call): Promise<void> {
  const theirs = Number(/^\d{1,15}/.exec(text)?.[0] ?? s.spec.wish)
  if (theirs >= HIGHEST)
    throw fnapError('CONFLICT', 'the provider knows this subscription under the highest number there is')
  if (!k.subscriptions.mayRaise(s.name)) throw fnapError('REMOTE', 'the agent of that flow calls every wish too old')
  await k.resources.update(
    'Subscription',
    s.name,
    n => (n.spec.wish > theirs ? undefined : { spec: { ...n.spec, wish: theirs + 1 } }),
    c,
    s.uid,
  )
}
