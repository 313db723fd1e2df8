import type { Endpoint } from '../contract/broker.js'
import type { ProcessorType, Run } from '../contract/processor.js'
import type { Resource } from '../contract/store.js'
import { fnapEndpoint } from '../federation/agreement.js'
import { lacking } from '../federation/local-end.js'
import type { Kernel } from '../kernel.js'
import { queueName } from '../names/names.js'
import { SUBSCRIBER } from './feeds.js'

export type Proc = Resource<'Processor'>

/** The cursor of a processor in each of its sources. */
export const CURSOR = 'feed'

/** One end of a processor, without secrets. */
export interface End {
  readonly name: string
  readonly endpoint: Endpoint
  /** The uid of the subscription whose endpoint it is. */
  readonly subscription?: string
  readonly epoch?: string
}
/** What a processor is to run, without secrets: where two plans are the same, the run goes on. */
export interface Plan {
  readonly program: string
  readonly config: Run['config']
  readonly ends: readonly End[]
  readonly cursors?: 'sink'
  readonly guarantee?: Run['guarantee']
}

/** What its type makes of the spec, and where its ends are now. @throws Error where an end is not ready yet: it is tried again */
export function planOf(k: Kernel, type: ProcessorType | undefined, p: Proc): Plan {
  if (!type) throw new Error(`the config has no processor plugin of type ${p.spec.type}`)
  return { ...type.plan(p.spec), ends: [...p.spec.sources, ...p.spec.sinks].map(name => endOf(k, p, name)) }
}

/** Is only this different: which sinks there are? The run may go on then, where each has a cursor of its own. */
export function sameButSinks(a: Plan, b: Plan, p: Proc): boolean {
  const rest = ({ ends, ...plan }: Plan) => JSON.stringify([plan, ends.slice(0, p.spec.sources.length)])
  return a.cursors === 'sink' && rest(a) === rest(b)
}

/** The id of a subscription's end. */
export const subscriptionOf = (end: string): string => end.slice('subscription:'.length)

/** Are both ends ours, as the flow's owner and its subscriber are users here? */
export function ownSubscription(k: Kernel, end: string): boolean {
  const s = k.resources.get('Subscription', subscriptionOf(end))
  return s?.status.peer !== undefined && k.config.domains.includes(s.status.peer)
}

/** A user's processor needs the rights for as long as it runs, and a subscription's at the local flow: the rest is the provider's business. */
export function allowed(k: Kernel, p: Proc): boolean {
  if (p.owner !== undefined) {
    const s = p.owner.kind === 'Subscription' ? k.resources.get('Subscription', p.owner.name) : undefined
    return !s || lacking(k, s) === undefined
  }
  const subject = { type: 'user' as const, principals: [p.spec.owner] }
  const may = (name: string, right: 'read' | 'write') => {
    const f = k.resources.get('Flow', name)
    return f !== undefined && f.deleting === undefined && k.authorizer.mayFlow(subject, right, f)
  }
  return p.spec.sources.every(s => may(s, 'read')) && p.spec.sinks.every(s => may(s, 'write'))
}

/** What one end of a processor is, without secrets: a subscription's endpoint, or a flow of ours. */
function endOf(k: Kernel, p: Proc, name: string): End {
  if (name.startsWith('subscription:')) {
    const id = subscriptionOf(name)
    const s = k.resources.get('Subscription', id)
    if (!s?.status.endpoint) throw new Error(`subscription ${id} has no endpoint yet`)
    const own = s.status.peer !== undefined && k.config.domains.includes(s.status.peer)
    // A subscriber of our own agent is reached where it listens, not by its public name.
    const endpoint =
      own && s.status.endpoint.type === 'fnap' ? fnapEndpoint(k, s.status.endpoint.queue, true) : s.status.endpoint
    return { name, endpoint, subscription: s.uid, epoch: s.status.sourceEpoch ?? '' }
  }
  if (name.startsWith(SUBSCRIBER)) return copyOf(k, name)
  const f = k.resources.get('Flow', name)
  if (!f?.status.queue || f.deleting !== undefined) throw new Error(`flow ${name} of processor ${p.name} is not ready`)
  const broker = k.brokers.of(f)
  const endpoint =
    broker.supports.reach === 'process' ? ownEndpoint(k, p, name) : broker.service.internal(f.status.queue).endpoint
  return { name, endpoint, epoch: f.status.epoch ?? '' }
}

/** A subscriber's copy, as the agent itself writes it. */
function copyOf(k: Kernel, name: string): End {
  const s = k.resources.get('Subscriber', name.slice(SUBSCRIBER.length))
  const f = s && k.resources.get('Flow', s.spec.flow)
  if (!f || s.status.queue === undefined) throw new Error(`${name} has no queue`)
  return { name, endpoint: k.brokers.of(f).service.internal(s.status.queue).endpoint }
}

/** A flow that only this process can open is read and written through the agent itself. */
function ownEndpoint(k: Kernel, p: Proc, name: string): Endpoint {
  const e = fnapEndpoint(k, queueName(name), true)
  return p.spec.sources.includes(name) ? { ...e, options: { ...(e.options as object), cursor: CURSOR } } : e
}
