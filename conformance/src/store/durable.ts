import assert from 'node:assert/strict'
import { call } from '../harness.js'
import { fails, within } from '../suite.js'
import { brief, changes, flowSpec, names, type StoreCase } from './tools.js'

const bytes = (s: string) => new TextEncoder().encode(s)
const text = (b: Uint8Array | undefined) => new TextDecoder().decode(b)

/** What outlives the process, and what goes with it: restarts, buckets, elections, the end. */
export const durableCases: readonly StoreCase[] = [
  {
    name: 'after a restart everything is as it was',
    async run(x) {
      const { c, flow } = x
      const a = await flow('a', {}, ['dns'])
      const b = await x.service.update(a, { status: { conditions: [], queue: 'q' } }, c)
      await flow('b')
      await x.service.delete('Flow', 'b', {}, c)
      await flow('d', {}, ['dns'])
      await x.service.delete('Flow', 'd', {}, c)
      const d = await x.service.get('Flow', 'd', c)
      await x.restart()
      assert.deepEqual(await names(x.service, 'Flow', { limit: 10 }, c), ['a', 'd'])
      assert.deepEqual(await x.service.get('Flow', 'a', c), b)
      assert.deepEqual(await x.service.get('Flow', 'd', c), d)
      const next = await x.service.update(b, { spec: { ...flowSpec, broker: 'x' } }, c)
      assert.ok(![a.revision, b.revision].includes(next.revision))
    },
  },
  {
    name: 'a watch from before a restart loses nothing: it replays or asks for a resync',
    async run(x) {
      const { at } = await x.service.list('Flow', { limit: 1 }, x.c)
      await x.flow('f')
      await x.restart()
      await x.service.create({ kind: 'Flow', name: 'g', spec: flowSpec, finalizers: [] }, x.c)
      const [first] = (await changes(x.service, ['Flow'], at, 1)).map(brief)
      assert.ok(first === 'put f 1' || first === 'resync', first)
    },
  },
  {
    name: 'a bucket gives back what was put, and null for what was not',
    async run(x) {
      const b = x.service.bucket('secrets')
      const revision = await b.put('k', bytes('one'), {}, x.c)
      const entry = await b.get('k', x.c)
      assert.deepEqual([text(entry?.value), entry?.revision], ['one', revision])
      assert.equal(await b.get('other', x.c), null)
      assert.equal(await x.service.bucket('cursors').get('k', x.c), null)
      await b.put('loose', bytes('two'), { durable: false }, x.c)
      assert.equal(text((await b.get('loose', x.c))?.value), 'two')
      await x.restart()
      assert.equal(text((await x.service.bucket('secrets').get('k', x.c))?.value), 'one')
      await x.service.bucket('secrets').delete('k', {}, x.c)
      assert.equal(await x.service.bucket('secrets').get('k', x.c), null)
    },
  },
  {
    name: 'a bucket compares and swaps',
    async run({ service, c }) {
      const b = service.bucket('plugin:test')
      const first = await b.put('k', bytes('same'), { ifRevision: null }, c)
      await fails('FNA_ERR_CONFLICT', b.put('k', bytes('x'), { ifRevision: null }, c))
      const second = await b.put('k', bytes('same'), { ifRevision: first }, c)
      assert.notEqual(second, first, 'the same value is a new revision')
      await fails('FNA_ERR_CONFLICT', b.put('k', bytes('x'), { ifRevision: first }, c))
      await fails('FNA_ERR_CONFLICT', b.delete('k', { ifRevision: first }, c))
      assert.equal(text((await b.get('k', c))?.value), 'same')
      await b.delete('k', { ifRevision: second }, c)
      assert.notEqual(await b.put('k', bytes('same'), { ifRevision: null }, c), second)
      const tries = Array.from({ length: 8 }, (_, i) => b.put('race', bytes(String(i)), { ifRevision: null }, c))
      assert.equal((await Promise.allSettled(tries)).filter(t => t.status === 'fulfilled').length, 1)
    },
  },
  {
    name: 'a bucket lists by prefix, in order of bytes, page after page',
    async run({ service, c }) {
      const b = service.bucket('cursors')
      for (const k of ['a/2', 'a/10', 'b/1', 'a/é', 'a/Z', 'a/']) await b.put(k, bytes(k), {}, c)
      const keys = async (opt: { after?: string; limit: number }) => (await b.list('a/', opt, c)).map(([k]) => k)
      const all = ['a/', 'a/10', 'a/2', 'a/Z', 'a/é']
      assert.deepEqual(await keys({ limit: 10 }), all)
      assert.deepEqual(await keys({ limit: 2 }), all.slice(0, 2))
      assert.deepEqual(await keys({ after: 'a/10', limit: 2 }), all.slice(2, 4))
      assert.deepEqual((await b.list('', { limit: 10 }, c)).length, 6)
      assert.equal(text((await b.list('b', { limit: 1 }, c))[0]?.[1].value), 'b/1')
    },
  },
  {
    name: 'one leads at a time, and the epoch rises with every election',
    async run({ service, c }) {
      const a = await service.elect('controllers', 'a', c)
      let elected = false
      const waiting = service.elect('controllers', 'b', c).then(l => {
        elected = true
        return l
      })
      const apart = await service.elect('other', 'b', c)
      assert.equal(elected, false, 'two lead at once')
      assert.equal(a.lost.aborted, false)
      await a.resign()
      const b = await waiting
      assert.ok(b.epoch > a.epoch, `${b.epoch} after ${a.epoch}`)
      await b.resign()
      await apart.resign()
    },
  },
  {
    name: 'the epoch rises across restarts, and a leader of before has lost',
    async run(x) {
      const before = await x.service.elect('controllers', 'a', x.c)
      await x.restart()
      assert.equal(before.lost.aborted, true)
      const after = await x.service.elect('controllers', 'a', x.c)
      assert.ok(after.epoch > before.epoch, `${after.epoch} after ${before.epoch}`)
    },
  },
  {
    name: 'who waits to lead can give up, and holds nobody up',
    async run({ service, c }) {
      const a = await service.elect('controllers', 'a', c)
      const stop = new AbortController()
      const given = service.elect('controllers', 'b', call(stop.signal))
      const third = service.elect('controllers', 'd', c)
      stop.abort()
      await within(2000, 'the election to end', assert.rejects(given))
      await a.resign()
      await (await third).resign()
    },
  },
  {
    name: 'usage says how full it is',
    async run({ service, c, flow }) {
      const before = await service.usage(c)
      assert.ok(before.used >= 0 && before.used <= before.limit)
      await Promise.all(
        Array.from({ length: 200 }, (_, i) => flow(`f${i}`, { about: { description: 'x'.repeat(900) } })),
      )
      const after = await service.usage(c)
      assert.ok(after.used > before.used, `${after.used} after ${before.used}`)
    },
  },
  {
    name: 'a call that was given up before it began is refused and does nothing',
    async run({ service, c }) {
      const gone = call(AbortSignal.abort())
      await assert.rejects(service.create({ kind: 'Flow', name: 'f', spec: flowSpec, finalizers: [] }, gone))
      assert.equal(await service.get('Flow', 'f', c), null)
    },
  },
  {
    name: 'it is healthy while open, and after closing every call is refused',
    async run({ service, c, flow, stop }) {
      const made = await flow('f')
      assert.equal((await service.health(c)).ok, true)
      const bucket = service.bucket('secrets')
      const { at } = await service.list('Flow', { limit: 1 }, c)
      const open = changes(service, ['Flow'], at, 1)
      open.catch(() => {})
      await stop()
      await within(
        2000,
        'the open watch to end',
        open.then(
          () => {},
          () => {},
        ),
      )
      for (const work of [
        () => service.get('Flow', 'f', c),
        () => service.list('Flow', { limit: 1 }, c),
        () => service.create({ kind: 'Flow', name: 'g', spec: flowSpec, finalizers: [] }, c),
        () => service.update(made, { finalizers: [] }, c),
        () => service.delete('Flow', 'f', {}, c),
        () => service.elect('x', 'me', c),
        () => service.usage(c),
        () => bucket.get('k', c),
        () => bucket.put('k', bytes('v'), {}, c),
        () => changes(service, ['Flow'], at, 1),
      ])
        await fails('FNA_ERR_CLOSED', work)
    },
  },
]
