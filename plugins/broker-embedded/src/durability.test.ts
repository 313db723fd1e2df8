import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { harness, temporaryDirectory, until } from '@fnaa/conformance'
import { Disk, type Table } from '@fnaa/lib-lmdb'
import { checkBatch } from '@fnaa/protocol'
import { open as openLmdb } from 'lmdb'
import t from 'tap'
import { embedded } from './index.js'
import { batch, c, type Fixture, open, read } from './tools.test.helper.js'

t.test('what a killed process was told is written is there, in order', async t => {
  const directory = temporaryDirectory()
  const code = `
    import { open } from ${JSON.stringify(new URL('./tools.test.helper.js', import.meta.url).href)}
    const x = await open({}, {}, { directory: ${JSON.stringify(directory)} })
    for (let i = 0; ; i++) {
      await x.write(String(i))
      process.stdout.write('wrote ' + i + '\\n')
    }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  let last = -1
  const note = (line: string) => {
    const said = /^wrote (\d+)$/.exec(line)
    if (said) last = Number(said[1])
  }
  while (last < 40) {
    const { value, done } = await lines.next()
    if (done) throw new Error('the writer ended')
    note(value)
  }
  await t.rejects(harness(embedded({ directory })), { code: 'FNA_ERR_LOCKED', message: `process ${child.pid}` })
  const { endpoint } = (await open()).service.internal('q')
  const elsewhere = { ...endpoint, options: { directory } }
  const driver = (await import('./driver.js')).default
  await t.rejects(driver.open(elsewhere, null, { foreign: false } as never, c), {
    code: 'FNA_ERR_UNSUPPORTED',
    message: /not open in this process/,
  })
  child.kill('SIGKILL')
  for await (const line of { [Symbol.asyncIterator]: () => lines }) note(line)
  await once(child, 'exit').catch(() => {})
  const x = await open({ directory })
  const values = await read(await x.source(), last + 1)
  t.same(
    values.slice(0, last + 1),
    Array.from({ length: last + 1 }, (_, i) => String(i)),
  )
  await x.write('goes on')
  await x.h.close()
})

t.test('read positions are on disk within a second', async t => {
  const x = await open()
  await x.write('a')
  const source = await x.source()
  await source.commit('0', '1', c)
  const log = peek(x)
  const stored = () => log('readers').get(Buffer.from('q\0r'))?.toString()
  await x.h.clock.advance(1000)
  await until(() => stored() !== undefined)
  t.match(JSON.parse(stored()!), { shards: { 0: '1' } })
  await x.h.close()
})

t.test('fences hold across restarts', async t => {
  const x = await open()
  await x.source({ epoch: 5 })
  await x.sink({ epoch: 6 })
  await x.h.restart()
  await t.rejects(x.source({ epoch: 4 }), { code: 'FNA_ERR_FENCED' })
  await t.rejects(x.sink({ epoch: 5 }), { code: 'FNA_ERR_FENCED' })
  await x.source({ epoch: 5 })
  await x.sink({ epoch: 7 })
  await x.sink({ writer: 'other', epoch: 1 })
  await x.h.close()
})

t.test('a full log refuses writes, half-writes nothing, and goes on once there is room', async t => {
  const x = await open({ mapSize: 1 << 20 }, { retentionMs: 3_600_000 })
  let n = 0
  const fill = async () => {
    for (; ; n++) await x.write(String(n), 'x'.repeat(20_000))
  }
  await t.rejects(fill(), { code: 'FNA_ERR_FULL' })
  t.ok(n > 10)
  const source = await x.source()
  t.equal((await source.lag(c)).shards['0']?.behind, 2 * n)
  await read(source, 2 * n)
  await source.commit('0', String(2 * n), c)
  await x.h.clock.advance(7_200_000)
  const left = await x.source({ reader: 'other' })
  await until(async () => (await left.lag(c)).shards['0']!.behind === 0, x.h.clock)
  t.equal(await x.write('again'), String(2 * n + 1))
  t.same(await read(source, 1), ['again'])
  await x.h.close()
})

t.test('what a deleted queue held is reclaimed in the background', async t => {
  const x = await open()
  for (let i = 0; i < 300; i++) await x.write('x'.repeat(500))
  await x.service.createQueue('other', {}, c)
  await x.service.deleteQueue('q', c)
  const log = peek(x)
  await until(() => log('trash').getCount() === 0, x.h.clock)
  for (const name of ['log', 'times', 'shards', 'trash']) t.equal(log(name).getCount(), 0, name)
  t.equal(log('queues').getCount(), 1)
  await x.h.close()
})

t.test('many writers share a commit', async t => {
  const x = await open()
  const sinks = await Promise.all(Array.from({ length: 100 }, (_, i) => x.sink({ writer: `w${i}` })))
  const log = peek(x)('log')
  const transactions = () => (log.getStats() as { lastTxnId: number }).lastTxnId
  const before = transactions()
  await Promise.all(sinks.map((s, i) => s.write(batch([String(i)], x.h.clock.now()), {}, c)))
  const after = transactions()
  t.ok(after - before < 20, `${after - before} transactions for 100 writes`)
  const stored = await read(await x.source(), 100)
  t.same(
    stored,
    Array.from({ length: 100 }, (_, i) => String(i)),
  )
  await x.h.close()
})

t.test('a log of a newer layout is refused', async t => {
  const directory = temporaryDirectory()
  await (await harness(embedded(), { directory })).close()
  const disk = new Disk(join(directory, 'log.mdb'), 1 << 30)
  disk.now(() => disk.table('meta').put(Buffer.from('schema'), Buffer.from('2')))
  await disk.close()
  await t.rejects(harness(embedded(), { directory }), { code: 'FNA_ERR_CONFIG', message: /newer version/ })
})

t.test('stored batches carry their own offsets', async t => {
  const x = await open()
  await x.write('a', 'b')
  await x.write('c')
  const offsets: number[] = []
  for await (const item of (await x.source()).read(c)) {
    if ('reason' in item) continue
    offsets.push(checkBatch(item.raw!.bytes).baseOffset)
    if (offsets.length === 2) break
  }
  t.same(offsets, [0, 2])
  await x.h.close()
})

/** The tables of an open log, for reading beside it: a second writer in one process would stand still. */
function peek(x: Fixture): (name: string) => Table {
  const path = join(x.h.ctx.agent.directory, 'log.mdb')
  const root = openLmdb<Buffer, Buffer>({ path, readOnly: true, encoding: 'binary', keyEncoding: 'binary' })
  return name => root.openDB<Buffer, Buffer>(name, { encoding: 'binary', keyEncoding: 'binary' })
}
