import t from 'tap'
import type { Clock } from '../contract/common.js'
import { type QueueOptions, WorkQueue } from './queue.js'

/** As the machine's, but a test waits for its timers. */
const clock: Clock = {
  now: () => Date.now(),
  timer: (ms, signal) =>
    new Promise(resolve => {
      const x = setTimeout(resolve, ms)
      signal.addEventListener('abort', () => {
        clearTimeout(x)
        resolve()
      })
    }),
}

const never = () => new Promise<undefined>(() => {})
function queue(reconcile: QueueOptions['reconcile'], more: Partial<QueueOptions> = {}) {
  const closing = new AbortController()
  t.teardown(() => closing.abort())
  return new WorkQueue({ clock, signal: closing.signal, reconcile, random: () => 1, ...more })
}

t.test('one run per key at a time; what is added while it runs, runs again', async t => {
  let running = 0
  let most = 0
  let runs = 0
  const q = queue(async () => {
    most = Math.max(most, ++running)
    await new Promise(resolve => setImmediate(resolve))
    running--
    runs++
    return undefined
  })
  for (let i = 0; i < 10; i++) q.add('a')
  await q.idle()
  t.equal(most, 1)
  t.equal(runs, 2, 'the first run, and one for everything that came meanwhile')
})

t.test('20,000 random adds: no overlap, no lost wake-up', async t => {
  const wanted = new Map<string, number>()
  const seen = new Map<string, number>()
  const busy = new Set<string>()
  let overlaps = 0
  const q = queue(async key => {
    if (busy.has(key)) overlaps++
    busy.add(key)
    seen.set(key, wanted.get(key)!)
    await null
    busy.delete(key)
    return undefined
  })
  let x = 7
  for (let i = 0; i < 20_000; i++) {
    x = (x * 1103515245 + 12345) & 0x7fffffff
    const key = String(x % 97)
    wanted.set(key, i)
    q.add(key, { urgent: x % 5 === 0, preempt: x % 7 === 0 })
    if (i % 50 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await q.idle()
  t.equal(overlaps, 0)
  t.same([...seen].sort(), [...wanted].sort(), 'the last wish of every key was seen')
})

t.test('an urgent key does not wait behind 400 stuck ones', async t => {
  let revoked = false
  const q = queue(async key => {
    if (key !== 'revoke') return never()
    revoked = true
    return undefined
  })
  for (let i = 0; i < 400; i++) q.add(`stuck${i}`)
  q.add('revoke', { urgent: true })
  await new Promise(resolve => setImmediate(resolve))
  t.ok(revoked)
})

t.test('preemption aborts the run that a newer spec has overtaken', async t => {
  const spec = { n: 1 }
  const done: number[] = []
  const q = queue(async (_key, signal) => {
    const mine = spec.n
    if (mine === 1) await new Promise((_, no) => signal.addEventListener('abort', () => no(new Error('aborted'))))
    done.push(mine)
    return undefined
  })
  q.add('a')
  await null
  spec.n = 2
  q.add('a', { preempt: true })
  await q.idle()
  t.same(done, [2])
})

t.test('backoff doubles from 0.1 s, a success begins anew, fresh() does not wait', async t => {
  const waits: number[] = []
  let fail = true
  let tell = () => {}
  const q = queue(
    async () => {
      if (fail) throw new Error('no')
      return undefined
    },
    {
      base: 1,
      max: 8,
      onError: (_k, _e, ms) => {
        if (waits.push(ms) === 5) tell()
      },
    },
  )
  const five = new Promise<void>(resolve => (tell = resolve))
  q.add('a')
  await five
  t.same(waits, [1, 2, 4, 8, 8])
  fail = false
  q.fresh('a')
  await q.idle()
})

t.test('a run that waits for others gives its worker back', async t => {
  const q: WorkQueue = queue(
    async key => {
      if (key.startsWith('child')) return undefined
      const child = `child-${key}`
      const done = new Promise<void>(resolve => {
        const look = () => (ended.has(child) ? resolve() : setImmediate(look))
        look()
      })
      q.add(child)
      await q.park(key, done)
      return undefined
    },
    { workers: 2, urgentWorkers: 1 },
  )
  const ended = new Set<string>()
  const add = q.add.bind(q)
  q.add = (key, opt) => {
    add(key, opt)
    if (key.startsWith('child')) setImmediate(() => ended.add(key))
  }
  for (let i = 0; i < 20; i++) q.add(`parent${i}`)
  await q.idle()
  t.equal(ended.size, 20)
})
