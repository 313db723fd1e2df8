import { fnapError } from '@fnaa/protocol'
import type { AccessRequest } from '../contract/broker.js'
import type { Limits, Served } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import type { Broker } from '../data/brokers.js'
import type { Kernel } from '../kernel.js'
import type { Known, Wish } from './wish.js'

type Asked = Pick<Wish, 'mode' | 'accept' | 'direction' | 'principal'>

/**
 * How a wish is served: as it was before, where that still does; else the mode that it names; with `auto` a copy where the
 * flow's broker can let the stranger in, else through the agent.
 * @throws FnapError NOTSUPPORTED that says what is missing; CONFLICT where another mode would lose events
 */
export function servedAs(
  k: Kernel,
  w: Asked,
  flow: Resource<'Flow'>,
  known: Known | undefined,
  limits: Limits,
): Served {
  const before = known?.status.phase === 'pending' ? undefined : known?.status.mode
  const broker = k.brokers.of(flow)
  if (before !== undefined && w.mode === 'auto' && accepts(w, before, broker)) return before
  const mode = choose(k, w, broker, limits)
  if (before === undefined || before === mode || before === 'fnap') return mode
  throw fnapError(
    'CONFLICT',
    `it is served as ${before}, and events would be lost: UNSUBSCRIBE and SUBSCRIBE for another MODE`,
  )
}

function choose(k: Kernel, w: Asked, broker: Broker, limits: Limits): Served {
  const fnap = w.accept.includes('fnap')
  if (w.mode === 'fnap') {
    if (!fnap) throw fnapError('NOTSUPPORTED', 'MODE fnap needs fnap in ACCEPT')
    return 'fnap'
  }
  const shut = whyNot(w, broker, limits)
  const copyless =
    shut ??
    (w.direction === 'out'
      ? 'MODE copy is for SUBSCRIBE: say direct or fnap'
      : !copies(k)
        ? 'MODE copy needs a Distributor here'
        : undefined)
  switch (w.mode) {
    case 'copy':
      if (copyless !== undefined) throw fnapError('NOTSUPPORTED', copyless)
      return 'copy'
    case 'direct':
      if (shut !== undefined) throw fnapError('NOTSUPPORTED', shut)
      return 'direct'
    default:
      if (copyless === undefined) return 'copy'
      if (!fnap)
        throw fnapError('NOTSUPPORTED', `ACCEPT has no broker type that this flow can be served by: ${copyless}`)
      return 'fnap'
  }
}

/** How a stranger can be served here, by one of our brokers at least. */
export function modesOf(k: Kernel): Served[] {
  const open = [...k.brokers.operated.values()].some(b => waysIn(b).length > 0)
  return [...(open && copies(k) ? ['copy' as const] : []), ...(open ? ['direct' as const] : []), 'fnap']
}

const copies = (k: Kernel): boolean => k.processors.has('distributor') && k.processors.runtime !== undefined

/** Why the stranger cannot come in at the flow's broker. */
function whyNot(w: Asked, broker: Broker, limits: Limits): string | undefined {
  const ways = knownWaysIn(broker)
  if (ways.length === 0) return 'the broker of the flow lets nobody in: MODE fnap'
  if (!w.accept.includes(broker.supports.type))
    return `the flow is at a broker of type ${broker.supports.type}, for which the agent that asks has no driver (ACCEPT)`
  if (!ways.includes('issued') && w.principal === undefined)
    return 'the broker of the flow admits outsiders by name only: PRINCIPAL is needed'
  if (!keeps(broker, limits)) return `a LIMIT holds, which only the agent keeps: MODE fnap`
  return undefined
}

/** Does the broker itself hold those whom it lets in to all of these? */
export function keeps(broker: Broker, limits: Limits): boolean {
  const kept: readonly string[] = broker.service.limits?.() ?? []
  return Object.keys(limits).every(l => kept.includes(l))
}

/** What is asked of it: what it keeps. A limit that came later and that it cannot keep slows nobody down. */
export function limitsAt(broker: Broker, { bytesPerSecond }: Limits): Pick<AccessRequest, 'limits'> {
  const asked = bytesPerSecond !== undefined && keeps(broker, { bytesPerSecond })
  return asked ? { limits: { bytesPerSecond } } : {}
}

/** How others get in at a broker: what its type can, less what this one cannot. */
export function waysIn(broker: Broker): readonly ('issued' | 'principal')[] {
  if (broker.supports.reach === 'process') return []
  return broker.service.access ? (broker.service.access() ?? []) : broker.supports.access
}

/** The same, for who would be told that there are none. @throws FnapError UNAVAILABLE while the broker has not said */
export function knownWaysIn(broker: Broker): ReturnType<typeof waysIn> {
  if (broker.service.access && broker.service.access() === undefined)
    throw fnapError('UNAVAILABLE', 'the broker of the flow does not answer')
  return waysIn(broker)
}

const accepts = (w: Asked, mode: Served, broker: Broker): boolean =>
  w.accept.includes(mode === 'fnap' ? 'fnap' : broker.supports.type)
