import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { CONTRACT, definePlugin, type StoreService } from '@fnaa/core/plugin'
import t from 'tap'
import { TestClock } from './clock.js'
import { collector } from './collect.js'
import { call, harness } from './harness.js'
import { MemoryKeyValue } from './memory-kv.js'
import { fails, suite, within } from './suite.js'

const c = call()

/** A store that only notes when it is set up and closed. */
function noting(notes: string[]) {
  return definePlugin<'store', object>({
    manifest: {
      name: '@x/noting',
      version: '1.0.0',
      kind: 'store',
      contract: CONTRACT,
      supports: { shared: false },
      options: {},
    },
    async setup(ctx) {
      notes.push(`open ${existsSync(ctx.agent.directory)}`)
      const close = async () => void notes.push('close')
      return { close, health: async () => ({ ok: true }) } as unknown as StoreService
    },
  })()
}

t.test('the clock fires what is due, each at its time, and what that sets going', async t => {
  const clock = new TestClock(1000)
  const fired: number[] = []
  const stop = new AbortController()
  const loop = (async () => {
    while (!stop.signal.aborted) {
      await clock.timer(10, stop.signal)
      fired.push(clock.now())
    }
  })()
  await clock.advance(35)
  t.same(fired, [1010, 1020, 1030])
  t.equal(clock.now(), 1035)
  t.equal(clock.waiting, 1)
  stop.abort()
  await loop
  t.equal(clock.waiting, 0)
  await clock.timer(10, stop.signal)
})

t.test('the harness closes once, and restarts in the same directory', async t => {
  const notes: string[] = []
  const h = await harness(noting(notes))
  await h.restart()
  t.equal(h.driver, null)
  await t.rejects(h.ctx.dial({ host: 'x', port: 1 }, c), { code: 'FNA_ERR_UNAVAILABLE' })
  await t.rejects(h.ctx.resolve('x.test', 'TXT', c), { code: 'FNA_ERR_UNAVAILABLE' })
  t.equal(await h.ctx.hash(async () => 7), 7)
  h.ctx.log.warn({ a: 1 }, 'said')
  h.ctx.log.info({ a: 2 })
  t.same(h.logged, [{ a: 1, msg: 'said' }])
  await h.stop()
  await h.close()
  t.ok(h.ctx.signal.aborted)
  t.same(notes, ['open true', 'close', 'open true', 'close'])
  t.notOk(existsSync(h.ctx.agent.directory))
})

t.test('a case is skipped by the manifest alone, fails by its assertions, and may not hang', async t => {
  const { test, run } = collector()
  const none = async () => {}
  suite(
    { test, factory: () => noting([]), limit: 50 },
    [
      { name: 'passes', run: none },
      { name: 'is skipped', needs: s => s.shared, run: () => assert.fail() },
      { name: 'fails', run: async () => assert.equal(1, 2) },
      { name: 'hangs', run: () => new Promise<never>(() => {}) },
    ],
    h => h,
  )
  const { passed, skipped, failed } = await run()
  t.same([passed, skipped, failed.map(f => f.name)], [['passes'], ['is skipped'], ['fails', 'hangs']])
  t.equal((await run({ stopAtFirst: true })).failed.length, 1)
})

t.test('the helpers reject what they should', async t => {
  await t.rejects(within(5, 'never', new Promise(() => {})), /not done in 5 ms: never/)
  await t.rejects(fails('FNA_ERR_CLOSED', Promise.resolve()))
  await t.rejects(fails('FNA_ERR_CLOSED', Promise.reject(Object.assign(new Error(), { code: 'FNA_ERR_FULL' }))))
})

t.test('the state of a plugin in tests compares, swaps and lists as a store’s bucket does', async t => {
  const kv = new MemoryKeyValue()
  const bytes = Buffer.from('v')
  const r = await kv.put('a/1', bytes, { ifRevision: null }, c)
  await fails('FNA_ERR_CONFLICT', kv.put('a/1', bytes, { ifRevision: null }, c))
  t.not(await kv.put('a/1', bytes, { ifRevision: r }, c), r)
  await fails('FNA_ERR_CONFLICT', kv.delete('a/1', { ifRevision: r }, c))
  for (const k of ['a/é', 'a/Z', 'b']) await kv.put(k, bytes, {}, c)
  const keys = async (opt: { after?: string; limit: number }) => (await kv.list('a/', opt, c)).map(([k]) => k)
  t.same(await keys({ limit: 9 }), ['a/1', 'a/Z', 'a/é'])
  t.same(await keys({ after: 'a/1', limit: 1 }), ['a/Z'])
  await kv.delete('a/1', {}, c)
  t.equal(await kv.get('a/1', c), null)
})
