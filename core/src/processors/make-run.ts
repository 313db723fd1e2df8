import type { Credential } from '../contract/broker.js'
import type { Call } from '../contract/common.js'
import type { Port, Run } from '../contract/processor.js'
import type { Resource } from '../contract/store.js'
import { driverUrl } from '../data/drivers.js'
import { credentialOf } from '../federation/issued.js'
import type { Kernel } from '../kernel.js'
import { queueName } from '../names/names.js'
import { CURSOR, type End, ownSubscription, type Plan, type Proc } from './plan.js'

/** What a run is made from. */
export interface Making {
  readonly k: Kernel
  readonly p: Proc
  readonly epoch: number
  /** The config's file: drivers are looked up from there. */
  readonly base: string
  readonly c: Call
}

/** Where a processor stands in one of its sources. */
export const cursorOf = (p: Proc, f: Resource<'Flow'>): string => `processor/${p.uid}/${f.uid}/${CURSOR}`

/**
 * A run for a runtime, and beside it the secrets of its ports, which no runtime keeps.
 * @throws Error where a credential is missing
 */
export async function makeRun(w: Making, plan: Plan): Promise<{ run: Run; secrets: Record<string, Credential> }> {
  const { p, k } = w
  const secrets: Record<string, Credential> = {}
  const ports = await Promise.all(plan.ends.map((end, i) => portOf(w, end, i, secrets)))
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
    guarantee: 'at-least-once',
    network: {
      servers: resolver?.servers ?? ['127.0.0.1:53'],
      trustAd: resolver?.trustAd ?? false,
      allow: network?.allow ?? [],
    },
  }
  return { run, secrets }
}

async function portOf(w: Making, end: End, index: number, secrets: Record<string, Credential>): Promise<Port> {
  const { k, p, c } = w
  const isSource = index < p.spec.sources.length
  const manifest = k.brokers.manifest(end.endpoint.type)
  if (!manifest?.driver) throw new Error(`no driver for broker type ${end.endpoint.type}`)
  const secret = String(index)
  const foreign = end.subscription !== undefined && !ownSubscription(k, end.name)
  if (end.subscription !== undefined) {
    const entry = await k.secrets.get(`subscription/${end.subscription}`, c)
    if (!entry) throw new Error(`the credential of ${end.name} is missing`)
    secrets[secret] = JSON.parse(Buffer.from(entry.value).toString()) as Credential
  } else {
    const credential = await localCredential(w, end, isSource)
    if (credential) secrets[secret] = credential
  }
  const from = isSource && end.subscription === undefined ? { from: p.spec.from } : {}
  return {
    name: end.name,
    endpoint: end.endpoint,
    secret,
    driver: driverUrl(manifest.driver, w.base),
    foreign,
    ...from,
  }
}

/** The credential for a flow of ours; a flow that only this process can open is reached by a login made for this run. */
async function localCredential(w: Making, end: End, isSource: boolean): Promise<Credential | null> {
  const { k, p } = w
  const f = k.resources.get('Flow', end.name)
  if (!f?.status.queue) return null
  const broker = k.brokers.of(f)
  if (broker.supports.reach === 'network') return broker.service.internal(f.status.queue).credential
  const right = isSource ? 'read' : 'write'
  if (isSource) await begin(w, f)
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

/** Where it begins to read becomes a position once, before its first run: `latest` then means when it was made. */
async function begin({ k, p, c }: Making, f: Resource<'Flow'>): Promise<void> {
  const cursor = cursorOf(p, f)
  if (await k.positions.get(cursor, c)) return
  const wire = await k.brokers.open(f, c)
  try {
    const source = await wire.source({ reader: `begin-${p.uid}`, epoch: 0, from: p.spec.from }, c)
    await k.positions.put(cursor, await source.position(c), c)
    await source.close()
  } finally {
    await wire.close()
  }
}
