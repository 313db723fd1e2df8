import t from 'tap'
import { HashQueue } from './hash-queue.js'

const here = new AbortController().signal
/** Hashes that end when the test says so; what began, in order. */
function harness(bounds = { workers: 2, perSource: 3, total: 6 }) {
  const queue = new HashQueue(bounds)
  const began: string[] = []
  const running: (() => void)[] = []
  const work = (name: string) => () =>
    new Promise<string>(resolve => {
      began.push(name)
      running.push(() => resolve(name))
    })
  return {
    queue,
    began,
    ask: (name: string, address: string, signal = here) => {
      const outcome = queue.run(work(name), { address, signal }).catch(e => (e as { code: string }).code)
      return outcome
    },
    own: (name: string) => queue.own(work(name)),
    /** Ends the oldest; resolves when what it made room for has begun. */
    end: async () => {
      running.shift()?.()
      await new Promise(resolve => setImmediate(resolve))
    },
  }
}

t.test('one address that floods is refused beyond its bound, and another has its turn next', async t => {
  const { ask, began, end } = harness()
  for (let i = 0; i < 5; i++) void ask(`flood${i}`, '10.0.0.1')
  t.equal(await ask('flood5', '10.0.0.1'), 'FNA_ERR_FULL')
  t.equal(await ask('mapped', '::ffff:10.0.0.1'), 'FNA_ERR_FULL', 'the same address in another notation')
  void ask('neighbour', '10.0.0.2')
  void ask('user', '192.0.2.7')
  await end()
  await end()
  await end()
  t.same(began, ['flood0', 'flood1', 'flood2', 'user', 'neighbour'])
})

t.test('many addresses of one network count as one where room is short: its newest goes', async t => {
  const { ask, began, end, queue } = harness()
  const flood = Array.from({ length: 8 }, (_, i) => ask(`f${i}`, `2001:db8:1:${i}::1`))
  t.equal(queue.waiting, 6)
  t.equal(await ask('f8', '2001:db8:1:8::1'), 'FNA_ERR_FULL')
  void ask('user', '2001:db8:2::1')
  t.equal(await Promise.race([...flood, 'none']), 'none', 'the two that run are left alone')
  t.equal(await Promise.any(flood.slice(2)), 'FNA_ERR_FULL', 'one that waits makes room')
  t.equal(queue.waiting, 6)
  await end()
  await end()
  t.same(began.slice(2), ['f2', 'user'])
})

t.test('who has gone is not hashed for, and leaves room', async t => {
  const { ask, began, end, queue } = harness()
  const gone = new AbortController()
  void ask('a', '10.0.0.1')
  void ask('b', '10.0.0.1')
  const dropped = ['c', 'd', 'e'].map(name => ask(name, '10.0.0.1', gone.signal))
  gone.abort()
  t.same(await Promise.all(dropped), Array(3).fill('FNA_ERR_CLOSED'))
  t.equal(await ask('late', '10.0.0.1', gone.signal), 'FNA_ERR_CLOSED')
  t.equal(queue.waiting, 0)
  void ask('f', '10.0.0.1')
  await end()
  t.same(began, ['a', 'b', 'f'])
})

t.test('what the kernel issues does not wait behind logins', async t => {
  const { ask, own, began, end } = harness()
  for (let i = 0; i < 5; i++) void ask(`login${i}`, `10.0.${i}.1`)
  const issued = own('issued')
  await end()
  t.same(began, ['login0', 'login1', 'issued'])
  await end()
  await end()
  t.equal(await issued, 'issued')
})

t.test('a hash that throws frees its worker', async t => {
  const queue = new HashQueue({ workers: 1, perSource: 1, total: 1 })
  const fault = queue.run(() => Promise.reject(new Error('no memory')))
  const next = queue.run(async () => 'next')
  await t.rejects(fault, /no memory/)
  t.equal(await next, 'next')
})
