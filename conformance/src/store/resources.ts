import assert from 'node:assert/strict'
import { fails } from '../suite.js'
import { flowSpec, type StoreCase } from './tools.js'

/** One resource at a time: create, get, update, delete. */
export const resourceCases: readonly StoreCase[] = [
  {
    name: 'what is created is what get gives',
    async run({ service, c, clock, flow }) {
      const made = await flow('time.flows.unix.test', { about: { title: 'Time' } }, ['dns'])
      assert.match(made.uid, /^[a-z2-7]{26}$/)
      assert.equal(made.generation, 1)
      assert.equal(made.created, new Date(clock.now()).toISOString())
      assert.equal(typeof made.revision, 'string')
      assert.deepEqual(made.finalizers, ['dns'])
      assert.deepEqual(made.spec, { ...flowSpec, about: { title: 'Time' } })
      assert.equal(made.deleting, undefined)
      assert.deepEqual(await service.get('Flow', 'time.flows.unix.test', c), made)
    },
  },
  {
    name: 'a status and an owner given at creation are kept',
    async run({ service, c, flow }) {
      const parent = await flow('parent')
      const owner = { kind: 'Flow' as const, name: parent.name, uid: parent.uid }
      const status = { conditions: [], queue: 'q', epoch: 'e' }
      await service.create({ kind: 'Flow', name: 'child', spec: flowSpec, status, finalizers: [], owner }, c)
      const child = await service.get('Flow', 'child', c)
      assert.deepEqual(child?.owner, owner)
      assert.deepEqual(child?.status, status)
    },
  },
  {
    name: 'what is not there is null, also under the same name in another kind',
    async run({ service, c, flow }) {
      await flow('f')
      assert.equal(await service.get('Flow', 'g', c), null)
      assert.equal(await service.get('Namespace', 'f', c), null)
    },
  },
  {
    name: 'a second creation is refused and changes nothing',
    async run({ service, c, flow }) {
      const first = await flow('f')
      await fails('FNA_ERR_EXISTS', flow('f', { visibility: 'public' }))
      assert.deepEqual(await service.get('Flow', 'f', c), first)
    },
  },
  {
    name: 'of many creations at once exactly one succeeds',
    async run({ service, c, flow }) {
      const tries = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => flow('f', { broker: `b${i}` })))
      const made = tries.flatMap(t => (t.status === 'fulfilled' ? [t.value] : []))
      assert.equal(made.length, 1)
      for (const t of tries) if (t.status === 'rejected') assert.equal(t.reason.code, 'FNA_ERR_EXISTS')
      assert.deepEqual(await service.get('Flow', 'f', c), made[0])
    },
  },
  {
    name: 'an update changes what it names and leaves the rest',
    async run({ service, c, flow }) {
      const made = await flow('f', {}, ['dns'])
      const status = { conditions: [], queue: 'q' }
      const a = await service.update(made, { status }, c)
      assert.deepEqual([a.spec, a.status, a.finalizers], [made.spec, status, ['dns']])
      const spec = { ...flowSpec, visibility: 'public' as const }
      const b = await service.update(a, { spec }, c)
      assert.deepEqual([b.spec, b.status, b.finalizers], [spec, status, ['dns']])
      const d = await service.update(b, { finalizers: [] }, c)
      assert.deepEqual([d.spec, d.status, d.finalizers], [spec, status, []])
      assert.deepEqual([d.uid, d.created], [made.uid, made.created])
      assert.deepEqual(await service.get('Flow', 'f', c), d)
    },
  },
  {
    name: 'the generation rises with the spec only, the revision with every write',
    async run({ service, c, flow }) {
      const made = await flow('f')
      const a = await service.update(made, { status: { conditions: [], queue: 'q' } }, c)
      const b = await service.update(a, { spec: { ...flowSpec, broker: 'other' } }, c)
      const d = await service.update(b, { spec: { ...flowSpec, broker: 'other' } }, c)
      assert.deepEqual(
        [made, a, b, d].map(r => r.generation),
        [1, 1, 2, 2],
      )
      assert.equal(new Set([made, a, b, d].map(r => r.revision)).size, 4)
    },
  },
  {
    name: 'an update over a stale revision is refused and changes nothing',
    async run({ service, c, flow }) {
      const made = await flow('f')
      const current = await service.update(made, { spec: { ...flowSpec, broker: 'a' } }, c)
      await fails('FNA_ERR_CONFLICT', service.update(made, { spec: { ...flowSpec, broker: 'b' } }, c))
      assert.deepEqual(await service.get('Flow', 'f', c), current)
    },
  },
  {
    name: 'an update of what is gone is refused, also when a new one has its name',
    async run({ service, c, flow }) {
      const made = await flow('f')
      await service.delete('Flow', 'f', {}, c)
      await fails('FNA_ERR_CONFLICT', service.update(made, { spec: { ...flowSpec, broker: 'a' } }, c))
      const next = await flow('f')
      await fails('FNA_ERR_CONFLICT', service.update(made, { spec: { ...flowSpec, broker: 'a' } }, c))
      assert.deepEqual(await service.get('Flow', 'f', c), next)
    },
  },
  {
    name: 'many compare-and-swaps at once lose no update',
    async run({ service, c, flow }) {
      await flow('f', { queue: { shards: 0 } })
      const add = async (): Promise<void> => {
        const seen = await service.get('Flow', 'f', c)
        try {
          const shards = seen!.spec.queue.shards! + 1
          await service.update(seen!, { spec: { ...seen!.spec, queue: { shards } } }, c)
        } catch (e) {
          assert.equal((e as { code?: string }).code, 'FNA_ERR_CONFLICT')
          await add()
        }
      }
      await Promise.all(Array.from({ length: 12 }, add))
      assert.equal((await service.get('Flow', 'f', c))?.spec.queue.shards, 12)
    },
  },
  {
    name: 'what is given back is the caller’s own: changing it changes nothing here',
    async run({ service, c, flow }) {
      const made = await flow('f')
      spoil(made.spec)
      spoil((await service.get('Flow', 'f', c))!.spec)
      spoil((await service.list('Flow', { limit: 10 }, c)).items[0]!.spec)
      assert.equal((await service.get('Flow', 'f', c))?.spec.broker, 'main')
    },
  },
  {
    name: 'without finalizers a deletion is the end, and the next of that name has another uid',
    async run({ service, c, flow }) {
      const first = await flow('f')
      assert.equal(await service.delete('Flow', 'f', {}, c), 'gone')
      assert.equal(await service.get('Flow', 'f', c), null)
      assert.equal(await service.delete('Flow', 'f', {}, c), 'absent')
      const second = await flow('f')
      assert.notEqual(second.uid, first.uid)
      assert.notEqual(second.revision, first.revision)
    },
  },
  {
    name: 'with finalizers it stays, marked, until the last of them is taken off',
    async run({ service, c, clock, flow }) {
      await flow('f', {}, ['dns', 'queue'])
      assert.equal(await service.delete('Flow', 'f', {}, c), 'deleting')
      const marked = await service.get('Flow', 'f', c)
      assert.equal(marked?.deleting, new Date(clock.now()).toISOString())
      await clock.advance(1000)
      assert.equal(await service.delete('Flow', 'f', {}, c), 'deleting')
      assert.equal((await service.get('Flow', 'f', c))?.deleting, marked?.deleting)
      await fails('FNA_ERR_EXISTS', flow('f'))
      const seen = await service.get('Flow', 'f', c)
      const one = await service.update(seen!, { finalizers: ['queue'] }, c)
      assert.notEqual(await service.get('Flow', 'f', c), null)
      await service.update(one, { finalizers: [] }, c)
      assert.equal(await service.get('Flow', 'f', c), null)
      await flow('f')
    },
  },
  {
    name: 'a deletion by uid spares another one',
    async run({ service, c, flow }) {
      const first = await flow('f')
      await service.delete('Flow', 'f', { uid: first.uid }, c)
      const second = await flow('f')
      await fails('FNA_ERR_CONFLICT', service.delete('Flow', 'f', { uid: first.uid }, c))
      assert.deepEqual(await service.get('Flow', 'f', c), second)
      assert.equal(await service.delete('Flow', 'f', { uid: second.uid }, c), 'gone')
      assert.equal(await service.delete('Flow', 'f', { uid: second.uid }, c), 'absent')
    },
  },
]

function spoil(spec: object): void {
  if (!Object.isFrozen(spec)) Object.assign(spec, { broker: 'spoilt' })
}
