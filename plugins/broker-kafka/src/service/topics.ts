import { type Call, FnaError, type QueueSpec } from '@fnaa/core/plugin'
import {
  alterTopicConfigs,
  type Cluster,
  describeTopicConfigs,
  expectOk,
  metadata,
  passes,
  type TopicInfo,
} from '@fnaa/kafka-wire'
import type { Settings } from '../options.js'
import type { Clients } from './clients.js'
import { kafkaName, mapped } from './errors.js'

/** Milliseconds that brokers may take to hear from their controller what has been made or deleted. */
const SETTLE = 15_000
const PAUSES = [10, 20, 50, 100, 200] as const
/** Milliseconds that a question is asked again while leaders are elected or a broker starts. */
const PATIENCE = 5_000
/** Where the cluster gives topics no id (before Kafka 2.8, and look-alikes): a topic made anew is not told from the old one. */
const NO_ID = '?'

type Described = QueueSpec & { readonly epoch: string }

/** @returns null where there is no such topic */
export async function find(wire: Cluster, topic: string, c: Call): Promise<TopicInfo | null> {
  const ask = async () => {
    try {
      return await wire.topic(topic, c, true)
    } catch (e) {
      if (kafkaName(e) === 'UNKNOWN_TOPIC_OR_PARTITION') return null
      throw e
    }
  }
  try {
    return await wire.retry(ask, c, PATIENCE)
  } catch (e) {
    throw mapped(e, `topic ${topic} cannot be looked at`)
  }
}

/** @throws FNA_ERR_NOTFOUND */
export async function need(wire: Cluster, topic: string, c: Call): Promise<TopicInfo> {
  const found = await find(wire, topic, c)
  if (!found) throw new FnaError('FNA_ERR_NOTFOUND', `there is no topic ${topic}`)
  return found
}

export async function describe({ wire }: Clients, topic: string, c: Call): Promise<Described | null> {
  const found = await find(wire, topic, c)
  if (!found) return null
  const shards = found.partitions.length
  const values = await configs(wire, topic, c)
  const [retentionMs, bytes, most] = [RETENTION_MS, RETENTION_BYTES, MAX_BYTES].map(name =>
    Number(values.get(name) ?? -1),
  )
  return {
    epoch: found.id ?? NO_ID,
    shards,
    ...(retentionMs! >= 0 && { retentionMs }),
    ...(bytes! >= 0 && { retentionBytes: bytes! * shards }),
    ...(most! >= 0 && { maxEventBytes: eventOf(most!) }),
  }
}

export async function create(
  k: Clients,
  s: Settings,
  topic: string,
  spec: QueueSpec,
  c: Call,
): Promise<'created' | 'exists'> {
  const shards = spec.shards ?? s.shards
  const own = { ...(s.retentionMs !== undefined && { retentionMs: s.retentionMs }), ...spec }
  const failed = `topic ${topic} cannot be made`
  const admin = await k.admin().catch(e => Promise.reject(mapped(e, failed)))
  const entry = {
    topic,
    numPartitions: shards,
    replicationFactor: s.replication,
    configEntries: [...entries(own, Math.max(shards, 1))].map(([name, value]) => ({ name, value })),
  }
  let made: boolean
  try {
    // Of leaders we see to it ourselves: kafkajs asks the controller alone.
    made = await admin.createTopics({ topics: [entry], waitForLeaders: false, timeout: SETTLE })
  } catch (e) {
    throw mapped(e, failed)
  }
  const info = await settled(k.wire, topic, t => t?.partitions.every(p => p.leader >= 0) ?? false, c)
  // Only now is it known how many partitions "the cluster's default" is: the limit in bytes is of the whole queue.
  if (made && shards < 1 && spec.retentionBytes !== undefined && info)
    await alter(k.wire, topic, entries({ retentionBytes: spec.retentionBytes }, info.partitions.length), c)
  return made ? 'created' : 'exists'
}

/** @throws FNA_ERR_NOTFOUND; FNA_ERR_INVALID for fewer shards */
export async function update(k: Clients, topic: string, spec: QueueSpec, c: Call): Promise<void> {
  const now = await describe(k, topic, c)
  if (!now) throw new FnaError('FNA_ERR_NOTFOUND', `there is no topic ${topic}`)
  const had = now.shards!
  const shards = spec.shards ?? had
  if (shards < had)
    throw new FnaError(
      'FNA_ERR_INVALID',
      `topic ${topic} has ${had} shards: Kafka takes none away, delete it and make it anew`,
    )
  if (shards > had) await grow(k, topic, shards, c)
  // Kafka counts bytes per partition: with more of them each keeps less.
  const retentionBytes = spec.retentionBytes ?? (shards > had ? now.retentionBytes : undefined)
  const wanted = entries({ ...spec, ...(retentionBytes !== undefined && { retentionBytes }) }, shards)
  const current = wanted.size > 0 ? await configs(k.wire, topic, c) : new Map()
  // What stands already is not asked for: not every cluster lets it be changed.
  const values = new Map([...wanted].filter(([name, value]) => current.get(name) !== value))
  if (values.size > 0) await alter(k.wire, topic, values, c)
}

