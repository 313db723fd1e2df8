import { call, type Harness, type HarnessOptions, harness } from '@fnaa/conformance'
import type { BrokerService, QueueSpec, Sink, Source } from '@fnaa/core/plugin'
import { type Batch, batchOf, encodeBatch, type From, type Gap } from '@fnaa/protocol'
import t from 'tap'
import { type EmbeddedOptions, embedded } from './index.js'

export const c = call()
export const earliest: From = { at: 'earliest' }

/** An open broker with one queue, `q`. */
export interface Fixture {
  readonly h: Harness<'broker'>
  readonly service: BrokerService
  source(opt?: { reader?: string; epoch?: number; from?: From }): Promise<Source>
  sink(opt?: { writer?: string; epoch?: number }): Promise<Sink>
  write(...values: string[]): Promise<string>
}

export async function open(
  opt: EmbeddedOptions = {},
  spec: QueueSpec = {},
  more: HarnessOptions = {},
): Promise<Fixture> {
  const h = await harness(embedded(opt), more)
  const wire = () =>
    h.driver!.open((h.service as BrokerService).internal('q').endpoint, null, { ...h.ctx, foreign: false }, c)
  const fixture: Fixture = {
    h,
    get service() {
      return h.service as BrokerService
    },
    source: async ({ reader = 'r', epoch = 1, from = earliest } = {}) =>
      (await wire()).source({ reader, epoch, from }, c),
    sink: async ({ writer = 'w', epoch = 1 } = {}) => (await wire()).sink({ writer, epoch }, c),
    write: async (...values) => (await (await fixture.sink()).write(batch(values, h.clock.now()), {}, c)).cursor,
  }
  await fixture.service.createQueue('q', spec, c)
  return fixture
}

export function batch(values: readonly string[], timestamp: number, key: string | null = null): Batch {
  const events = values.map(v => ({
    key: key === null ? null : Buffer.from(key),
    value: Buffer.from(v),
    headers: [],
    timestamp,
  }))
  return batchOf({ shard: '0', last: '', bytes: encodeBatch(events) })
}

/** Reads until so many events came: gaps as `reason from to`, events as their values. */
export async function read(source: Source, n: number): Promise<string[]> {
  const stop = new AbortController()
  const found: string[] = []
  let events = 0
  for await (const item of source.read(call(stop.signal))) {
    found.push(...show(item))
    if (!('reason' in item)) events += item.count
    if (events >= n) stop.abort()
  }
  return found
}

export function show(item: Batch | Gap): string[] {
  if ('reason' in item) return [`${item.reason} ${item.from} ${item.to}`]
  return Array.from(item.events({ bytes: 1 << 24 }), e => Buffer.from(e.value!).toString())
}

t.pass('tools')
