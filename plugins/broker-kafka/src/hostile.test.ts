import { gzipSync } from 'node:zlib'
import { AddressGuard, makeDial } from '@fnaa/client'
import { isFna, type Source } from '@fnaa/core/plugin'
import {
  BATCH_AT as AT,
  type Batch,
  type Codec,
  codecOf,
  codecs,
  crc32c,
  encodeBatch,
  type Gap,
  MAX_TIMESTAMP,
} from '@fnaa/protocol'
import t, { type Test } from 'tap'
import driver from './driver.js'
import {
  fetched,
  framed,
  hostileBroker,
  type Lies,
  metadata,
  offsets,
  TOPIC,
  versions,
} from './hostile-broker.test.helper.js'

// A stranger's cluster that lies (hardening H32): each lie has an error with a name, and this process lives on in bounded memory.

const DAY = 86_400_000
const MIB = 1 << 20
const event = (value: string, timestamp = Date.now()) => ({
  key: null,
  value: Buffer.from(value),
  headers: [] as [string, Buffer][],
  timestamp,
})
const good = (n = 3, baseOffset = 0) =>
  encodeBatch(
    Array.from({ length: n }, (_, i) => event(`v${baseOffset + i}`)),
    { baseOffset },
  )
/** A changed copy; its checksum is right again. */
function forged(batch: Buffer, change: (b: Buffer) => unknown): Buffer {
  const copy = Buffer.from(batch)
  change(copy)
  copy.writeUInt32BE(crc32c(copy.subarray(AT.attributes)), AT.crc)
  return copy
}
/** A batch with these compressed records, which says that it holds `count` events. */
function withRecords(records: Uint8Array, codec: Codec, count = 1): Buffer {
  const bits = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }[codec]
  const head = Buffer.concat([good(1).subarray(0, AT.records), records])
  return forged(head, b => {
    b.writeInt32BE(b.length - 12, AT.length)
    b.writeInt16BE(bits, AT.attributes)
    b.writeInt32BE(count, AT.count)
    b.writeInt32BE(count - 1, AT.lastOffsetDelta)
  })
}

// What the test stands on is loopback; nothing else of what strangers may not name is allowed.
const dial = makeDial({
  resolve: async () => ({ status: 'insecure', records: [] }) as never,
  guard: new AddressGuard({ allow: ['127.0.0.1/32'] }),
  timeoutMs: 2000,
})
const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log } as never

async function opened(t: Test, lies: Lies): Promise<Source> {
  const broker = await hostileBroker(lies)
  t.teardown(() => broker.close())
  const endpoint = { type: 'kafka', servers: [`127.0.0.1:${broker.port}`], queue: TOPIC }
  const wire = await driver.open(endpoint, null, { log, dial, foreign: true }, { signal: AbortSignal.timeout(20_000) })
  t.teardown(() => wire.close())
  const c = { signal: AbortSignal.timeout(20_000) }
  const source = await wire.source({ reader: 'r', epoch: 0, from: { at: 'earliest' } }, c)
  t.teardown(() => source.close())
  return source
}

/** What comes until it fails, or `n` pieces have come. */
async function taken(source: Source, n = 1000): Promise<{ pieces: (Batch | Gap)[]; error: unknown }> {
  const pieces: (Batch | Gap)[] = []
  try {
    for await (const piece of source.read({ signal: AbortSignal.timeout(60_000) })) {
      pieces.push(piece)
      if (pieces.length === n) break
    }
    return { pieces, error: null }
  } catch (error) {
    return { pieces, error }
  }
}

const records = (bytes: Uint8Array): Lies => ({ fetch: ({ correlation }) => framed(correlation, fetched(bytes)) })

t.test('an honest one is read, and is not asked without end where it does not wait', async t => {
  let asked = 0
  const source = await opened(t, {
    fetch: ({ correlation, nth }) => {
      asked = nth
      return framed(correlation, fetched(nth === 1 ? good() : Buffer.alloc(0)))
    },
  })
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 500)
  let events = 0
  for await (const piece of source.read({ signal: stop.signal })) events += (piece as Batch).count
  t.equal(events, 3)
  t.ok(asked < 20, `asked ${asked} times in half a second`)
})