async function grow(k: Clients, topic: string, count: number, c: Call): Promise<void> {
  try {
    await (await k.admin()).createPartitions({ topicPartitions: [{ topic, count }], timeout: SETTLE })
  } catch (e) {
    throw mapped(e, `topic ${topic} cannot be given ${count} shards`)
  }
  await settled(k.wire, topic, t => t?.partitions.length === count && t.partitions.every(p => p.leader >= 0), c)
}

export async function remove(k: Clients, topic: string, c: Call): Promise<'deleted' | 'absent'> {
  if (!(await find(k.wire, topic, c))) return 'absent'
  try {
    await (await k.admin()).deleteTopics({ topics: [topic], timeout: SETTLE })
  } catch (e) {
    if (kafkaName(e) === 'UNKNOWN_TOPIC_OR_PARTITION') return 'absent'
    throw mapped(e, `topic ${topic} cannot be deleted`)
  }
  await settled(k.wire, topic, t => t === null, c)
  return 'deleted'
}

/** Waits until every broker that answers says of the topic what has been done: each hears of it by itself. */
async function settled(
  wire: Cluster,
  topic: string,
  done: (t: TopicInfo | null) => boolean | undefined,
  c: Call,
): Promise<TopicInfo | null> {
  const end = performance.now() + SETTLE
  for (let tries = 0; ; tries++) {
    const said = await everyBroker(wire, topic, c)
    if (said.length > 0 && said.every(done)) {
      wire.forget(topic)
      return said[0]!
    }
    if (performance.now() > end || c.signal.aborted)
      throw new FnaError('FNA_ERR_UNAVAILABLE', `the brokers do not agree on topic ${topic} after ${SETTLE} ms`)
    await pause(tries)
  }
}

const pause = (tries: number) => new Promise(resolve => setTimeout(resolve, PAUSES[Math.min(tries, PAUSES.length - 1)]))

async function everyBroker(wire: Cluster, topic: string, c: Call): Promise<(TopicInfo | null)[]> {
  const { nodes } = await wire.retry(() => wire.metadata([], c), c, PATIENCE)
  const said = await Promise.all(
    nodes.map(async node => {
      try {
        const connection = await wire.node(node.id, 'control', c)
        const found = (await connection.request(metadata, { topics: [topic] })).topics[0]
        return [found && found.error === 0 ? found : null]
      } catch (e) {
        if (passes(e)) return []
        throw e
      }
    }),
  )
  return said.flat()
}

const RETENTION_MS = 'retention.ms'
const RETENTION_BYTES = 'retention.bytes'
const MAX_BYTES = 'max.message.bytes'

/** A queue's settings in Kafka's words. */
function entries(spec: QueueSpec, shards: number): ReadonlyMap<string, string> {
  const out = new Map<string, string>()
  if (spec.retentionMs !== undefined) out.set(RETENTION_MS, String(spec.retentionMs))
  if (spec.retentionBytes !== undefined) out.set(RETENTION_BYTES, String(Math.ceil(spec.retentionBytes / shards)))
  if (spec.maxEventBytes !== undefined) out.set(MAX_BYTES, String(batchOf(spec.maxEventBytes)))
  return out
}

/** Empty where we may not ask: the topic can be used all the same. */
async function configs(wire: Cluster, topic: string, c: Call): Promise<ReadonlyMap<string, string | null>> {
  const names = [RETENTION_MS, RETENTION_BYTES, MAX_BYTES]
  try {
    const connection = await wire.any(c)
    const found = await connection.request(describeTopicConfigs, { topic, names })
    expectOk(found.error, `the settings of topic ${topic}`, found.message)
    return found.values
  } catch (e) {
    const name = kafkaName(e)
    if (name === 'TOPIC_AUTHORIZATION_FAILED' || name === 'UNSUPPORTED' || name === 'UNKNOWN_TOPIC_OR_PARTITION')
      return new Map()
    throw mapped(e, `the settings of topic ${topic} cannot be read`)
  }
}

async function alter(wire: Cluster, topic: string, values: ReadonlyMap<string, string>, c: Call): Promise<void> {
  try {
    await wire.retry(
      async () => {
        const answer = await (await wire.any(c)).request(alterTopicConfigs, { topic, values })
        expectOk(answer.error, topic, answer.message)
      },
      c,
      PATIENCE,
    )
  } catch (e) {
    throw mapped(e, `the settings of topic ${topic} cannot be changed`)
  }
  // The answer is the controller's; a broker hears of it a moment later, and would still tell the old values.
  const end = performance.now() + SETTLE
  for (let tries = 0; performance.now() < end && !c.signal.aborted; tries++) {
    const now = await configs(wire, topic, c)
    if (now.size === 0 || [...values].every(([name, value]) => now.get(name) === value)) return
    await pause(tries)
  }
}

/** Bytes around an event that is alone in its batch: the batch's header, and five bytes and two lengths of the record. */
const around = (event: number) => 61 + 5 + 2 * Math.ceil((Math.log2(Math.max(event, 1)) + 2) / 7)

/** Kafka limits batches, flows events: the limit is that of one event alone. */
export const batchOf = (event: number) => event + around(event)

/** The event that fits into a batch of so many bytes. */
export function eventOf(batch: number): number {
  let event = Math.max(batch - around(batch), 0)
  while (batchOf(event + 1) <= batch) event++
  return event
}
