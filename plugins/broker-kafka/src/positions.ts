import { type Call, FnaError } from '@fnaa/core/plugin'
import { type CommitPart, expectOk, offsetFetch } from '@fnaa/kafka-wire'
import type { Position } from '@fnaa/protocol'
import type { Topic } from './topic.js'

/** What a cluster keeps beside an offset at most, in bytes (offset.metadata.max.bytes). */
const MOST_METADATA = 4096

/**
 * A reader's position in its source, kept beside the data in the target: as what stands with the offsets of a consumer group, since
 * a transaction can hold those. The offsets themselves say nothing: the source's cursors need not be numbers.
 */
export class KeptPosition {
  readonly #topic: string
  readonly #partitions: number
  readonly #cursors = new Map<string, string>()
  epoch = ''

  constructor(topic: string, partitions: number, position: Position | null) {
    this.#topic = topic
    this.#partitions = partitions
    this.reset(position)
  }

  reset(position: Position | null): void {
    this.#cursors.clear()
    this.epoch = position?.epoch ?? ''
    for (const [shard, cursor] of Object.entries(position?.shards ?? {})) this.#cursors.set(shard, cursor)
  }

  /** Moves it; another epoch of the source begins anew. */
  move(epoch: string, shard: string, cursor: string): void {
    if (epoch !== this.epoch) {
      this.#cursors.clear()
      this.epoch = epoch
    }
    this.#cursors.set(shard, cursor)
  }

  /** What has to be committed after these shards moved. @throws FNA_ERR_TOO_LARGE for more shards than there is room for */
  parts(shards: Iterable<string>): CommitPart[] {
    const touched = new Set([...shards].map(s => this.#place(s)))
    return [...touched].map(partition => {
      const of = [...this.#cursors].filter(([shard]) => this.#place(shard) === partition)
      const metadata = JSON.stringify({ v: 1, epoch: this.epoch, shards: Object.fromEntries(of) })
      if (Buffer.byteLength(metadata) > MOST_METADATA)
        throw new FnaError('FNA_ERR_TOO_LARGE', 'the positions of so many shards do not fit beside so few partitions')
      return { topic: this.#topic, partition, offset: 0, metadata }
    })
  }

  #place(shard: string): number {
    const n = /^\d{1,9}$/.test(shard)
      ? Number(shard)
      : [...shard].reduce((h, ch) => (h * 31 + ch.charCodeAt(0)) | 0, 7) >>> 0
    return n % this.#partitions
  }
}

/** The position that was kept last, null where there is none. @throws FNA_ERR_DENIED, FNA_ERR_UNAVAILABLE */
export async function keptPosition(at: Topic, reader: string, c: Call): Promise<Position | null> {
  const { cluster, topic } = at
  const group = at.names.kept(reader)
  const parts = await cluster.retry(async () => {
    const coordinator = await cluster.coordinator(group, 'group', c)
    const { partitions } = await cluster.topic(topic, c)
    const asked = partitions.map(({ partition }) => ({ topic, partition }))
    const answer = await coordinator.request(offsetFetch, { group, parts: asked })
    expectOk(answer.error, `the offsets of group ${group}`)
    for (const p of answer.parts) expectOk(p.error, `the offsets of group ${group}`)
    return answer.parts.filter(p => p.offset >= 0)
  }, c)
  const found = parts.flatMap(p => parse(p.metadata))
  const epoch = found[0]?.epoch
  if (epoch === undefined) return null
  // Parts of an epoch before were not touched since: nothing of the newer one stands there.
  return { epoch, shards: Object.assign({}, ...found.filter(f => f.epoch === epoch).map(f => f.shards)) }
}

function parse(metadata: string): Position[] {
  try {
    const m = JSON.parse(metadata) as { v: number; epoch: string; shards: Record<string, string> }
    return m.v === 1 ? [{ epoch: m.epoch, shards: m.shards }] : []
  } catch {
    return []
  }
}
