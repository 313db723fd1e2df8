import type { Source } from '@fnaa/core/plugin'
import type { Batch, Gap } from '@fnaa/protocol'
import { call } from '../harness.js'
import type { Breakage } from './mutants.js'
import type { Named } from './mutants-service.js'
import { recode } from './recode.js'

type Edit = (b: Batch) => Batch
type Read = (good: Source, ...a: Parameters<Source['read']>) => ReturnType<Source['read']>

/** A source that reads otherwise. */
const reading = (read: Read) => (): Breakage => ({ source: s => ({ read: c => read(s, c) }) })
/** A source whose batches are changed. */
const batches = (edit: Edit) =>
  reading(async function* (s, c) {
    for await (const item of s.read(c)) yield isGap(item) ? item : edit(item)
  })
const isGap = (item: Batch | Gap): item is Gap => 'reason' in item

const silent = (reason: Gap['reason']) =>
  reading(async function* (s, c) {
    for await (const item of s.read(c)) if (!isGap(item) || item.reason !== reason) yield item
  })

/** Events that the source has still to give. */
async function left(s: Source): Promise<number> {
  const { shards } = await s.lag(call())
  return Object.values(shards).reduce((n, x) => n + x.behind, 0)
}

const reads: readonly Named[] = [
  ['the first event of a batch is dropped', batches(b => recode(b, e => (e.length > 1 ? e.slice(1) : e)))],
  ['events inside a batch are reordered', batches(b => recode(b, e => [...e].reverse()))],
  ['keys are lost', batches(b => recode(b, e => e.map(x => ({ ...x, key: null }))))],
  ['headers are lost', batches(b => recode(b, e => e.map(x => ({ ...x, headers: [] }))))],
  ['times are lost', batches(b => recode(b, e => e.map(x => ({ ...x, timestamp: b.newest }))))],
  [
    'no value becomes an empty one',
    batches(b => recode(b, e => e.map(x => ({ ...x, value: x.value ?? Buffer.alloc(0) })))),
  ],
  ['offsets do not go on', batches(b => ({ ...b, raw: recode(b, e => e, 0).raw! }))],
  ['a batch counts more than it has', batches(b => ({ ...b, count: b.count + 1 }))],
  ['a batch names another shard', batches(b => ({ ...b, shard: '1' }))],
  [
    'a batch comes twice',
    reading(async function* (s, c) {
      for await (const item of s.read(c)) {
        yield item
        if (!isGap(item)) yield item
      }
    }),
  ],
  [
    'a batch is dropped now and then',
    reading(async function* (s, c) {
      let n = 0
      for await (const item of s.read(c)) if (++n % 5 !== 0) yield item
    }),
  ],
  [
    'batches are reordered',
    reading(async function* (s, c) {
      let held: Batch | Gap | undefined
      for await (const item of s.read(c)) {
        if (!held && (await left(s)) > 0) held = item
        else {
          yield item
          if (held) yield held
          held = undefined
        }
      }
    }),
  ],
  [
    'a read ends at the end of the log',
    reading(async function* (s, c) {
      if ((await left(s)) === 0) return
      for await (const item of s.read(c)) {
        yield item
        if ((await left(s)) === 0) return
      }
    }),
  ],
  ['a read does not end', reading(s => s.read(call()))],
  ['a gap by retention is kept silent', silent('retention')],
  ['a gap by a new queue is kept silent', silent('epoch')],
  [
    'every gap is one of retention',
    reading(async function* (s, c) {
      for await (const item of s.read(c)) yield isGap(item) ? { ...item, reason: 'retention' } : item
    }),
  ],
]

const positions: readonly Named[] = [
  ['commit forgets', () => ({ source: () => ({ commit: async () => {} }) })],
  [
    'commit is not asked for: what was read counts as done',
    () => ({
      source: s => ({
        async *read(c) {
          for await (const item of s.read(c)) {
            yield item
            if (!isGap(item)) await s.commit(item.shard, item.last, call())
          }
        },
      }),
    }),
  ],
  [
    'lag is always nothing',
    () => ({
      source: s => ({
        async lag(c) {
          const { epoch, shards } = await s.lag(c)
          return { epoch, shards: Object.fromEntries(Object.keys(shards).map(k => [k, { behind: 0 }])) }
        },
      }),
    }),
  ],
  [
    'lag counts batches',
    () => ({
      source: s => ({
        async lag(c) {
          const { epoch, shards } = await s.lag(c)
          const half = Object.entries(shards).map(([k, v]) => [k, { ...v, behind: Math.ceil(v.behind / 2) }] as const)
          return { epoch, shards: Object.fromEntries(half) }
        },
      }),
    }),
  ],
  ['lag names another epoch', () => ({ source: s => ({ lag: async c => ({ ...(await s.lag(c)), epoch: 'other' }) }) })],
  [
    'a position names another epoch',
    () => ({ source: s => ({ position: async c => ({ ...(await s.position(c)), epoch: 'x' }) }) }),
  ],
  [
    'a position stays where the source began',
    () => ({
      source: s => {
        const began = s.position(call())
        return { position: () => began }
      },
    }),
  ],
]

const starts: readonly Named[] = [
  [
    'latest is earliest',
    () => ({
      wire: w => ({ source: (o, c) => w.source(o.from.at === 'latest' ? { ...o, from: { at: 'earliest' } } : o, c) }),
    }),
  ],
  [
    'a time is earliest',
    () => ({
      wire: w => ({ source: (o, c) => w.source(o.from.at === 'time' ? { ...o, from: { at: 'earliest' } } : o, c) }),
    }),
  ],
  [
    'a stored position goes before one that is named',
    () => ({
      wire: w => ({
        source: (o, c) =>
          w.source(o.from.at === 'position' && o.reader === 'reader' ? { ...o, from: { at: 'latest' } } : o, c),
      }),
    }),
  ],
  ['all readers are one', () => ({ wire: w => ({ source: (o, c) => w.source({ ...o, reader: 'one' }, c) }) })],
  ['readers are not fenced', () => ({ wire: w => ({ source: (o, c) => w.source({ ...o, epoch: 1 }, c) }) })],
  ['writers are not fenced', () => ({ wire: w => ({ sink: (o, c) => w.sink({ ...o, epoch: 1 }, c) }) })],
]

export const sourceMutants: readonly Named[] = [...reads, ...positions, ...starts]
