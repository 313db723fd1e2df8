import { call, harness, until } from '@fnaa/conformance'
import type { BrokerService } from '@fnaa/core/plugin'
import { test } from 'tap'
import { isolated, oneCluster, plain } from '../cluster.test.helper.js'

const cluster = await oneCluster()
const c = call()
const newer = !cluster?.version.startsWith('3.')

if (cluster) {
  test('settings, shards that grow, and who reads: in the old and the new protocol, before and after a commit', async t => {
    const h = await harness(isolated(plain(cluster)))
    t.teardown(() => h.close())
    const service = h.service as BrokerService
    const q = service.queueFor('f.unix.test')
    await service.createQueue(q, { shards: 2, retentionBytes: 1_000_000, maxEventBytes: 5_000 }, c)
    t.match(await service.describeQueue(q, c), { shards: 2, retentionBytes: 1_000_000, maxEventBytes: 5_000 })
    await service.updateQueue(q, { shards: 4 }, c)
    t.match(await service.describeQueue(q, c), { shards: 4, retentionBytes: 1_000_000, maxEventBytes: 5_000 })
    const said = await cluster.tool('kafka-topics', ['--describe', '--topic', q])
    t.match(said.stdout, /PartitionCount: 4.*retention\.bytes=250000/)

    const reader = (group: string, protocol: string) => {
      const stop = new AbortController()
      // Kafka 3 has no other protocol than the classic one, and no name for it.
      const as = newer ? ['--command-property', `group.protocol=${protocol}`] : []
      const args = ['--topic', q, '--group', group, ...as]
      const ended = cluster.tool('kafka-console-consumer', [...args, '--from-beginning'], { signal: stop.signal })
      return async () => {
        stop.abort()
        await ended
      }
    }
    const ends = [reader('old', 'classic'), ...(newer ? [reader('new', 'consumer')] : [])]
    const groups = newer ? ['new', 'old'] : ['old']
    const names = async () => (await service.listConsumers(q, c)).map(r => r.name)
    await until(async () => (await names()).join() === groups.join())
    t.pass('subscribed, without a commit')

    const produce = (lines: number) =>
      cluster.tool('kafka-console-producer', ['--topic', q], { input: 'x\n'.repeat(lines) })
    await produce(3)
    const caughtUp = (r: { lag?: number }) => r.lag === 0
    await until(async () => {
      const found = await service.listConsumers(q, c)
      return found.length === groups.length && found.every(caughtUp)
    })
    await Promise.all(ends.map(end => end()))
    await produce(2)
    const found = await service.listConsumers(q, c)
    t.strictSame(
      found.map(({ name, lag }) => [name, lag]),
      groups.map(name => [name, 2]),
    )
    t.ok(found.every(r => r.behindMs !== undefined))
  })
}