const holed = forged(good(), b => b.writeInt32BE(9, AT.lastOffsetDelta))
const BATCHES: readonly [what: string, code: string, records: Buffer][] = [
  ['a wrong checksum', 'CORRUPT', Buffer.concat([good().subarray(0, -1), Buffer.from('?')])],
  ['a wrong checksum of one with holes', 'CORRUPT', Buffer.concat([holed.subarray(0, -1), Buffer.from('?')])],
  ['fewer records than it counts', 'CORRUPT', withRecords(good().subarray(AT.records), 'none', 4)],
  ['more records than it counts', 'CORRUPT', withRecords(good().subarray(AT.records), 'none', 2)],
  ['a negative count', 'CORRUPT', forged(good(), b => b.writeInt32BE(-7, AT.count))],
  ['a count of two thousand million', 'TOO_LARGE', withRecords(good().subarray(AT.records), 'none', 0x7fffffff)],
  [
    'the same with holes',
    'TOO_LARGE',
    forged(holed, b => [b.writeInt32BE(0x7ffffff0, AT.count), b.writeInt32BE(0x7fffffff, AT.lastOffsetDelta)]),
  ],
  ['offsets that have no room for its events', 'CORRUPT', forged(good(), b => b.writeInt32BE(1, AT.lastOffsetDelta))],
  ['a negative last offset', 'CORRUPT', forged(good(), b => b.writeInt32BE(-5, AT.lastOffsetDelta))],
  ['an offset over 53 bits', 'CORRUPT', forged(good(), b => b.writeBigInt64BE(2n ** 62n, AT.baseOffset))],
  ['a negative offset', 'CORRUPT', forged(good(), b => b.writeBigInt64BE(-9n, AT.baseOffset))],
  ['a time stamp over 53 bits', 'CORRUPT', forged(good(), b => b.writeBigInt64BE(2n ** 62n, AT.baseTimestamp))],
  ['an unknown codec', 'CORRUPT', forged(good(), b => b.writeInt16BE(6, AT.attributes))],
  ['version 0', 'UNSUPPORTED', forged(good(), b => b.writeInt8(0, AT.magic))],
  ['version 1', 'UNSUPPORTED', forged(good(), b => b.writeInt8(1, AT.magic))],
  [
    'a short message of version 1',
    'UNSUPPORTED',
    Buffer.from(`${'00'.repeat(8)}0000001600000000${'01'}${'00'.repeat(17)}`, 'hex'),
  ],
  ['a negative length', 'CORRUPT', forged(good(), b => b.writeInt32BE(-1, AT.length))],
  ['a huge length', 'CORRUPT', forged(good(), b => b.writeInt32BE(0x7fffffff, AT.length))],
  ['half a batch and nothing else', 'CORRUPT', good().subarray(0, -10)],
  ['what stands before the position, again and again', 'CORRUPT', good(3, -3)],
  ['gzip that is none', 'CORRUPT', withRecords(Buffer.from('not compressed'), 'gzip')],
  ['snappy that is none', 'CORRUPT', withRecords(Buffer.from('not compressed'), 'snappy')],
  ['lz4 that is none', 'CORRUPT', withRecords(Buffer.from('not compressed'), 'lz4')],
  ['headers that are not there', 'CORRUPT', withRecords(Buffer.from([14, 0, 0, 0, 1, 1, 0xfe, 0x01]), 'none')],
]
for (const [what, code, bytes] of BATCHES) {
  t.test(`a batch with ${what}`, async t => {
    const { pieces, error } = await taken(await opened(t, records(bytes)))
    t.equal(pieces.length, 0, 'nothing is passed on')
    t.equal((error as { code?: string } | null)?.code, `FNA_ERR_${code}`, String(error))
  })
}

t.test('a time beyond the year 9999 is the end of that year, which the sink moves', async t => {
  const lies = {
    'the newest': forged(good(), b => b.writeBigInt64BE(2n ** 63n - 1n, AT.maxTimestamp)),
    'all, in nanoseconds': forged(good(), b => {
      b.writeBigInt64BE(1_700_000_000_000_000_000n, AT.baseTimestamp)
      b.writeBigInt64BE(1_700_000_000_000_000_000n, AT.maxTimestamp)
    }),
  }
  for (const [what, bytes] of Object.entries(lies)) {
    const { pieces } = await taken(await opened(t, records(bytes)), 1)
    t.match(pieces, [{ count: 3, newest: MAX_TIMESTAMP }], what)
  }
})

