import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '@fnaa/conformance'
import t from 'tap'
import { Disk } from './disk.js'

const key = (s: string) => Buffer.from(s)

t.test('many jobs share a commit, in order, each seeing those before it', async t => {
  const disk = new Disk(join(temporaryDirectory(), 'd.mdb'), 1 << 28)
  const table = disk.table('t')
  const groups = new Set<number>()
  const done: number[] = []
  const add = (i: number) =>
    disk.commit(
      (put, group) => {
        groups.add(group)
        const n = Number(table.get(key('n'))?.toString() ?? 0)
        put(table, key('n'), Buffer.from(String(n + 1)))
        return n
      },
      { grows: 1, done: () => done.push(i) },
    )
  const seen = await Promise.all(Array.from({ length: 500 }, (_, i) => add(i)))
  t.same(
    seen,
    Array.from({ length: 500 }, (_, i) => i),
  )
  t.same(done, seen)
  t.equal(groups.size, 1)
  t.equal(table.get(key('n'))?.toString(), '500')
  await disk.close()
})

t.test('a job that throws has written nothing and hurts nobody beside it', async t => {
  const disk = new Disk(join(temporaryDirectory(), 'd.mdb'), 1 << 28)
  const table = disk.table('t')
  const bad = disk.commit(
    put => {
      put(table, key('a'), key('half'))
      throw new Error('no')
    },
    { grows: 1 },
  )
  const good = disk.commit(put => put(table, key('b'), key('whole')), { grows: 1 })
  await t.rejects(bad, { message: 'no' })
  await good
  t.equal(table.get(key('a')), undefined)
  t.equal(table.get(key('b'))?.toString(), 'whole')
  await disk.close()
})

t.test('what the engine would refuse is refused before anything of it is written', async t => {
  const disk = new Disk(join(temporaryDirectory(), 'd.mdb'), 1 << 28)
  const table = disk.table('t')
  const written = (job: string, last: Buffer, value: Uint8Array | null = key('1')) =>
    disk.commit(
      put => {
        put(table, key(job), key('1'))
        put(table, last, value)
      },
      { grows: 1 },
    )
  const good = written('a', Buffer.alloc(1978, 1))
  const bad = [
    written('b', Buffer.alloc(1979)),
    written('c', Buffer.alloc(0)),
    written('d', Buffer.alloc(5000), null),
    written('e', key('x'), 'no bytes' as unknown as Uint8Array),
  ]
  const behind = written('f', key('last'))
  for (const one of bad) await t.rejects(one, { code: 'FNA_ERR_INVALID' })
  await Promise.all([good, behind])
  const keys = [...table.getKeys({})].map(k => k.toString())
  t.same(
    keys.filter(k => k.length < 10),
    ['a', 'f', 'last'],
  )
  t.equal(disk.failed, undefined)
  await disk.close()
})

t.test('what was given up while it waited is not done', async t => {
  const disk = new Disk(join(temporaryDirectory(), 'd.mdb'), 1 << 28)
  const table = disk.table('t')
  const stop = new AbortController()
  const work = disk.commit(put => put(table, key('a'), key('1')), { grows: 1, signal: stop.signal })
  stop.abort()
  await t.rejects(work, { code: 'FNA_ERR_TIMEOUT' })
  t.equal(table.get(key('a')), undefined)
  await disk.close()
  await t.rejects(
    disk.commit(() => 0, { grows: 0 }),
    { code: 'FNA_ERR_CLOSED' },
  )
})

t.test('full is full, but what does not grow is still possible', async t => {
  const disk = new Disk(join(temporaryDirectory(), 'd.mdb'), 1 << 20)
  const table = disk.table('t')
  const value = Buffer.alloc(50_000)
  let n = 0
  const fill = async () => {
    for (;;) {
      const name = key(`k${n}`)
      await disk.commit(put => put(table, name, value), { grows: value.length })
      n++
    }
  }
  await t.rejects(fill(), { code: 'FNA_ERR_FULL' })
  t.ok(n > 10, `${n} fitted`)
  t.equal(table.get(key(`k${n}`)), undefined)
  const { used, limit } = await disk.usage()
  t.ok(used <= limit && used > limit / 2)
  await disk.commit(put => put(table, key('k0'), null), { grows: 0 })
  await disk.commit(put => put(table, key('k1'), null), { grows: 0 })
  await disk.commit(put => put(table, key('again'), value), { grows: value.length })
  await disk.close()
})

t.test('a second opener in the process is refused, not waited for', async t => {
  const path = join(temporaryDirectory(), 'd.mdb')
  const disk = new Disk(path, 1 << 28)
  t.throws(() => new Disk(path, 1 << 28), { code: 'FNA_ERR_LOCKED' })
  await disk.close()
  await new Disk(path, 1 << 28).close()
})

t.test('nobody else may read the files', async t => {
  const directory = temporaryDirectory()
  const disk = new Disk(join(directory, 'd.mdb'), 1 << 28)
  await disk.commit(put => put(disk.table('t'), key('a'), key('1')), { grows: 1 })
  const files = readdirSync(directory)
  t.ok(files.length >= 2, files.join())
  for (const file of files) t.equal(statSync(join(directory, file)).mode & 0o777, 0o600, file)
  await disk.close()
})
