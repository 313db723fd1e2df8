import type { Credential } from '../contract/broker.js'
import type { Call } from '../contract/common.js'
import type { Port, Run } from '../contract/processor.js'
import { driverUrl } from '../data/drivers.js'
import { credentialOf } from '../federation/issued.js'
import type { Kernel } from '../kernel.js'
import { queueName } from '../names/names.js'
import { begin, cursorOf, sinkCursor } from './cursors.js'
import { SUBSCRIBER } from './feeds.js'
import { type End, ownSubscription, type Plan, type Proc, subscriptionOf } from './plan.js'
import { readerBegins, readerStood } from './reader-place.js'

/** What a run is made from. */
export interface Making {
  readonly k: Kernel
  readonly p: Proc
  readonly epoch: number
  /** The config's file: drivers are looked up from there. */
  readonly base: string
  readonly c: Call
  /** Ends of the run that goes on, by name: they keep the credentials that they have. */
  readonly kept?: ReadonlySet<string>
}

/**
 * A run for a runtime, and beside it the secrets of its ports, which no runtime keeps.
 * @throws Error where a credential is missing
 */
export async function makeRun(w: Making, plan: Plan): Promise<{ run: Run; secrets: Record<string, Credential> }> {
  const { p, k } = w
  const secrets: Record<string, Credential> = {}
  const ports = await Promise.all(plan.ends.map((end, i) => portOf(w, plan, end, i, secrets)))
  const { resolver, network } = k.config
  const n = p.spec.sources.length
  const run: Run = {
    id: p.name,
    epoch: w.epoch,
    program: plan.program.startsWith('grpc:') ? plan.program : driverUrl(plan.program, w.base),
    config: plan.config,
    sources: ports.slice(0, n),
    sinks: ports.slice(n),
    desired: p.spec.desired === 'pause' ? 'pause' : 'run',
    guarantee: guaranteeOf(k, plan, n),
    network: {
      servers: resolver?.servers ?? ['127.0.0.1:53'],
      trustAd: resolver?.trustAd ?? false,
      allow: network?.allow ?? [],
    },
  }
  return { run, secrets }
}

/** Exactly once needs one sink of ours, which keeps the position beside the data: who may only write cannot read it back. */
function guaranteeOf(k: Kernel, plan: Plan, sources: number): Run['guarantee'] {
  const sinks = plan.ends.slice(sources)
  const own = sinks.length === 1 && sinks[0]!.subscription === undefined
  const transactions = own && k.brokers.manifest(sinks[0]!.endpoint.type)?.supports.transactions === true
  return plan.guarantee === 'exactly-once' && transactions ? 'exactly-once' : 'at-least-once'
}

async function portOf(
  w: Making,
  plan: Plan,
  end: End,
  index: number,
  secrets: Record<string, Credential>,
): Promise<Port> {
  const { k, p, c } = w
  const isSource = index < p.spec.sources.length
  const manifest = k.brokers.manifest(end.endpoint.type)
  if (!manifest?.driver) throw new Error(`no driver for broker type ${end.endpoint.type}`)
  const secret = String(index)
  const foreign = end.subscription !== undefined && !ownSubscription(k, end.name)
  const from = await beginning(w, plan, end, isSource)
  const stood = isSource && plan.cursors !== 'sink' ? await readerStood(k, p.name, end, c) : undefined
  if (w.kept?.has(end.name)) {
    // Nothing new to say.
  } else if (end.subscription !== undefined) {
    const entry = await k.secrets.get(`subscription/${end.subscription}`, c)
    if (!entry) throw new Error(`the credential of ${end.name} is missing`)
    const credential = JSON.parse(Buffer.from(entry.value).toString()) as Credential | null
    if (credential) secrets[secret] = credential
  } else {
    const credential = await localCredential(w, plan, end, isSource)
    if (credential) secrets[secret] = credential
  }
  return {
    name: end.name,
    endpoint: end.endpoint,
    secret,
    driver: driverUrl(manifest.driver, w.base),
    foreign,
    ...from,
    ...(stood && { stood }),
    ...markerOf(k, end, isSource),
  }
}

/** A copy begins with its marker, which is waited for until something has come from there once. */
function markerOf(k: Kernel, end: End, isSource: boolean): Pick<Port, 'marker'> {
  const theirs = isSource && end.subscription !== undefined
  const s = theirs ? k.resources.get('Subscription', subscriptionOf(end.name)) : undefined
  if (s?.status.mode !== 'copy') return {}
  return { marker: { id: s.name, awaited: s.status.proved !== end.endpoint.queue } }
}

/** Where a source begins; where a sink stands, if each has a cursor of its own. */
async function beginning({ k, p, c }: Making, plan: Plan, end: End, isSource: boolean): Promise<Pick<Port, 'from'>> {
  if (isSource && end.subscription === undefined) return { from: p.spec.from }
  if (isSource) {
    const s = k.resources.get('Subscription', p.name)
    const from = s && (await readerBegins(k, s, p.spec.from, c))
    return from ? { from } : {}
  }
  if (plan.cursors !== 'sink') return {}
  const f = k.resources.get('Flow', p.spec.sources[0]!)
  if (!f) throw new Error(`flow ${p.spec.sources[0]} of processor ${p.name} is gone`)
  return { from: { at: 'position', position: await begin(k, p, f, sinkCursor(k, p, f, end.name), c) } }
}

/** The credential for a flow of ours; a flow that only this process can open is reached by a login made for this run. */
async function localCredential(w: Making, plan: Plan, end: End, isSource: boolean): Promise<Credential | null> {
  const { k, p } = w
  if (end.name.startsWith(SUBSCRIBER)) {
    const f = k.resources.get('Flow', p.spec.sources[0]!)
    return f ? k.brokers.of(f).service.internal(end.endpoint.queue).credential : null
  }
  const f = k.resources.get('Flow', end.name)
  if (!f?.status.queue) return null
  const broker = k.brokers.of(f)
  if (broker.supports.reach === 'network') return broker.service.internal(f.status.queue).credential
  const right = isSource ? 'read' : 'write'
  if (isSource && plan.cursors === undefined) await begin(k, p, f, cursorOf(p, f), w.c)
  return credentialOf(
    await k.issued.forRun({
      kind: 'processor',
      key: p.uid,
      name: queueName(end.name),
      flow: end.name,
      right,
      epoch: w.epoch,
    }),
  )
}
