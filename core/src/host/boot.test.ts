import t from 'tap'
import type { Ctx, Kind } from '../contract/common.js'
import { type AnyPlugin, CONTRACT } from '../contract/plugin.js'
import { boot } from './boot.js'
import { guard, pendingCalls } from './guard.js'

const SUPPORTS: Record<Kind, object> = {
  store: { shared: false },
  auth: { mechanisms: [] },
  dns: { keys: true },
  broker: { type: 'x' },
  runtime: { isolation: 'process' },
  processor: { type: 'x', verbs: [], sources: [1, 1], sinks: [1, 1] },
  gateway: { protocols: [] },
}
interface Script {
  readonly setup?: () => Promise<unknown> | unknown
  readonly close?: () => Promise<void> | void
}
const log: string[] = []
function plugin(kind: Kind, id: string, script: Script = {}, manifest: object = {}): AnyPlugin {
  return {
    id,
    options: {},
    manifest: { name: id, version: '1', kind, contract: CONTRACT, supports: SUPPORTS[kind], options: {}, ...manifest },
    setup: async () => {
      log.push(`+${id}`)
      await script.setup?.()
      return {
        health: async () => ({ ok: true }),
        close: async () => {
          log.push(`-${id}`)
          await script.close?.()
        },
      }
    },
  } as unknown as AnyPlugin
}
const context = async () => ({}) as Ctx
const LIMITS = { setup: 100, call: 100, close: 100 }
const start = (...plugins: AnyPlugin[]) => boot(plugins, context, LIMITS)
t.beforeEach(() => {
  log.length = 0
})

t.test('boots in kind order, closes in reverse', async t => {
  const booted = await start(
    plugin('gateway', 'g'),
    plugin('broker', 'b1'),
    plugin('auth', 'a'),
    plugin('broker', 'b2'),
    plugin('store', 's'),
  )
  await booted.close()
  t.same(log, ['+s', '+a', '+b1', '+b2', '+g', '-g', '-b2', '-b1', '-a', '-s'])
})

t.test('a plugin that throws stops the boot, is named, and what was set up is closed', async t => {
  const boom = plugin('broker', 'bad', { setup: () => Promise.reject(new Error('no disk')) })
  const e = await start(plugin('store', 's'), boom, plugin('gateway', 'g')).catch(x => x)
  t.match(e, { code: 'FNA_ERR_PLUGIN_SETUP', plugin: 'bad', op: 'setup', message: /'bad' failed in setup: no disk/ })
  t.same(log, ['+s', '+bad', '-s'], 'the third never began')
})

t.test('a plugin that hangs in setup is named; one that comes late is closed', async t => {
  let finish = () => {}
  const slow = plugin('dns', 'slow', { setup: () => new Promise<void>(resolve => (finish = resolve)) })
  const e = await start(plugin('store', 's'), slow).catch(x => x)
  t.match(e, { code: 'FNA_ERR_PLUGIN_TIMEOUT', message: /'slow' was not set up within 100 ms/ })
  finish()
  await new Promise(resolve => setImmediate(resolve))
  t.same(log, ['+s', '+slow', '-s', '-slow'])
})

t.test('close: every failure is told, a hang does not hang', async t => {
  const hang = plugin('auth', 'hang', { close: () => new Promise<void>(() => {}) })
  const boom = plugin('dns', 'boom', { close: () => Promise.reject(new Error('x')) })
  const booted = await start(plugin('store', 's'), hang, boom)
  const e = (await booted.close().catch(x => x)) as AggregateError
  t.match(e.errors, [
    { plugin: 'boom', op: 'close' },
    { code: 'FNA_ERR_PLUGIN_CLOSE', message: /'hang' did not close/ },
  ])
  t.same(log.slice(-3), ['-boom', '-hang', '-s'])
})

t.test('what two plugins both offer is refused before anything starts', async t => {
  const mech = (id: string) => plugin('auth', id, {}, { supports: { mechanisms: ['PLAIN'] } })
  const cases: [string, AnyPlugin[], RegExp][] = [
    ['id', [plugin('dns', 'same'), plugin('broker', 'same')], /'same' and 'same' both offer the id/],
    ['mechanism', [mech('one'), mech('two')], /'one' and 'two' both offer the mechanism PLAIN: remove one/],
    ['store', [plugin('store', 'one'), plugin('store', 'two')], /both offer the store/],
    ['type', [plugin('processor', 'one'), plugin('processor', 'two')], /both offer the processor type 'x'/],
  ]
  for (const [what, plugins, message] of cases) {
    t.match(await start(...plugins).catch(x => x), { code: 'FNA_ERR_PLUGIN_DUPLICATE', message }, what)
  }
  t.match(await start(plugin('dns', 'old', {}, { contract: 99 })).catch(x => x), {
    code: 'FNA_ERR_PLUGIN_CONTRACT',
    message: /'old' was written for contract 99, this kernel has 1: upgrade fnaad/,
  })
  t.same(log, [])
})

t.test('guard: deadline, name, code; the call is known while it is pending', async t => {
  const service = {
    health: async () => ({ ok: true }),
    close: async () => {},
    quick: async (_c: object) => 'done',
    throws: async (_c: object) => Promise.reject(new Error('inside')),
    hangs: (c: { signal: AbortSignal }) =>
      new Promise<void>((_, no) => c.signal.addEventListener('abort', () => no(new Error('aborted')))),
    plain: (n: number) => n + 1,
  }
  const g = guard({ id: 'p' }, service, 50)
  const c = { signal: new AbortController().signal }
  t.equal(await g.quick(c), 'done')
  t.equal(g.plain(1), 2)
  t.match(await g.throws(c).catch((x: Error) => x), {
    code: 'FNA_ERR_PLUGIN',
    plugin: 'p',
    op: 'throws',
    message: /p\.throws: inside/,
  })
  const hanging = g.hangs(c).catch((x: Error) => x)
  t.match(pendingCalls(), [{ plugin: 'p', op: 'hangs' }])
  t.match(await hanging, { code: 'FNA_ERR_PLUGIN_TIMEOUT', plugin: 'p' })
  t.equal(pendingCalls().length, 0)
})
