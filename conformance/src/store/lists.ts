import assert from 'node:assert/strict'
import { call } from '../harness.js'
import { fails, within } from '../suite.js'
import { brief, changes, flowSpec, names, type StoreCase } from './tools.js'

/** Many resources: lists and watches. */
export const listCases: readonly StoreCase[] = [
  {
    name: 'a list is sorted by name, and its pages neither lose nor repeat',
    async run({ service, c, flow }) {
      const made = Array.from({ length: 25 }, (_, i) => `f${String((i * 7) % 25).padStart(2, '0')}`)
      await Promise.all(made.map(name => flow(name)))
      const sorted = [...made].sort()
      for (const limit of [1, 4, 25, 100]) assert.deepEqual(await names(service, 'Flow', { limit }, c), sorted)
      const page = await service.list('Flow', { limit: 4 }, c)
      assert.equal(page.items.length, 4)
      assert.notEqual(page.next, undefined)
    },
  },
  {
    name: 'a list holds its kind only, and the prefix chooses',
    async run({ service, c, flow }) {
      await Promise.all(['a.x', 'a.y', 'ab', 'b.x'].map(name => flow(name)))
      await service.create(
        { kind: 'Namespace', name: 'a.z', spec: { owner: 'ana@unix.test', broker: 'main', zone: 'z' }, finalizers: [] },
        c,
      )
      assert.deepEqual(await names(service, 'Flow', { prefix: 'a.', limit: 1 }, c), ['a.x', 'a.y'])
      assert.deepEqual(await names(service, 'Flow', { limit: 2 }, c), ['a.x', 'a.y', 'ab', 'b.x'])
      assert.deepEqual(await names(service, 'Namespace', { limit: 2 }, c), ['a.z'])
      assert.deepEqual(await names(service, 'Flow', { prefix: 'c', limit: 2 }, c), [])
    },
  },
  {
    name: 'a list by a field of the spec follows every change',
    async run({ service, c, flow }) {
      const of = (broker: string) => names(service, 'Flow', { field: ['broker', broker], limit: 2 }, c)
      await Promise.all(['f3', 'f1', 'f2'].map(name => flow(name, { broker: 'kafka' })))
      await flow('f4', { broker: 'sqs' })
      assert.deepEqual(await of('kafka'), ['f1', 'f2', 'f3'])
      const seen = await service.get('Flow', 'f2', c)
      await service.update(seen!, { spec: { ...flowSpec, broker: 'sqs' } }, c)
      await service.delete('Flow', 'f1', {}, c)
      await flow('f0', { broker: 'kafka' })
      assert.deepEqual(await of('kafka'), ['f0', 'f3'])
      assert.deepEqual(await of('sqs'), ['f2', 'f4'])
      assert.deepEqual(await of('none'), [])
      assert.deepEqual(await names(service, 'Flow', { prefix: 'f3', field: ['broker', 'kafka'], limit: 9 }, c), ['f3'])
    },
  },
  {
    name: 'a limit that is no number above zero is refused',
    run: ({ service, c }) => fails('FNA_ERR_INVALID', service.list('Flow', { limit: 0 }, c)),
  },
  {
    name: 'a watch gives every change after its list, in order',
    async run({ service, c, flow }) {
      await flow('before')
      const { at } = await service.list('Flow', { limit: 10 }, c)
      const made = await flow('f', {}, ['dns'])
      await service.update(made, { spec: { ...flowSpec, broker: 'other' } }, c)
      await service.delete('Flow', 'f', {}, c)
      const marked = await service.get('Flow', 'f', c)
      await service.update(marked!, { finalizers: [] }, c)
      const seen = await changes(service, ['Flow'], at, 4)
      assert.deepEqual(seen.map(brief), ['put f 1', 'put f 2', 'put f 2', 'gone f 2'])
      assert.ok(seen[2]?.type === 'put' && seen[2].resource.deleting !== undefined)
    },
  },
  {
    name: 'a watch goes on from the position of any change it gave',
    async run({ service, c, flow }) {
      const { at } = await service.list('Flow', { limit: 10 }, c)
      for (const name of ['f1', 'f2', 'f3', 'f4']) await flow(name)
      const [first] = await changes(service, ['Flow'], at, 1)
      assert.ok(first?.type === 'put')
      assert.deepEqual((await changes(service, ['Flow'], first.at, 3)).map(brief), ['put f2 1', 'put f3 1', 'put f4 1'])
    },
  },
  {
    name: 'a watch that waits is given what comes, of its kinds alone',
    async run({ service, c, flow }) {
      const { at } = await service.list('Flow', { limit: 10 }, c)
      const seen = changes(service, ['Flow', 'Peer'], at, 2)
      await service.create(
        { kind: 'Namespace', name: 'n', spec: { owner: 'ana@unix.test', broker: 'main', zone: 'z' }, finalizers: [] },
        c,
      )
      await flow('f')
      await service.create({ kind: 'Peer', name: 'emiliano.test', spec: {}, finalizers: [] }, c)
      assert.deepEqual((await seen).map(brief), ['put f 1', 'put emiliano.test 1'])
    },
  },
  {
    name: 'of many changes at once each watcher misses none',
    async run({ service, c, flow }) {
      const { at } = await service.list('Flow', { limit: 1 }, c)
      const watchers = [1, 2].map(() => changes(service, ['Flow'], at, 300))
      await Promise.all(Array.from({ length: 300 }, (_, i) => flow(`f${i}`)))
      for (const w of watchers) {
        const seen = await w
        assert.equal(new Set(seen.map(brief)).size, 300)
      }
    },
  },
  {
    name: 'a watch from a position that this store does not know begins with a resync and then follows',
    async run({ service, c, flow }) {
      await flow('f')
      const seen = changes(service, ['Flow'], 'not.a.position', 2)
      // The list that a resync asks for, and a change behind it.
      await service.list('Flow', { limit: 10 }, c)
      await new Promise(resolve => setImmediate(resolve))
      await flow('g')
      const [first, second] = (await seen).map(brief)
      assert.equal(first, 'resync')
      assert.equal(second, 'put g 1')
    },
  },
  {
    name: 'a watch ends when its signal aborts',
    async run({ service, c }) {
      const { at } = await service.list('Flow', { limit: 1 }, c)
      const stop = new AbortController()
      const ended = (async () => {
        for await (const _ of service.watch(['Flow'], at, call(stop.signal)));
      })()
      await new Promise(resolve => setImmediate(resolve))
      stop.abort()
      await within(2000, 'the watch to end', ended)
    },
  },
]
