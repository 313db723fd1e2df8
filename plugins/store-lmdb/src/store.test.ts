import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { call, harness, TestClock, temporaryDirectory } from '@fnaa/conformance'
import type { Change, FlowSpec } from '@fnaa/core/plugin'
import type { Lock } from '@fnaa/lib-lmdb'
import { Disk } from '@fnaa/lib-lmdb'
import t from 'tap'
import { storeLmdb } from './index.js'
import { storeService } from './service.js'

const c = call()
const spec = { namespace: 'n', broker: 'b' } as unknown as FlowSpec
const flow = (name: string, more: object = {}) => ({
  kind: 'Flow' as const,
  name,
  spec: { ...spec, ...more },
  finalizers: [],
})

t.test('a store of a newer layout is refused and left alone', async t => {
  const directory = temporaryDirectory()
  await (await harness(storeLmdb(), { directory })).close()
  const disk = new Disk(join(directory, 'store.mdb'), 1 << 28)
  disk.now(() => disk.table('meta').put(Buffer.from('schema'), Buffer.from('2')))
  await disk.close()
  await t.rejects(harness(storeLmdb(), { directory }), { code: 'FNA_ERR_CONFIG', message: /newer version \(layout 2/ })
  await t.rejects(harness(storeLmdb(), { directory }), { code: 'FNA_ERR_CONFIG' }, 'and the lock was given back')
})

t.test('a file that is no store is refused', async t => {
  const directory = temporaryDirectory()
  writeFileSync(join(directory, 'store.mdb'), Buffer.alloc(65_536, 'x'))
  await t.rejects(harness(storeLmdb(), { directory }), { code: 'FNA_ERR_CORRUPT' })
})

t.test('the directory of an option goes before the instance’s own', async t => {
  const directory = join(temporaryDirectory(), 'deep', 'er')
  const h = await harness(storeLmdb({ directory }))
  await t.rejects(harness(storeLmdb({ directory })), { code: 'FNA_ERR_LOCKED' })
  await h.close()
})

t.test('a full store refuses what grows, half-writes nothing, and still deletes', async t => {
  const h = await harness(storeLmdb({ mapSize: 1 << 20 }))
  const made: string[] = []
  const fill = async () => {
    for (let i = 0; ; i++) {
      await h.service.create(flow(`f${i}`, { about: 'x'.repeat(10_000) }), c)
      made.push(`f${i}`)
    }
  }
  await t.rejects(fill(), { code: 'FNA_ERR_FULL' })
  t.same(
    (await h.service.list('Flow', { limit: 1000 }, c)).items.map(r => r.name),
    [...made].sort(),
  )
  const { used, limit } = await h.service.usage(c)
  t.ok(used > limit * 0.8, 'usage says it')
  for (const name of made.slice(0, 20)) t.equal(await h.service.delete('Flow', name, {}, c), 'gone')
  await h.close()
})

t.test('a watch that falls behind the kept changes is told to list again, and goes on from there', async t => {
  const disk = new Disk(join(temporaryDirectory(), 'd.mdb'), 1 << 28)
  const lock = { release: async () => {} } as Lock
  const s = storeService(disk, lock, 'me', new TestClock(), 40)
  const { at } = await s.list('Flow', { limit: 1 }, c)
  for (let i = 0; i < 30; i++) await s.create(flow(`a${i}`), c)
  t.equal((await first(s.watch(['Flow'], at, c), 30)).filter(x => x.type === 'put').length, 30, 'all are kept')
  await Promise.all(Array.from({ length: 200 }, (_, i) => s.create(flow(`b${i}`), c)))
  const late = s.watch(['Flow'], at, c)
  t.same(await first(late, 1), [{ type: 'resync' }])
  const after = first(s.watch(['Flow'], at, c), 2)
  await new Promise(resolve => setImmediate(resolve))
  await s.create(flow('last'), c)
  const [resync, put] = await after
  t.equal(resync?.type, 'resync')
  t.ok(put?.type === 'put' && put.resource.name === 'last')
  await s.close()
})

t.test('a resource that is too large and names that are none are refused', async t => {
  const h = await harness(storeLmdb())
  await t.rejects(h.service.create(flow('f', { about: 'x'.repeat(1 << 20) }), c), { code: 'FNA_ERR_TOO_LARGE' })
  await t.rejects(h.service.create(flow(''), c), { code: 'FNA_ERR_INVALID' })
  await t.rejects(h.service.get('Flow', 'x'.repeat(513), c), { code: 'FNA_ERR_INVALID' })
  t.throws(() => h.service.bucket('plugin:\0'), { code: 'FNA_ERR_INVALID' })
  t.equal(await h.service.get('Flow', 'f', c), null)
  await h.close()
})

async function first(changes: AsyncIterable<Change>, n: number): Promise<Change[]> {
  const found: Change[] = []
  for await (const change of changes) if (found.push(change) === n) break
  return found
}
