import assert from 'node:assert/strict'
import { fails, until } from '../suite.js'
import { type BrokerCase, batch, behind, commit, take } from './tools.js'

const isLog = (s: { model: string }) => s.model === 'log'
const ownClock = (s: { model: string; reach: string }) => s.model === 'log' && s.reach === 'process'

/** Where a reader is, and what it is told when it cannot go on from there. */
export const positionCases: readonly BrokerCase[] = [
  {
    name: 'latest sees only what comes after',
    needs: isLog,
    async run(x) {
      const queue = await x.queue('f.unix.test')
      await x.write(queue, 'before')
      const source = await x.source(queue, { from: { at: 'latest' } })
      await x.write(queue, 'after')
      assert.deepEqual((await take(source, 1)).values, ['after'])
    },
  },
  {
    name: 'from a time begins with the first event of that time or later',
    needs: isLog,
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const t0 = x.clock.now() - 60_000
      const at = (s: number) => x.event(String(s), { timestamp: t0 + s * 1000 })
      await x.write(queue, at(0), at(1), at(2))
      await x.write(queue, at(3), at(4))
      const from = async (time: number, n: number) => {
        const source = await x.source(queue, { reader: `t${time}`, from: { at: 'time', time } })
        return (await take(source, n)).values
      }
      assert.deepEqual(await from(t0 + 1000, 4), ['1', '2', '3', '4'])
      assert.deepEqual(await from(t0 + 2500, 2), ['3', '4'])
      assert.deepEqual(await from(0, 5), ['0', '1', '2', '3', '4'])
      const later = await x.source(queue, { reader: 'later', from: { at: 'time', time: t0 + 50_000 } })
      await x.write(queue, 'new')
      assert.deepEqual((await take(later, 1)).values, ['new'])
    },
  },
  {
    name: 'a reader goes on behind what it committed, across restarts',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      await x.write(queue, '1')
      await x.write(queue, '2')
      const source = await x.source(queue)
      await commit(source, await take(source, 2), x.c)
      await x.write(queue, '3')
      await source.close()
      const again = await x.source(queue)
      const third = await take(again, 1)
      assert.deepEqual(third.values, ['3'])
      await commit(again, third, x.c)
      await x.restart()
      await x.write(queue, '4')
      assert.deepEqual((await take(await x.source(queue), 1)).values, ['4'])
    },
  },
  {
    name: 'what was read and not committed comes again',
    needs: isLog,
    async run(x) {
      const queue = await x.queue('f.unix.test')
      await x.write(queue, '1')
      await x.write(queue, '2')
      const looked = await x.source(queue)
      await take(looked, 2)
      await looked.close()
      const source = await x.source(queue)
      const taken = await take(source, 2)
      assert.deepEqual(taken.values, ['1', '2'])
      await commit(source, { ...taken, batches: taken.batches.slice(0, 1) }, x.c)
      await source.close()
      const rest = taken.values.slice(taken.batches[0]!.count)
      if (rest.length > 0) assert.deepEqual((await take(await x.source(queue), rest.length)).values, rest)
    },
  },
  {
    name: 'readers are independent of each other',
    needs: s => s.readers === 'independent',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      await x.write(queue, '1', '2')
      const a = await x.source(queue, { reader: 'a' })
      await commit(a, await take(a, 2), x.c)
      assert.deepEqual((await take(await x.source(queue, { reader: 'b' }), 2)).values, ['1', '2'])
    },
  },
  {
    name: 'a position makes latest definite, can be come back to, and goes before what is stored',
    needs: isLog,
    async run(x) {
      const queue = await x.queue('f.unix.test')
      await x.write(queue, 'before')
      const source = await x.source(queue, { from: { at: 'latest' } })
      const position = await source.position(x.c)
      assert.equal(position.epoch, (await x.service.describeQueue(queue, x.c))?.epoch)
      await x.write(queue, '1', '2')
      const taken = await take(source, 2)
      await commit(source, taken, x.c)
      const after = await source.position(x.c)
      await source.close()
      const again = await x.source(queue, { from: { at: 'position', position } })
      assert.deepEqual((await take(again, 2)).values, ['1', '2'])
      await again.close()
      const behindThem = await x.source(queue, { reader: 'other', from: { at: 'position', position: after } })
      await x.write(queue, '3')
      assert.deepEqual((await take(behindThem, 1)).values, ['3'])
    },
  },
  {
    name: 'the cursor of a write is where what follows it begins',
    needs: s => s.model === 'log' && s.order === 'total',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const cursor = await x.write(queue, '1', '2')
      await x.write(queue, '3')
      const source = await x.source(queue)
      const { epoch, shards } = await source.position(x.c)
      const position = { epoch, shards: Object.fromEntries(Object.keys(shards).map(s => [s, cursor])) }
      const behindIt = await x.source(queue, { reader: 'other', from: { at: 'position', position } })
      assert.deepEqual((await take(behindIt, 1)).values, ['3'])
    },
  },
  {
    name: 'lag counts the events that a source has still to give, and in which epoch',
    needs: isLog,
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const source = await x.source(queue)
      assert.equal(await behind(source, x.c), 0)
      await x.write(queue, '1', '2', '3')
      await x.write(queue, '4')
      await x.clock.advance(5000)
      assert.equal(await behind(source, x.c), 4)
      const { epoch, shards } = await source.lag(x.c)
      assert.equal(epoch, (await x.service.describeQueue(queue, x.c))?.epoch)
      const waited = Math.max(...Object.values(shards).map(s => s.behindMs ?? 5000))
      if (x.manifest.supports.reach === 'process') assert.equal(waited, 5000)
      await take(source, 4)
      assert.equal(await behind(source, x.c), 0)
      const end = await x.source(queue, { reader: 'end', from: { at: 'latest' } })
      assert.equal(await behind(end, x.c), 0)
    },
  },
  {
    name: 'the consumers of a queue are listed with what they have not committed',
    needs: isLog,
    async run(x) {
      const queue = await x.queue('f.unix.test')
      await x.write(queue, '1', '2')
      const source = await x.source(queue, { reader: 'kernel' })
      await commit(source, await take(source, 2), x.c)
      await x.write(queue, '3')
      const found = (await x.service.listConsumers(queue, x.c)).find(r => r.name === 'kernel')
      assert.ok(found)
      assert.equal(found.lag ?? 1, 1)
    },
  },
  {
    name: 'a queue that was made anew is a gap to whoever had read the old one',
    needs: isLog,
    async run(x) {
      const queue = await x.queue('f.unix.test')
      await x.write(queue, 'old')
      const source = await x.source(queue)
      await commit(source, await take(source, 1), x.c)
      const position = await source.position(x.c)
      await source.close()
      await x.service.deleteQueue(queue, x.c)
      await x.service.createQueue(queue, {}, x.c)
      await x.write(queue, 'new')
      // Where positions are kept at the broker they may go with the queue: then only who names his own can be told.
      const own = { at: 'position', position } as const
      for (const from of x.manifest.supports.reach === 'process' ? [{ at: 'earliest' } as const, own] : [own]) {
        const { gaps, values } = await take(await x.source(queue, { from }), 1, { gaps: 1 })
        assert.deepEqual(
          gaps.map(g => g.reason),
          ['epoch'],
        )
        assert.deepEqual(values, ['new'])
      }
    },
  },
  {
    name: 'what retention took from a reader is a gap, and reading goes on behind it',
    needs: ownClock,
    async run(x) {
      const queue = await x.queue('f.unix.test', { retentionMs: 3_600_000 })
      await x.write(queue, '1')
      const source = await x.source(queue)
      await commit(source, await take(source, 1), x.c)
      await x.write(queue, 'lost')
      await x.clock.advance(7_200_000)
      const all = await x.source(queue, { reader: 'all' })
      await until(async () => (await behind(all, x.c)) === 0, x.clock)
      await x.write(queue, 'kept')
      const { gaps, values } = await take(await x.source(queue), 1, { gaps: 1 })
      assert.deepEqual(
        gaps.map(g => g.reason),
        ['retention'],
      )
      assert.notEqual(gaps[0]?.from, gaps[0]?.to)
      assert.deepEqual(values, ['kept'])
    },
  },
  {
    name: 'retention by bytes keeps the newest',
    needs: ownClock,
    async run(x) {
      const queue = await x.queue('f.unix.test', { retentionBytes: 20_000 })
      for (let i = 0; i < 60; i++) await x.write(queue, `${i} ${'x'.repeat(1000)}`)
      const source = await x.source(queue)
      await until(async () => (await behind(source, x.c)) <= 22, x.clock)
      const left = await behind(source, x.c)
      assert.ok(left >= 1, 'nothing is left')
      assert.ok((await take(source, left)).values.at(-1)?.startsWith('59 '))
    },
  },
  {
    name: 'a reader of a lower epoch than seen is fenced, and so is one that a higher epoch replaces',
    needs: isLog,
    async run(x) {
      const queue = await x.queue('f.unix.test')
      await x.write(queue, '1')
      const old = await x.source(queue, { epoch: 1 })
      const taken = await take(old, 1)
      const current = await x.source(queue, { epoch: 2 })
      await fails('FNA_ERR_FENCED', commit(old, taken, x.c))
      await fails('FNA_ERR_FENCED', x.source(queue, { epoch: 1 }))
      await commit(current, taken, x.c)
      await x.source(queue, { reader: 'other', epoch: 1 })
    },
  },
  {
    name: 'a writer of a lower epoch than seen is fenced, and so is one that a higher epoch replaces',
    needs: isLog,
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const old = await x.sink(queue, { epoch: 1 })
      await old.write(batch([x.event('1')]), {}, x.c)
      const current = await x.sink(queue, { epoch: 2 })
      await fails('FNA_ERR_FENCED', old.write(batch([x.event('late')]), {}, x.c))
      await fails('FNA_ERR_FENCED', x.sink(queue, { epoch: 1 }))
      await current.write(batch([x.event('2')]), {}, x.c)
      assert.deepEqual((await take(await x.source(queue), 2)).values, ['1', '2'])
    },
  },
]
