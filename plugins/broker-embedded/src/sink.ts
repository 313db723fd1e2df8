import { FnaError, type Sink } from '@fnaa/core/plugin'
import { aborted, type Put } from '@fnaa/lib-lmdb'
import type { EmbeddedBroker } from './broker.js'
import { fenceOf } from './fences.js'
import { incoming } from './incoming.js'

/** Appends to a queue. Writers that wait at the same time share one flush. */
export function openSink(broker: EmbeddedBroker, name: string, who: { writer: string; epoch: number }): Sink {
  const fence = fenceOf('write', name, who.writer)
  let closed = false
  const check = () => {
    broker.open()
    if (closed) throw new FnaError('FNA_ERR_CLOSED', 'the sink is closed')
    broker.fences.check(fence, who.epoch)
  }
  return {
    async write(batch, opt, c) {
      check()
      if (c.signal.aborted) throw aborted(c.signal)
      if (opt.exactly) throw new FnaError('FNA_ERR_UNSUPPORTED', 'this broker has no transactions (see supports)')
      const { queues, disk, clock } = broker
      const queue = queues.get(name)
      const now = clock.now()
      const parcels = incoming(batch, queue.spec, queue.shards.length, now)
      const work = (put: Put, group: number) => {
        check()
        if (queues.get(name) !== queue) throw new FnaError('FNA_ERR_NOTFOUND', `${name} was made anew`)
        return parcels.map(p => {
          const shard = queue.shards[p.shard]!
          return { shard, state: shard.append(put, group, p, now) }
        })
      }
      const done = (appended: ReturnType<typeof work>) => {
        for (const { shard, state } of appended) {
          shard.publish(state)
          broker.retention.grown(queue, shard)
        }
        queue.wake()
      }
      const grows = parcels.reduce((sum, p) => sum + p.bytes.length, 0)
      const appended = await disk.commit(work, { grows, signal: c.signal, done })
      // Where one write went to several shards, the last of them speaks for it.
      const asItCame = parcels.length === 1 && parcels[0]!.bytes === batch.raw?.bytes
      return { cursor: String(appended.at(-1)!.state.end), tier: asItCame ? 'raw' : 'decoded' }
    },
    async restore() {
      return null
    },
    async close() {
      closed = true
    },
  }
}
