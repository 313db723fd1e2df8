import assert from 'node:assert/strict'
import { fails } from '../suite.js'
import { type BrokerCase, take } from './tools.js'

const FLOWS = [
  'time.flows.unix.test',
  'time-flows.unix.test',
  'time.flows-unix.test',
  'time--flows.unix.test',
  'timeflows.unix.test',
  'a.b.c',
  'a-b.c',
  'a.b-c',
  'ab.c',
  '7f3kqa.time.flows.unix.test',
  `${'x'.repeat(63)}.${'y'.repeat(63)}.${'z'.repeat(60)}.test`,
  `${'x'.repeat(63)}.${'y'.repeat(63)}.${'z'.repeat(59)}a.test`,
]

/** The control face. */
export const queueCases: readonly BrokerCase[] = [
  {
    name: 'a queue is created once, and whoever comes second is told so',
    async run({ service, c }) {
      const queue = service.queueFor('f.unix.test')
      assert.equal(await service.describeQueue(queue, c), null)
      assert.equal(await service.createQueue(queue, {}, c), 'created')
      assert.equal(await service.createQueue(queue, {}, c), 'exists')
      assert.notEqual(await service.describeQueue(queue, c), null)
    },
  },
  {
    name: 'a second creation leaves the queue and its events as they are',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const before = await x.service.describeQueue(queue, x.c)
      await x.write(queue, 'kept')
      await x.service.createQueue(queue, { shards: 3 }, x.c)
      assert.deepEqual(await x.service.describeQueue(queue, x.c), before)
      assert.deepEqual((await take(await x.source(queue), 1)).values, ['kept'])
    },
  },
  {
    name: 'of many creations at once exactly one has created it',
    async run({ service, c }) {
      const queue = service.queueFor('f.unix.test')
      const said = await Promise.all(Array.from({ length: 10 }, () => service.createQueue(queue, {}, c)))
      assert.equal(said.filter(s => s === 'created').length, 1)
    },
  },
  {
    name: 'what is deleted is gone, and deleting it again says absent',
    async run({ service, queue, c }) {
      const q = await queue('f.unix.test')
      assert.equal(await service.deleteQueue(q, c), 'deleted')
      assert.equal(await service.describeQueue(q, c), null)
      assert.equal(await service.deleteQueue(q, c), 'absent')
    },
  },
  {
    name: 'a queue that was made anew has another epoch and no events; nothing else changes the epoch',
    async run(x) {
      const queue = await x.queue('f.unix.test')
      const first = await x.service.describeQueue(queue, x.c)
      assert.ok(first && first.epoch.length > 0)
      await x.write(queue, 'old')
      await x.service.updateQueue(queue, { retentionMs: 86_400_000 }, x.c)
      await x.restart()
      assert.equal((await x.service.describeQueue(queue, x.c))?.epoch, first.epoch)
      await x.service.deleteQueue(queue, x.c)
      await x.service.createQueue(queue, {}, x.c)
      const second = await x.service.describeQueue(queue, x.c)
      assert.notEqual(second?.epoch, first.epoch)
      await x.write(queue, 'new')
      assert.deepEqual((await take(await x.source(queue), 1)).values, ['new'])
    },
  },
  {
    name: 'an update changes what it names and leaves the rest',
    async run({ service, queue, c }) {
      const q = await queue('f.unix.test', { retentionMs: 3_600_000 })
      const before = await service.describeQueue(q, c)
      await service.updateQueue(q, { retentionMs: 7_200_000 }, c)
      assert.deepEqual(await service.describeQueue(q, c), { ...before, retentionMs: 7_200_000 })
    },
  },
  {
    name: 'an update of an absent queue and one that takes shards away are refused',
    async run({ service, queue, c }) {
      await fails('FNA_ERR_NOTFOUND', service.updateQueue(service.queueFor('none.unix.test'), {}, c))
      const q = await queue('f.unix.test', { shards: 2 })
      if ((await service.describeQueue(q, c))?.shards !== 2) return
      await fails('FNA_ERR_INVALID', service.updateQueue(q, { shards: 1 }, c))
    },
  },
  {
    name: 'two flows never share a queue, and a flow’s queue is always the same',
    async run({ service }) {
      const queues = FLOWS.map(f => service.queueFor(f))
      assert.equal(new Set(queues).size, FLOWS.length)
      assert.equal(new Set(queues.map(q => q.toLowerCase())).size, FLOWS.length, 'some differ in case only')
      assert.deepEqual(
        FLOWS.map(f => service.queueFor(f)),
        queues,
      )
    },
  },
  {
    name: 'an endpoint names the broker’s type and holds no secret',
    async run({ service, manifest, queue }) {
      const { endpoint, credential } = service.internal(await queue('f.unix.test'))
      assert.equal(endpoint.type, manifest.supports.type)
      const text = JSON.stringify(endpoint)
      for (const secret of Object.values(credential?.values ?? {})) assert.ok(!text.includes(secret))
      assert.ok(!/password|secret|token/i.test(text))
    },
  },
  {
    name: 'where strangers do not get in at the broker itself, a grant is refused',
    needs: s => s.access.length === 0,
    async run({ service, queue, c }) {
      const q = await queue('f.unix.test')
      await fails('FNA_ERR_UNSUPPORTED', service.grant({ id: 'id1', queue: q, rights: ['read'] }, c))
      assert.equal(await service.revoke('id1', c), 'absent')
    },
  },
  {
    name: 'a grant with issued credentials is the same when repeated, and ends with its revocation',
    needs: s => s.access.includes('issued'),
    async run({ service, queue, c }) {
      const request = { id: 'id1', queue: await queue('f.unix.test'), rights: ['read'] as const }
      const first = await service.grant(request, c)
      assert.deepEqual(await service.grant(request, c), first)
      assert.equal(await service.revoke('id1', c), 'revoked')
      assert.equal(await service.revoke('id1', c), 'absent')
    },
  },
  {
    name: 'after closing every call is refused',
    async run({ service, queue, wire, c, stop }) {
      const q = await queue('f.unix.test')
      const open = await wire(q)
      const sink = await open.sink({ writer: 'w', epoch: 1 }, c)
      await stop()
      await fails('FNA_ERR_CLOSED', service.describeQueue(q, c))
      await fails('FNA_ERR_CLOSED', service.createQueue(q, {}, c))
      await fails('FNA_ERR_CLOSED', service.deleteQueue(q, c))
      await sink.close()
      await open.close()
    },
  },
]