t.test('bombs', async t => {
  const zeros = Buffer.alloc(64 * MIB)
  const bombs = {
    gzip: gzipSync(zeros),
    snappy: codecOf('snappy').compress(zeros),
    lz4: codecOf('lz4').compress(zeros),
  }
  for (const [codec, bomb] of Object.entries(bombs)) {
    for (const holes of [false, true]) {
      const batch = forged(withRecords(bomb, codec as Codec), b => holes && b.writeInt32BE(9, AT.lastOffsetDelta))
      const before = process.memoryUsage().rss
      const { pieces, error } = await taken(await opened(t, records(batch)))
      t.equal(pieces.length, 0)
      t.ok(isFna(error, 'FNA_ERR_CORRUPT'), `${codec}: ${error}`)
      const grown = process.memoryUsage().rss - before
      t.ok(grown < 120 * MIB, `${codec} grew this process by ${grown / MIB} MiB`)
    }
  }
})

t.test('small batches that expand to much hold up nobody else', async t => {
  // Sixteen megabytes of events that are all the same, in sixteen kilobytes; two hundred times.
  const value = 'x'.repeat(MIB - 100)
  const one = encodeBatch(
    Array.from({ length: 15 }, () => event(value)),
    { codec: 'gzip' },
  )
  const all = Buffer.concat(
    Array.from({ length: 200 }, (_, i) => {
      const copy = Buffer.from(one)
      copy.writeBigInt64BE(BigInt(i * 15), AT.baseOffset)
      return copy
    }),
  )
  const source = await opened(t, records(all))
  const reading = taken(source, 1)
  // Of this process's own time: a busy machine keeps it waiting besides.
  const worked = () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  }
  let longest = 0
  let last = worked()
  const beat = setInterval(() => {
    const now = worked()
    longest = Math.max(longest, now - last)
    last = now
  }, 1)
  const { pieces } = await reading
  clearInterval(beat)
  t.equal(pieces.length, 1)
  t.ok(longest < 500, `${Math.round(longest)} ms without a turn for others`)
})

t.test('what cannot be looked into is refused, zstd where Node has none', async t => {
  const { pieces, error } = await taken(await opened(t, records(withRecords(Buffer.from('any'), 'zstd'))))
  t.same(pieces, [])
  t.match(error, { code: codecs.has('zstd') ? 'FNA_ERR_CORRUPT' : 'FNA_ERR_UNSUPPORTED', message: /zstd/ })
})

t.test('time stamps are looked at, for the sink, which knows what it keeps', async t => {
  const now = Date.now()
  const wild = encodeBatch([event('a', now), event('b', now + 400 * DAY), event('c', 1)])
  const alone = await taken(await opened(t, records(wild)), 1)
  t.match(alone.pieces, [{ oldest: 1, newest: now + 400 * DAY, count: 3 }])
  const several = Buffer.concat([good(1), encodeBatch([event('old', 2)], { baseOffset: 1 }), good(1, 2)])
  const together = await taken(await opened(t, records(several)), 1)
  t.match(together.pieces, [{ oldest: 2, count: 3, made: { tier: 'rebatched', batches: 3 } }])
  const holed = forged(encodeBatch([event('x', 3), event('y')]), b => b.writeInt32BE(5, AT.lastOffsetDelta))
  t.match((await taken(await opened(t, records(holed)), 1)).pieces, [{ oldest: 3, made: { tier: 'decoded' } }])
})

t.test('marks of transactions are for nobody, and lists of what was aborted are bounded', async t => {
  const control = forged(good(1), b => b.writeInt16BE(0x20, AT.attributes))
  const both = Buffer.concat([control, good(2, 1)])
  const { pieces } = await taken(await opened(t, records(both)), 1)
  t.equal((pieces[0] as Batch).count, 2)
  const aborted = Array.from({ length: 400_000 }, () => [1n, 1n] as const)
  const many = (correlation: number) => framed(correlation, fetched(good(), { aborted }))
  const { error } = await taken(await opened(t, { fetch: ({ correlation }) => many(correlation) }))
  t.match(error, { code: 'FNA_ERR_UNAVAILABLE', message: /longer than any cluster needs/ })
})

