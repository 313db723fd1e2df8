import t from 'tap'
import { Memory } from './memory.js'

t.test('what is given back is taken again, by an answer of about its length', async t => {
  const memory = new Memory()
  const first = memory.take(1_000_000)
  t.equal(first.length, 1_000_000)
  memory.give(first.buffer)
  t.equal(memory.take(300_000).buffer === first.buffer, false, 'not for one that is much shorter')
  const again = memory.take(900_000)
  t.equal(again.buffer, first.buffer)
  t.equal(again.length, 900_000)
  t.not(memory.take(900_000).buffer, first.buffer, 'and not for two at once')
})

t.test('given back twice, it is still taken once', async t => {
  const memory = new Memory()
  const { buffer } = memory.take(100_000)
  memory.give(buffer)
  memory.give(buffer)
  t.equal(memory.take(100_000).buffer, buffer)
  t.not(memory.take(100_000).buffer, buffer)
})

t.test('memory of others is not taken in', async t => {
  const memory = new Memory()
  const size = memory.take(100_000).buffer.byteLength
  const theirs = new ArrayBuffer(size)
  memory.give(theirs)
  t.not(memory.take(100_000).buffer, theirs)
})

t.test('small and huge answers lie in memory of exactly their size', async t => {
  const memory = new Memory()
  for (const length of [4, 65_535, 50 << 20]) t.equal(memory.take(length).buffer.byteLength, length)
})

t.test('no more than 8 MiB is kept, and nothing by who only waits', async t => {
  const memory = new Memory()
  const taken = Array.from({ length: 20 }, () => memory.take(1_000_000))
  for (const b of taken) memory.give(b.buffer)
  const known = new Set(taken.map(b => b.buffer))
  const reused = () => Array.from({ length: 20 }, () => memory.take(1_000_000)).filter(b => known.has(b.buffer)).length
  t.equal(reused(), 7)
  for (const b of taken) memory.give(b.buffer)
  for (let i = 0; i < 8; i++) memory.take(100)
  t.equal(reused(), 0)
})
