import { call, fails, harness } from '@fnaa/conformance'
import type { BrokerService } from '@fnaa/core/plugin'
import { batchOf, encodeBatch } from '@fnaa/protocol'
import { startEventHubs } from '@fnaa/services'
import t from 'tap'
import { isolated, reaching, skip } from '../cluster.test.helper.js'

const c = call()
const batch = (value: string) =>
  batchOf({
    shard: '0',
    last: '',
    bytes: encodeBatch([{ key: null, value: Buffer.from(value), headers: [], timestamp: Date.now() }]),
  })

t.test(
  'Event Hubs: a login by connection string, old versions, no rights, no users, no transactions',
  { skip },
  async t => {
    const hubs = await startEventHubs()
    t.teardown(() => hubs.stop())
    const { servers, ca, username, password } = hubs
    const options = { servers, tls: { ca }, sasl: { mechanism: 'plain' as const, username, password } }
    const h = await harness(isolated(options), { driver: reaching })
    t.teardown(() => h.close())
    const service = h.service as BrokerService
    t.strictSame(service.access!(), [], 'nobody can be given a user there')
    await fails('FNA_ERR_UNSUPPORTED', service.grant({ id: 'x', queue: 'q', rights: ['read'] }, c))
    t.match(await service.health(c), { ok: true })

    const q = service.queueFor('f.unix.test')
    t.equal(await service.createQueue(q, { shards: 2, retentionMs: 86_400_000 }, c), 'created')
    t.match(await service.describeQueue(q, c), { shards: 2, retentionMs: 86_400_000, epoch: '?' })
    await service.updateQueue(q, { shards: 3 }, c)
    t.match(await service.describeQueue(q, c), { shards: 3 })
    await service.updateQueue(q, { shards: 3, retentionMs: 86_400_000 }, c)
    await t.rejects(service.updateQueue(q, { retentionMs: 3_600_000 }, c), {
      code: 'FNA_ERR_UNSUPPORTED',
      message: /settings of topic .* cannot be changed: UNSUPPORTED; .*change it where they are administered/,
    })

    const { endpoint, credential } = service.internal(q)
    const wire = await h.driver!.open(endpoint, credential, { log: h.ctx.log, dial: h.ctx.dial, foreign: false }, c)
    t.teardown(() => wire.close())
    for (const epoch of [1, 2]) {
      const sink = await wire.sink({ writer: 'w', epoch }, c)
      for (const n of [1, 2]) await sink.write(batch(`${epoch}.${n}`), {}, c)
      await sink.close()
    }
    const source = await wire.source({ reader: 'r', epoch: 1, from: { at: 'earliest' } }, c)
    const seen: string[] = []
    for await (const piece of source.read(c)) {
      if ('reason' in piece) continue
      for (const event of piece.events({ bytes: 1000 })) seen.push(String(event.value))
      await source.commit(piece.shard, piece.last, c)
      if (seen.length === 4) break
    }
    t.strictSame(seen, ['1.1', '1.2', '2.1', '2.2'])
    t.match(await service.listConsumers(q, c), [{ name: 'r', lag: 0, behindMs: 0 }])
    await source.close()
    t.equal(await service.deleteQueue(q, c), 'deleted')

    await t.test('another string is refused, and not repeated', async t => {
      const other = 'Endpoint=sb://other.example/;SharedAccessKeyName=x;SharedAccessKey=c2VjcmV0'
      const started = harness(isolated({ ...options, sasl: { ...options.sasl, password: other } }), {
        driver: reaching,
      })
      const e = await started.catch(x => x as Error)
      t.match(e, { code: 'FNA_ERR_CONFIG', message: /sasl is refused by the cluster.*see sasl/ })
      t.notMatch((e as Error).message, /c2VjcmV0/)
    })
  },
)
