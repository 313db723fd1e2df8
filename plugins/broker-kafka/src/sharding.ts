import { type Batch, decodeBatch, encodeBatch, type FlowEvent, LIMITS, readBatchHeader } from '@fnaa/protocol'

/**
 * Which partition a batch goes to. A source's shards are numbered, and the partition of the same number takes what was in one, so
 * that order and keys stay together and nobody has to look inside. What has no number yet is spread by its keys, as Kafka's
 * own clients do; events without a key go together.
 */
export function* shardOf(b: Batch, bytes: Uint8Array, partitions: number): Generator<readonly [number, Uint8Array]> {
  if (partitions === 1) return yield [0, bytes]
  if (/^\d{1,9}$/.test(b.shard)) return yield [Number(b.shard) % partitions, bytes]
  const parts = new Map<number, FlowEvent[]>()
  for (const event of decodeBatch(bytes, { bytes: LIMITS.expanded })) {
    const partition = event.key ? (murmur2(event.key) & 0x7fffffff) % partitions : 0
    const part = parts.get(partition)
    if (part) part.push(event)
    else parts.set(partition, [event])
  }
  const { codec } = readBatchHeader(bytes)
  for (const [partition, events] of parts) yield [partition, encodeBatch(events, { codec })]
}

const M = 0x5bd1e995

/** MurmurHash2 with Kafka's seed (org.apache.kafka.common.utils.Utils): whoever else writes a key writes it to the same partition. */
export function murmur2(key: Uint8Array): number {
  let h = 0x9747b28c ^ key.length
  const words = key.length & ~3
  for (let i = 0; i < words; i += 4) {
    let k = key[i]! | (key[i + 1]! << 8) | (key[i + 2]! << 16) | (key[i + 3]! << 24)
    k = Math.imul(k, M)
    k ^= k >>> 24
    h = Math.imul(h, M) ^ Math.imul(k, M)
  }
  for (let i = key.length - 1; i >= words; i--) h ^= key[i]! << ((i - words) * 8)
  if (key.length > words) h = Math.imul(h, M)
  h ^= h >>> 13
  h = Math.imul(h, M)
  return h ^ (h >>> 15)
}
