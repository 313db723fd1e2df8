import type { Call } from '@fnaa/core/plugin'
import { cutBatches, fetch } from '@fnaa/kafka-wire'
import { batchOf } from '@fnaa/protocol'
import type { Place } from './places.js'

/** The time stamp of the event at an offset, as its batch has it (milliseconds since 1970); undefined where nothing stands there. */
export async function writtenAt({ cluster, topic }: Place, partition: number, offset: number, c: Call) {
  const { id } = await cluster.topic(topic, c)
  const { leaderEpoch } = await cluster.partition(topic, partition, c)
  const connection = await cluster.leader(topic, partition, 'control', c)
  const answer = await connection.request(fetch, {
    waitMs: 0,
    minBytes: 0,
    maxBytes: 1,
    committed: true,
    session: { id: 0, epoch: -1 },
    parts: [{ topic, id, partition, offset, leaderEpoch, maxBytes: 1 }],
  })
  const records = answer.parts[0]?.records
  const first = records ? cutBatches(records).batches[0] : undefined
  return first && batchOf({ shard: '', last: '', bytes: first.bytes }).newest
}
