import t from 'tap'
import { Committer } from './committer.js'

const signal = new AbortController().signal

t.test('the first commit goes at once, those behind it together', async t => {
  const written: [number, number][][] = []
  const committer = new Committer(async offsets => void written.push([...offsets]), signal)
  await committer.commit(0, 1)
  t.same(written, [[[0, 1]]])
  const rest = [committer.commit(0, 2), committer.commit(1, 7), committer.commit(0, 3)]
  await Promise.all(rest)
  t.same(written[1], [
    [0, 3],
    [1, 7],
  ])
  t.equal(written.length, 2)
})

t.test('who closes does not wait for a turn, and what waited is written', async t => {
  const written: number[] = []
  const committer = new Committer(async offsets => void written.push(offsets.get(0)!), signal)
  await committer.commit(0, 1)
  const last = committer.commit(0, 2)
  await committer.drained()
  await last
  t.same(written, [1, 2])
})

t.test('a commit that fails is its callers’ alone', async t => {
  let fail = true
  const committer = new Committer(async () => {
    if (fail) throw new Error('no')
  }, signal)
  await t.rejects(committer.commit(0, 1), { message: 'no' })
  fail = false
  await committer.commit(0, 2)
})
