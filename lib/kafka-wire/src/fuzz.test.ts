import { LIMITS } from '@fnaa/protocol'
import t from 'tap'
import * as wire from './index.js'
import { type Api, cutBatches, KafkaError, Reader, recode, Writer } from './index.js'

// Every decoder of an answer, over answers that were damaged: each is read or refused by a KafkaError, in bounded time and memory.
// `npm run fuzz -- --cases N --seed S` runs more of them.
const CASES = Number(process.env['FNAAD_FUZZ_CASES'] ?? 20_000)
const SEED = Number(process.env['FNAAD_SEED'] ?? Date.now() % 2 ** 31)
t.setTimeout(Math.max(60_000, CASES))

/** Mulberry32: small, and the same everywhere. */
function random(seed: number): () => number {
  let a = seed | 0
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let n = Math.imul(a ^ (a >>> 15), 1 | a)
    n = (n + Math.imul(n ^ (n >>> 7), 61 | n)) ^ n
    return ((n ^ (n >>> 14)) >>> 0) / 2 ** 32
  }
}

const isApi = (x: unknown): x is Api<never, unknown> =>
  typeof x === 'object' && x !== null && 'decode' in x && 'versions' in x && 'key' in x
const APIS = (Object.values(wire) as unknown[]).filter(isApi)
const HOSTILE = [-1, 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x7fffffff, -0x80000000, 65_536, 1000]

/** Something that looks like an answer: lengths and counts that are mostly small, strings, numbers. */
function body(next: () => number, flexible: boolean): Buffer {
  const below = (n: number) => Math.floor(next() * n)
  const w = new Writer(flexible)
  for (let n = below(60); n > 0; n--) {
    switch (below(8)) {
      case 0:
        w.int8(below(3) - 1)
        break
      case 1:
        w.int16(below(4))
        break
      case 2:
        w.int32(below(5))
        break
      case 3:
        w.int32(HOSTILE[below(HOSTILE.length)]!)
        break
      case 4:
        w.int64(BigInt(below(1000)) * (next() < 0.1 ? 2n ** 50n : 1n))
        break
      case 5:
        w.string('x'.repeat(below(20)))
        break
      case 6:
        w.uvarint(next() < 0.2 ? 2 ** 31 : below(6))
        break
      default:
        w.bytes(Buffer.alloc(below(80), below(256)))
    }
  }
  return Buffer.concat(w.pieces())
}

t.test(`answers, ${CASES} cases, seed ${SEED}`, async t => {
  t.ok(APIS.length > 15, `${APIS.length} requests`)
  const next = random(SEED)
  let read = 0
  const began = process.memoryUsage().rss
  for (let i = 0; i < CASES; i++) {
    const api = APIS[Math.floor(next() * APIS.length)]!
    const version = api.versions[0] + Math.floor(next() * (api.versions[1] - api.versions[0] + 1))
    const reader = new Reader(body(next, api.flexible !== undefined && version >= api.flexible))
    reader.flexible = api.flexible !== undefined && version >= api.flexible
    try {
      api.decode(reader, version)
      read++
    } catch (e) {
      if (!(e instanceof KafkaError)) t.fail(`case ${i}: ${api.name} ${version}: ${(e as Error).stack}`)
    }
  }
  t.ok(read > 0 && read < CASES, `${read} of ${CASES} could be read`)
  t.ok(process.memoryUsage().rss - began < 300 << 20, 'memory is bounded')
})

t.test(`record sets, ${CASES} cases, seed ${SEED}`, async t => {
  const next = random(SEED + 1)
  const { encodeBatch } = await import('@fnaa/protocol')
  const made = (['none', 'gzip', 'snappy', 'lz4'] as const).map(codec =>
    encodeBatch(
      Array.from({ length: 6 }, (_, i) => ({
        key: i % 2 ? Buffer.from(`k${i}`) : null,
        value: Buffer.from('value '.repeat(i * 4)),
        headers: [['h', Buffer.from('v')]] as [string, Buffer][],
        timestamp: 1_700_000_000_000 + i,
      })),
      { codec },
    ),
  )
  const { crc32c, BATCH_AT, isFnapError } = await import('@fnaa/protocol')
  for (let i = 0; i < CASES; i++) {
    const records = Buffer.concat([made[Math.floor(next() * 4)]!, made[Math.floor(next() * 4)]!])
    for (let n = Math.floor(next() * 5); n >= 0; n--)
      records[Math.floor(next() * records.length)] = Math.floor(next() * 256)
    try {
      for (const b of cutBatches(records.subarray(0, Math.floor(next() * (records.length + 1)))).batches) {
        if (b.magic !== 2) continue
        b.bytes.writeUInt32BE(crc32c(b.bytes.subarray(BATCH_AT.attributes)), BATCH_AT.crc)
        recode(b.bytes, 0, { events: LIMITS.batchEvents, headers: LIMITS.batchHeaders })
      }
    } catch (e) {
      if (!(e instanceof KafkaError) && !isFnapError(e)) t.fail(`case ${i}: ${(e as Error).stack}`)
    }
  }
  t.pass('each was read or refused')
})
