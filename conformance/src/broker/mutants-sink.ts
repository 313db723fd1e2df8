import type { Batch } from '@fnaa/protocol'
import { call } from '../harness.js'
import type { Named } from './mutants-service.js'
import { recode } from './recode.js'

/** Milliseconds after which a write that waits in memory is done. */
const LATER = 5
const DAY = 86_400_000
/** What the harness's clock shows at first is long past this. */
const FUTURE = Date.UTC(2900, 0, 1)

export const sinkMutants: readonly Named[] = [
  ['a write is acknowledged and not done', () => ({ sink: () => ({ write: async () => ({ cursor: '1' }) }) })],
  [
    'a write is acknowledged before it is durable',
    () => {
      const held = new Set<NodeJS.Timeout>()
      return {
        service: s => ({
          async close() {
            for (const timer of held) clearTimeout(timer)
            await s.close()
          },
        }),
        sink: s => ({
          async write(b, opt, c) {
            if (opt.exactly || c.signal.aborted || broken(b)) return s.write(b, opt, c)
            held.add(setTimeout(() => void s.write(b, opt, c).catch(() => {}), LATER))
            return { cursor: '1' }
          },
        }),
      }
    },
  ],
  [
    'a write is done twice',
    () => ({
      sink: s => ({
        async write(...a) {
          await s.write(...a)
          return s.write(...a)
        },
      }),
    }),
  ],
  ['a write that was given up is done', () => ({ sink: s => ({ write: (b, opt) => s.write(b, opt, call()) }) })],
  [
    'the cursor of a write is not behind it',
    () => ({
      sink: s => {
        let last = '0'
        return {
          async write(...a) {
            const before = last
            last = (await s.write(...a)).cursor
            return { cursor: before }
          },
        }
      },
    }),
  ],
  ['exactly is ignored', () => ({ sink: s => ({ write: (b, _opt, c) => s.write(b, {}, c) }) })],
  ['restore makes something up', () => ({ sink: () => ({ restore: async () => ({ epoch: '', shards: {} }) }) })],
  [
    'what is too large is cut off',
    () => ({
      sink: s => ({
        write: (b, opt, c) =>
          s.write(
            b.raw && broken(b) ? b : recode(b, e => e.map(x => ({ ...x, value: x.value?.subarray(0, 900) ?? null }))),
            opt,
            c,
          ),
      }),
    }),
  ],
  [
    'a batch of which one event is too large is written without it',
    () => ({
      sink: s => ({
        write: (b, opt, c) =>
          b.count > 1 && b.raw && !broken(b)
            ? s.write(
                recode(b, e => e.filter(x => (x.value?.length ?? 0) <= 1000)),
                opt,
                c,
              )
            : s.write(b, opt, c),
      }),
    }),
  ],
  [
    'broken bytes are written as if they were good',
    () => ({
      sink: s => ({ write: (b, opt, c) => (broken(b) ? Promise.resolve({ cursor: '0' }) : s.write(b, opt, c)) }),
    }),
  ],
  [
    'raw bytes are asked for',
    () => ({
      sink: s => ({
        async write(b, opt, c) {
          if (!b.raw) throw new Error('no raw bytes')
          return s.write(b, opt, c)
        },
      }),
    }),
  ],
  [
    'time stamps of the future come back as they were',
    () => ({
      source: s => ({
        async *read(c) {
          for await (const item of s.read(c)) {
            if ('reason' in item || item.newest < Date.UTC(2026, 0, 1) + DAY) yield item
            else yield recode(item, e => e.map((x, i) => (i === 0 ? { ...x, timestamp: FUTURE } : x)))
          }
        },
      }),
    }),
  ],
  [
    'keys are spread over the shards',
    () => ({ sink: s => ({ write: (b, opt, c) => s.write(broken(b) ? b : salt(b), opt, c) }) }),
  ],
]

/** The suite's broken batch cannot be decoded; the good broker refuses it by itself. */
function broken(b: Batch): boolean {
  if (!b.raw) return false
  const again = recode(b, e => e, 0)
  return Buffer.compare(again.raw!.bytes, b.raw.bytes) !== 0
}

let salted = 0
const salt = (b: Batch): Batch =>
  recode(b, e =>
    e.map(x => (x.key && x.key.length > 3 ? { ...x, key: Buffer.concat([x.key, Buffer.from([salted++ & 255])]) } : x)),
  )
