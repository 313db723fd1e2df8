import assert from 'node:assert/strict'
import type { BrokerService, Call, QueueSpec, Sink, Source, Wire } from '@fnaa/core/plugin'
import { type Batch, batchOf, encodeBatch, type FlowEvent, type From, type Gap } from '@fnaa/protocol'
import { call, type Harness } from '../harness.js'
import type { Case } from '../suite.js'

/** The harness of a broker, with what the cases share. */
export interface BrokerHarness extends Harness<'broker'> {
  readonly c: Call
  readonly service: BrokerService
  /** Makes a queue for this flow and gives its name. */
  queue(flow: string, spec?: QueueSpec): Promise<string>
  wire(queue: string): Promise<Wire>
  source(queue: string, opt?: { reader?: string; epoch?: number; from?: From }): Promise<Source>
  sink(queue: string, opt?: { writer?: string; epoch?: number }): Promise<Sink>
  /** An event as of now, by the harness's clock. */
  event(value: string | null, more?: Partial<Omit<FlowEvent, 'value'>>): FlowEvent
  /** Writes one batch and gives the cursor behind it. */
  write(queue: string, ...events: (FlowEvent | string)[]): Promise<string>
}

export type BrokerCase = Case<'broker', BrokerHarness>

export const earliest: From = { at: 'earliest' }

export function extendBroker(h: Harness<'broker'>): BrokerHarness {
  const c = call()
  const service = (): BrokerService => {
    assert.ok('describeQueue' in h.service, 'a type that is loaded as driver only has no queues to try')
    return h.service
  }
  const wire = async (queue: string): Promise<Wire> => {
    assert.ok(h.driver, 'the manifest names no driver')
    const { endpoint, credential } = service().internal(queue)
    return h.driver.open(endpoint, credential, { log: h.ctx.log, dial: h.ctx.dial, foreign: false }, c)
  }
  const event = (value: string | null, more: Partial<Omit<FlowEvent, 'value'>> = {}): FlowEvent => ({
    key: null,
    value: value === null ? null : Buffer.from(value),
    headers: [],
    timestamp: h.clock.now(),
    ...more,
  })
  const extra = {
    c,
    wire,
    event,
    async queue(flow: string, spec: QueueSpec = {}) {
      const queue = service().queueFor(flow)
      await service().createQueue(queue, spec, c)
      return queue
    },
    async source(queue: string, { reader = 'reader', epoch = 1, from = earliest } = {}) {
      return (await wire(queue)).source({ reader, epoch, from }, c)
    },
    async sink(queue: string, { writer = 'writer', epoch = 1 } = {}) {
      return (await wire(queue)).sink({ writer, epoch }, c)
    },
    async write(queue: string, ...events: (FlowEvent | string)[]) {
      const sink = await extra.sink(queue)
      const all = events.map(e => (typeof e === 'string' ? event(e) : e))
      return (await sink.write(batch(all), {}, c)).cursor
    },
  }
  return Object.defineProperties(extra, Object.getOwnPropertyDescriptors(h)) as unknown as BrokerHarness
}

/** Events as a batch from nowhere in particular. */
export function batch(events: readonly FlowEvent[], shard = '0'): Batch {
  return batchOf({ shard, last: '', bytes: encodeBatch(events) })
}

export interface Seen {
  readonly shard: string
  readonly event: FlowEvent
  readonly value: string | null
}

export interface Taken {
  readonly events: readonly Seen[]
  readonly gaps: readonly Gap[]
  readonly batches: readonly Batch[]
  /** The values of the events, in the order in which they came. */
  readonly values: readonly (string | null)[]
}

/** Reads until `n` events came (or `gaps` gaps), committing nothing, and ends the read. */
export async function take(source: Source, n: number, opt: { gaps?: number } = {}): Promise<Taken> {
  const stop = new AbortController()
  const events: Seen[] = []
  const gaps: Gap[] = []
  const batches: Batch[] = []
  for await (const item of source.read(call(stop.signal))) {
    if ('reason' in item) gaps.push(item)
    else {
      batches.push(item)
      for (const event of item.events({ bytes: 1 << 24 }))
        events.push({ shard: item.shard, event, value: event.value && Buffer.from(event.value).toString() })
    }
    if (events.length >= n && gaps.length >= (opt.gaps ?? 0)) stop.abort()
  }
  return { events, gaps, batches, values: events.map(e => e.value) }
}

/** Commits all that was taken. */
export async function commit(source: Source, taken: Taken, c: Call): Promise<void> {
  for (const b of taken.batches) await source.commit(b.shard, b.last, c)
}

/** Events that this source has still to give. */
export async function behind(source: Source, c: Call): Promise<number> {
  const { shards } = await source.lag(c)
  return Object.values(shards).reduce((sum, s) => sum + s.behind, 0)
}
