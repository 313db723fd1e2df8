import { until } from '@fnaa/conformance'
import t from 'tap'
import { batch, c, type Fixture, open, read, show } from './tools.test.helper.js'

t.test('a cursor inside a batch gives the rest of it', async t => {
  const x = await open()
  await x.write('0', '1', '2', '3')
  await x.write('4')
  const { epoch } = await (await x.source()).position(c)
  for (const [cursor, rest] of [
    ['0', ['0', '1', '2', '3', '4']],
    ['2', ['2', '3', '4']],
    ['4', ['4']],
  ] as const) {
    const source = await x.source({
      reader: cursor,
      from: { at: 'position', position: { epoch, shards: { 0: cursor } } },
    })
    t.same((await source.lag(c)).shards['0']?.behind, rest.length)
    t.same(await read(source, rest.length), rest)
  }
  await x.h.close()
})

t.test('a cursor behind the end is a gap: the log was restored from an older copy', async t => {
  const x = await open()
  await x.write('0', '1')
  const { epoch } = await (await x.source()).position(c)
  const source = await x.source({ from: { at: 'position', position: { epoch, shards: { 0: '9' } } } })
  await x.write('2')
  t.same(await read(source, 0), ['truncated 9 3'])
  await x.write('3')
  t.same(await read(source, 1), ['3'])
  await x.h.close()
})

t.test('a cursor that is none of ours is refused', async t => {
  const x = await open()
  const source = await x.source()
  await t.rejects(source.commit('0', 'x', c), { code: 'FNA_ERR_INVALID' })
  await t.rejects(source.commit('7', '0', c), { code: 'FNA_ERR_INVALID' })
  const { epoch } = await source.position(c)
  const from = { at: 'position', position: { epoch, shards: { 0: '-1' } } } as const
  await t.rejects(x.source({ from }), { code: 'FNA_ERR_INVALID' })
  await x.h.close()
})

t.test('retention overtakes a reader in the middle', async t => {
  const x = await open({}, { retentionMs: 3_600_000 })
  for (let i = 0; i < 600; i++) await x.write(`old ${i}`)
  const source = await x.source()
  t.same(await read(source, 1), ['old 0'])
  await x.h.clock.advance(3_700_000)
  await emptied(x)
  await x.write('new')
  t.same(await read(source, 1), ['retention 1 600', 'new'])
  await x.h.restart()
  t.same(await read(await x.source(), 1), ['new'], 'an empty past is remembered across a restart')
  await x.h.close()
})

t.test('offsets go on where a log that retention emptied had ended', async t => {
  const x = await open({}, { retentionMs: 3_600_000 })
  await x.write('a', 'b', 'c')
  await x.h.clock.advance(7_200_000)
  await emptied(x)
  await x.h.restart()
  t.equal(await x.write('d'), '4')
  t.same(await read(await x.source(), 1), ['d'])
  await x.h.close()
})

t.test('a reader of a deleted queue is told so, one of a queue made anew sees a gap', async t => {
  const x = await open()
  await x.write('a')
  const source = await x.source()
  const items = source.read(c)[Symbol.asyncIterator]()
  t.same(show((await items.next()).value!), ['a'])
  const next = items.next()
  await x.service.deleteQueue('q', c)
  await t.rejects(next, { code: 'FNA_ERR_NOTFOUND' })
  await t.rejects(x.sink(), { code: 'FNA_ERR_NOTFOUND' })
  await x.service.createQueue('q', {}, c)
  await x.write('b')
  const old = await source.position(c)
  const again = await x.source({ reader: 'other', from: { at: 'position', position: old } })
  t.same(await again.position(c), old, 'a position does not step over a gap that nobody saw')
  t.same(await read(source, 1), ['epoch 1 0', 'b'])
  t.same((await source.position(c)).shards, { 0: '1' })
  await x.h.close()
})

t.test('a search by time looks through no more than it must, over many entries of its index', async t => {
  const x = await open()
  const t0 = x.h.clock.now()
  const sink = await x.sink()
  const big = 'x'.repeat(100_000)
  for (let i = 0; i < 50; i++) await sink.write(batch([`${i} ${big}`], t0 - 50_000 + i * 1000), {}, c)
  for (const i of [0, 1, 17, 36, 49]) {
    const source = await x.source({ reader: `r${i}`, from: { at: 'time', time: t0 - 50_000 + i * 1000 - 500 } })
    const [first] = await read(source, 1)
    t.match(first, new RegExp(`^${i} `))
  }
  await x.h.restart()
  const source = await x.source({ from: { at: 'time', time: t0 - 50_000 + 36_000 } })
  t.match((await read(source, 1))[0], /^36 /, 'also after a restart')
  await x.h.close()
})

t.test('a reader of several shards waits for all of them', async t => {
  const x = await open({}, { shards: 3 })
  const source = await x.source()
  const reading = read(source, 30)
  const sink = await x.sink()
  for (let i = 0; i < 30; i++) await sink.write(batch([String(i)], x.h.clock.now(), `k${i}`), {}, c)
  t.equal(new Set(await reading).size, 30)
  const { shards } = await source.position(c)
  t.equal(
    Object.values(shards).reduce((n, s) => n + Number(s), 0),
    30,
  )
  t.ok(Object.values(shards).every(s => Number(s) > 0))
  await x.service.updateQueue('q', { shards: 5 }, c)
  const more = read(source, 40)
  for (let i = 0; i < 40; i++) await (await x.sink()).write(batch([`m${i}`], x.h.clock.now(), `n${i}`), {}, c)
  t.equal((await more).length, 40, 'and for those that come later')
  await x.h.close()
})

/** Retention has taken everything. */
async function emptied(x: Fixture): Promise<void> {
  const source = await x.source({ reader: 'other' })
  await until(async () => (await source.lag(c)).shards['0']!.behind === 0, x.h.clock)
  await source.close()
}