const answer = (lies: Lies, message: RegExp, code = 'UNAVAILABLE') => ({ lies, message, code: `FNA_ERR_${code}` })
const ANSWERS: Readonly<Record<string, ReturnType<typeof answer>>> = {
  'of another correlation id': answer(
    { fetch: a => framed(a.correlation + 7, fetched(good())) },
    /something else than was asked/,
  ),
  'with bytes behind it': answer(
    { fetch: a => framed(a.correlation, fetched(good(), { behind: Buffer.from('more') })) },
    /something stands behind it/,
  ),
  'and another that nobody asked for': answer(
    {
      fetch: a =>
        Buffer.concat([framed(a.correlation, fetched(Buffer.alloc(0))), framed(a.correlation + 1, fetched(good()))]),
    },
    /nothing that was asked|something else/,
  ),
  'that is cut off': answer({ fetch: a => framed(a.correlation, fetched(good()).subarray(0, -5)) }, /ends too early/),
  'that counts more than it has': answer(
    { fetch: a => framed(a.correlation, Buffer.from('0000000000000000000000007fffffff', 'hex')) },
    /counts more than there is/,
  ),
  'longer than any': answer(
    {
      fetch: a => {
        const head = Buffer.alloc(8)
        head.writeInt32BE(100 * MIB)
        head.writeInt32BE(a.correlation, 4)
        return head
      },
    },
    /an answer of 104857600 bytes/,
  ),
  'of a negative length': answer({ fetch: () => Buffer.from('ffffffff', 'hex') }, /an answer of -1 bytes/),
  'that is HTTP': answer({ fetch: () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') }, /is this a Kafka listener/),
}
for (const [what, { lies, message, code }] of Object.entries(ANSWERS)) {
  t.test(`an answer ${what}`, async t => {
    const { pieces, error } = await taken(await opened(t, lies))
    t.equal(pieces.length, 0)
    t.match(error, { code, message })
  })
}

t.test('what opening refuses', async t => {
  const refused = async (lies: Lies, code: string, message?: RegExp) => {
    const error = await opened(t, lies).catch(e => e as Error)
    t.match(error, { code: `FNA_ERR_${code}`, ...(message && { message }) })
  }
  const told = (lie: Parameters<typeof metadata>[1]): Lies => ({
    metadata: a => framed(a.correlation, metadata(a.port, lie)),
  })
  for (const host of [
    '10.0.0.1',
    '127.0.0.2',
    '169.254.169.254',
    '::1',
    '::ffff:127.0.0.1',
    '192.168.1.1',
    '0x7f.1',
    '2130706433',
  ])
    await refused(told({ nodes: [[1, host, 9092]] }), 'ADDRESS')
  await refused(told({ nodes: [[1, '127.0.0.1', 0]] }), 'INVALID')
  await refused(
    told({ nodes: Array.from({ length: 6000 }, (_, i) => [i, '127.0.0.1', 1] as const) }),
    'UNAVAILABLE',
    /a cluster of 6000 brokers/,
  )
  await refused(told({ partitions: 200_000 }), 'UNAVAILABLE', /longer than any cluster needs/)
  await refused(
    { metadata: a => framed(a.correlation, Buffer.alloc(20 * MIB)) },
    'UNAVAILABLE',
    /an answer of 20971524 bytes/,
  )
  await refused({ versions: a => framed(a.correlation, versions().subarray(0, -1)) }, 'UNAVAILABLE', /ends too early/)
  await refused(
    { versions: a => framed(a.correlation, Buffer.from('000000000000', 'hex')) },
    'UNSUPPORTED',
    /not at all/,
  )
  await refused({ offsets: a => framed(a.correlation, offsets(2n ** 60n)) }, 'UNAVAILABLE', /out of range/)
})

t.test('an answer that trickles is given up in time', async t => {
  const broker = await hostileBroker({
    metadata: ({ socket, correlation }) => {
      const all = framed(correlation, Buffer.alloc(10_000))
      let at = 0
      const timer = setInterval(
        () => (socket.destroyed ? clearInterval(timer) : socket.write(all.subarray(at, ++at))),
        20,
      )
      return null
    },
  })
  t.teardown(() => broker.close())
  const { Connection, metadata: api } = await import('@fnaa/kafka-wire')
  const at = { host: '127.0.0.1', port: broker.port }
  const connection = await Connection.open(at, { dial, timeoutMs: 100 }, { signal: AbortSignal.timeout(5000) })
  const began = performance.now()
  await t.rejects(connection.request(api, { topics: [] }), {
    code: 'FNA_ERR_UNAVAILABLE',
    message: /does not answer Metadata in time/,
  })
  t.ok(performance.now() - began < 3500)
})
