import { type BrokerService, type Call, FnaError } from '@fnaa/core/plugin'
import { aborted } from '@fnaa/lib-lmdb'
import type { EmbeddedBroker } from './broker.js'
import type { Queue } from './queue.js'
import type { ReaderRecord } from './readers.js'

/** The control face. `release` undoes what was set up around the broker. */
export function brokerService(broker: EmbeddedBroker, directory: string, release: () => Promise<void>): BrokerService {
  const { queues, readers } = broker
  const enter = (c: Call) => {
    broker.open()
    if (c.signal.aborted) throw aborted(c.signal)
  }
  return {
    queueFor: flow => flow,
    async describeQueue(queue, c) {
      enter(c)
      const found = queues.find(queue)
      return found ? { ...found.spec, epoch: found.record.epoch } : null
    },
    async createQueue(queue, spec, c) {
      enter(c)
      return queues.create(queue, spec, c.signal)
    },
    async updateQueue(queue, spec, c) {
      enter(c)
      return queues.update(queue, spec, c.signal)
    },
    async deleteQueue(queue, c) {
      enter(c)
      return queues.delete(queue, c.signal)
    },
    async listConsumers(queue, c) {
      enter(c)
      const found = queues.get(queue)
      const here = [...readers.of(queue)].filter(([, r]) => r.epoch === found.record.epoch)
      return here.map(([name, r]) => ({ name, ...behind(found, r, broker.clock.now()) }))
    },
    internal: queue => ({
      endpoint: { type: 'embedded', servers: [], queue, options: { directory } },
      credential: null,
    }),
    async grant() {
      throw new FnaError('FNA_ERR_UNSUPPORTED', 'strangers reach the embedded broker through fnap only')
    },
    async revoke() {
      return 'absent'
    },
    async health() {
      if (broker.closed) return { ok: false, detail: 'closed' }
      const { failed } = broker.disk
      return failed ? { ok: false, detail: failed.message } : { ok: true }
    },
    close: () => broker.close(release),
  }
}

/** How far a reader is behind, in events and in the age of the first one that it has not committed. */
function behind(queue: Queue, { shards }: ReaderRecord, now: number): { lag: number; behindMs: number } {
  let lag = 0
  let since = now
  for (const shard of queue.shards) {
    const at = Math.max(Number(shards[shard.name] ?? shard.start), shard.start)
    if (at >= shard.end) continue
    lag += shard.end - at
    since = Math.min(since, shard.appendedAt(at) ?? now)
  }
  return { lag, behindMs: now - since }
}
