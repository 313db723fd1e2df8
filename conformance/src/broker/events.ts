import assert from 'node:assert/strict'
import { checkBatch } from '@fnaa/protocol'
import { call } from '../harness.js'
import { fails, within } from '../suite.js'
import { type BrokerCase, batch, take } from './tools.js'

const DAY = 86_400_000
const hex = (b: Uint8Array | null) => b && Buffer.from(b).toString('hex')

/** The data face: what is written is what is read. */
export const eventCases: readonly BrokerCase[] = [
  {
    name: 'an event comes back with its key, value, headers and time',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const at = x.clock.now() - 5000
      const headers = [
        ['ce_type', Buffer.from('t')],
        ['ce_type', Buffer.from([0, 255])],
      ] as const
      await x.write(
        queue,
        x.event('v', { key: Buffer.from([1, 0]), headers, timestamp: at }),
        x.event(null),
        x.event(''),
      )
      const { events } = await take(await x.source(queue), 3)
      const [first, second, third] = events.map(e => e.event)
      assert.deepEqual([hex(first!.key), hex(first!.value), first!.timestamp], ['0100', hex(Buffer.from('v')), at])
      assert.deepEqual(
        first!.headers.map(([k, v]) => [k, hex(v)]),
        headers.map(([k, v]) => [k, hex(v)]),
      )
      assert.deepEqual([second!.key, second!.value], [null, null])
      assert.equal(third!.value?.length, 0)
    },
  },
  {
    name: 'events come once each and in the order in which they were written',
    needs: s => s.model === 'log' && s.order !== 'none',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const values = Array.from({ length: 60 }, (_, i) => String(i))
      const sink = await x.sink(queue)
      const key = Buffer.from('k')
      for (let i = 0; i < 60; i += 5) {
        const part = values.slice(i, i + 5).map(v => x.event(v, { key }))
        await sink.write(batch(part), {}, x.c)
      }
      const taken = await take(await x.source(queue), 60)
      assert.deepEqual(taken.values, values)
      assert.equal(
        taken.batches.reduce((n, b) => n + b.count, 0),
        60,
      )
      for (const b of taken.batches) assert.ok(b.last.length > 0 && Buffer.byteLength(b.last) <= 64)
    },
  },
  {
    name: 'no event is lost where order is not promised',
    needs: s => s.model === 'queue' || s.order === 'none',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const values = Array.from({ length: 20 }, (_, i) => String(i))
      await x.write(queue, ...values)
      assert.deepEqual(new Set((await take(await x.source(queue), 20)).values), new Set(values))
    },
  },
  {
    name: 'many writers at once lose nothing, and each one’s events keep their order',
    needs: s => s.model === 'log',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const writers = Array.from({ length: 8 }, (_, w) => `w${w}`)
      await Promise.all(
        writers.map(async writer => {
          const sink = await x.sink(queue, { writer })
          for (let i = 0; i < 15; i++)
            await sink.write(batch([x.event(`${writer} ${i}`), x.event(`${writer} ${i}b`)]), {}, x.c)
        }),
      )
      const { values } = await take(await x.source(queue), 240)
      assert.equal(new Set(values).size, 240)
      if (x.manifest.supports.order !== 'total') return
      for (const w of writers) {
        const own = values.filter(v => v?.startsWith(`${w} `))
        assert.deepEqual(own, Array.from({ length: 15 }, (_, i) => [`${w} ${i}`, `${w} ${i}b`]).flat())
      }
    },
  },
  {
    name: 'with several shards a key stays in one, in order',
    needs: s => s.model === 'log' && s.order !== 'none',
    async run(x) {
      const queue = await x.queue('f.unix.test', { shards: 4 })
      const keys = Array.from({ length: 12 }, (_, k) => `key${k}`)
      for (let i = 0; i < 5; i++) await x.write(queue, ...keys.map(k => x.event(`${k} ${i}`, { key: Buffer.from(k) })))
      const { events } = await take(await x.source(queue), 60)
      for (const k of keys) {
        const own = events.filter(e => e.value?.startsWith(`${k} `))
        assert.deepEqual(
          own.map(e => e.value),
          [0, 1, 2, 3, 4].map(i => `${k} ${i}`),
        )
        assert.equal(new Set(own.map(e => e.shard)).size, 1, `${k} is in several shards`)
      }
    },
  },
  {
    name: 'a batch that has no raw bytes is written all the same',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const sink = await x.sink(queue)
      const events = [x.event('a'), x.event('b')]
      const decoded = { shard: '0', last: '', count: 2, newest: x.clock.now(), events: () => events }
      await sink.write(decoded, {}, x.c)
      assert.deepEqual(new Set((await take(await x.source(queue), 2)).values), new Set(['a', 'b']))
    },
  },
  {
    name: 'raw batches are whole, and their offsets go on without holes',
    needs: s => s.batch === 'kafka-v2',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      for (let i = 0; i < 4; i++) await x.write(queue, `${i}a`, `${i}b`, `${i}c`)
      let next = 0
      for (const b of (await take(await x.source(queue), 12)).batches) {
        assert.equal(b.raw?.format, 'kafka-v2')
        const header = checkBatch(b.raw.bytes)
        assert.equal(header.baseOffset, next)
        assert.equal(header.count, b.count)
        assert.equal(header.newest, b.newest)
        next += header.count
      }
    },
  },
  {
    name: 'a reader that waits is given what comes',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const source = await x.source(queue)
      const taken = take(source, 3)
      for (const v of ['1', '2', '3']) await x.write(queue, v)
      assert.deepEqual(new Set((await taken).values), new Set(['1', '2', '3']))
    },
  },
  {
    name: 'a read ends when its signal aborts, waiting or not',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      for (const events of [0, 1]) {
        if (events) await x.write(queue, 'v')
        const stop = new AbortController()
        const source = await x.source(queue, { reader: `r${events}` })
        const ended = (async () => {
          for await (const _ of source.read(call(stop.signal)));
        })()
        await new Promise(resolve => setImmediate(resolve))
        stop.abort()
        await within(
          2000,
          'the read to end',
          ended.catch(() => {}),
        )
      }
      const late = await x.source(queue, { reader: 'late' })
      const ended = (async () => {
        for await (const _ of late.read(call(AbortSignal.abort())));
      })().catch(() => {})
      await within(2000, 'a read that begins after its signal has aborted to end', ended)
    },
  },
  {
    name: 'a read of a source that is closed ends',
    async run(x) {
      const source = await x.source(await x.queue('f.unix.test'))
      const ended = (async () => {
        for await (const _ of source.read(x.c));
      })().catch(() => {})
      await new Promise(resolve => setImmediate(resolve))
      await source.close()
      await within(2000, 'the read to end', ended)
    },
  },
  {
    name: 'a write that was given up before it began is refused and writes nothing',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const sink = await x.sink(queue)
      await assert.rejects(sink.write(batch([x.event('no')]), {}, call(AbortSignal.abort())))
      await x.write(queue, 'yes')
      assert.deepEqual((await take(await x.source(queue), 1)).values, ['yes'])
    },
  },
  {
    name: 'what was acknowledged is there after a restart',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      await Promise.all(['1', '2', '3'].map(v => x.write(queue, v)))
      await x.restart()
      assert.deepEqual(new Set((await take(await x.source(queue), 3)).values), new Set(['1', '2', '3']))
      await x.write(queue, '4')
      assert.ok((await take(await x.source(queue, { reader: 'other' }), 4)).values.includes('4'))
    },
  },
  {
    name: 'an event that passes maxEventBytes is refused, and the rest goes on',
    async run(x) {
      const queue = await x.queue('f.unix.test', { maxEventBytes: 1000 })
      await fails('FNA_ERR_TOO_LARGE', x.write(queue, 'x'.repeat(1001)))
      await fails('FNA_ERR_TOO_LARGE', x.write(queue, 'fits', 'x'.repeat(1001)))
      await x.write(queue, 'y'.repeat(900))
      assert.deepEqual((await take(await x.source(queue), 1)).values, ['y'.repeat(900)])
    },
  },
  {
    name: 'bytes that are no batch are refused',
    needs: s => s.batch === 'kafka-v2',
    async run(x) {
      const sink = await x.sink(await x.queue('f.unix.test'))
      const good = batch([x.event('v')])
      const bytes = Buffer.from(good.raw!.bytes)
      bytes[bytes.length - 1]! ^= 1
      await assert.rejects(sink.write({ ...good, raw: { ...good.raw!, bytes } }, {}, x.c))
    },
  },
  {
    name: 'time stamps of the far future and the far past are moved into what the queue keeps (hardening H32)',
    needs: s => s.reach === 'process',
    async run(x) {
      const queue = await x.queue('f.unix.test', { retentionMs: 7 * DAY })
      const now = x.clock.now()
      const stamps = [Date.UTC(3000, 0, 1), Date.UTC(1970, 0, 2), now - DAY, now + DAY / 2]
      await x.write(queue, ...stamps.map((timestamp, i) => x.event(String(i), { timestamp })))
      const { events } = await take(await x.source(queue), 4)
      const [future, past, yesterday, soon] = events.map(e => e.event.timestamp)
      assert.ok(future! <= now + DAY && past! >= now - 7 * DAY)
      assert.deepEqual([yesterday, soon], [now - DAY, now + DAY / 2])
    },
  },
  {
    name: 'where there are no transactions, exactly is refused and restore knows nothing',
    needs: s => !s.transactions,
    async run(x) {
      const sink = await x.sink(await x.queue('f.unix.test'))
      await fails(
        'FNA_ERR_UNSUPPORTED',
        sink.write(batch([x.event('v')]), { exactly: { reader: 'r', epoch: 'e' } }, x.c),
      )
      assert.equal(await sink.restore('r', x.c), null)
    },
  },
]
