import { type Call, type Exactly, FnaError, isFna, type Sink } from '@fnaa/core/plugin'
import { expectOk, MAY, metadata, recode, type TopicInfo } from '@fnaa/kafka-wire'
import {
  BATCH_AT,
  type Batch,
  encodeBatch,
  LIMITS,
  LOG_APPEND_TIME,
  type Position,
  readBatchHeader,
  type Tier,
} from '@fnaa/protocol'
import { Group } from './fence.js'
import { Lane } from './lane.js'
import { KeptPosition, keptPosition } from './positions.js'
import { anonymousWriter, fenceOff, LiveWriter, namedWriter } from './producer.js'
import { Retention } from './retention.js'
import { shardOf } from './sharding.js'
import type { Topic } from './topic.js'
import { Transactions } from './transactions.js'

const EXPANDED = { bytes: LIMITS.expanded }

/** Opens a topic for writing. With epoch 0 nobody takes anybody's place. */
export async function openSink(
  at: Topic,
  opt: { readonly writer: string; readonly epoch: number },
  c: Call,
): Promise<Sink> {
  await mayWrite(at, c)
  const info = await at.cluster.topic(at.topic, c, true)
  const retention = await Retention.of(at, c)
  if (opt.epoch === 0) {
    const make = (call: Call) => anonymousWriter(at, call)
    return new KafkaSink(at, { info, retention, writer: new LiveWriter(await make(c), make) })
  }
  const group = new Group(at, at.names.writer(opt.writer), opt.epoch)
  const { mark } = await group.read([0], c)
  const writer = await namedWriter(at, at.names.writer(opt.writer), c)
  let kept = true
  if (mark?.epoch !== opt.epoch) {
    if (mark) await fenceOff(at, writer, c)
    kept = await keep(group, info.id ?? '?', c)
    // Where no mark can be kept, none says who was before: a name that was never used has nobody behind it.
    if (!kept && writer.producer.epoch > 0) await fenceOff(at, writer, c)
  }
  const renew = async (call: Call) => {
    if (!kept) throw new FnaError('FNA_ERR_FENCED', 'another run writes in place of this one, or the cluster forgot it')
    // Was it a successor, or somebody of the same epoch?
    await group.read([0], call)
    return namedWriter(at, at.names.writer(opt.writer), call)
  }
  return new KafkaSink(at, { info, retention, writer: new LiveWriter(writer, renew) })
}

/** Notes the epoch. @returns false where it cannot be: to who may write a topic and not read it, Kafka keeps no offsets of it */
async function keep(group: Group, topicId: string, c: Call): Promise<boolean> {
  try {
    await group.commit(new Map([[0, 0]]), c, topicId)
    return true
  } catch (e) {
    if (isFna(e, 'FNA_ERR_DENIED')) return false
    throw e
  }
}

/** That we may write is proved now, and not by the first event. @throws FNA_ERR_DENIED */
async function mayWrite({ cluster, topic }: Topic, c: Call): Promise<void> {
  const rights = await cluster.retry(async () => {
    const connection = await cluster.any(c)
    const [found] = (await connection.request(metadata, { topics: [topic], rights: true })).topics
    expectOk(found?.error ?? 3, `topic ${topic}`)
    return found!.rights
  }, c)
  if (rights !== null && (rights & MAY.write) === 0)
    throw new FnaError('FNA_ERR_DENIED', `the login may not write topic ${topic}`)
}

class KafkaSink implements Sink {
  readonly #at: Topic
  readonly #writer: LiveWriter
  readonly #retention: Retention
  readonly #lanes = new Map<number, Lane>()
  readonly #closed = new AbortController()
  readonly #exactly = new Map<string, Promise<Transactions>>()
  readonly #begun = new Set<Transactions>()

  /** What was last known of the topic. */
  #info: TopicInfo

  constructor(at: Topic, opened: { info: TopicInfo; retention: Retention; writer: LiveWriter }) {
    this.#at = at
    this.#info = opened.info
    this.#retention = opened.retention
    this.#writer = opened.writer
  }

  async write(b: Batch, opt: { exactly?: Exactly }, c: Call): Promise<{ cursor: string; tier: Tier }> {
    if (c.signal.aborted || this.#closed.signal.aborted)
      throw new FnaError('FNA_ERR_CLOSED', 'the write was called off')
    // Nothing is waited for: writes begin in the order in which they are called, whatever becomes of the cluster meanwhile.
    this.#info = this.#at.cluster.known(this.#at.topic) ?? this.#info
    const bytes = this.#retention.held(b, ready(b))
    const parts = [...shardOf(b, bytes, this.#info.partitions.length)]
    const tier = parts[0]?.[1] === b.raw?.bytes ? 'raw' : 'decoded'
    if (opt.exactly) {
      const transactions = await this.#transactions(opt.exactly.reader, c)
      const { epoch } = opt.exactly
      return { cursor: await transactions.write({ parts, epoch, shard: b.shard, last: b.last }), tier }
    }
    const placed = await Promise.all(parts.map(([partition, bytes]) => this.#lane(partition).write(bytes)))
    const all = placed.map(p => p.tier)
    return {
      cursor: placed.at(-1)!.cursor,
      tier: tier === 'decoded' || all.includes('decoded') ? 'decoded' : all.includes('rebatched') ? 'rebatched' : 'raw',
    }
  }

  waiting(): unknown {
    return [...this.#lanes.values(), ...this.#begun].map(l => l.late).find(e => e !== undefined)
  }

  restore(reader: string, c: Call): Promise<Position | null> {
    return keptPosition(this.#at, reader, c)
  }

  async close(): Promise<void> {
    this.#closed.abort()
    const closed = new FnaError('FNA_ERR_CLOSED', 'the sink is closed')
    for (const lane of this.#lanes.values()) lane.fail(closed)
    for (const transactions of this.#exactly.values()) void transactions.then(t => t.fail(closed))
  }

  /** One row of transactions for each reader: a sink has one as a rule. */
  #transactions(reader: string, c: Call): Promise<Transactions> {
    let known = this.#exactly.get(reader)
    if (!known) {
      known = this.#begin(reader, c)
      known.catch(() => this.#exactly.delete(reader))
      this.#exactly.set(reader, known)
    }
    return known
  }

  async #begin(reader: string, c: Call): Promise<Transactions> {
    if (this.#writer.now.transactionalId === null)
      throw new FnaError(
        'FNA_ERR_UNSUPPORTED',
        'exactly once needs a writer with an epoch, and a cluster that grants a transactional id',
      )
    const { partitions } = await this.#at.cluster.topic(this.#at.topic, c)
    const position = new KeptPosition(this.#at.topic, partitions.length, await this.restore(reader, c))
    const signal = AbortSignal.any([this.#closed.signal, this.#at.cluster.signal])
    const transactions = new Transactions(this.#at, { writer: this.#writer, reader, position }, signal)
    this.#begun.add(transactions)
    return transactions
  }

  #lane(partition: number): Lane {
    let lane = this.#lanes.get(partition)
    if (!lane) {
      const signal = AbortSignal.any([this.#closed.signal, this.#at.cluster.signal])
      lane = new Lane(this.#at, partition, this.#writer, signal)
      this.#lanes.set(partition, lane)
    }
    return lane
  }
}

/** The bytes that a broker takes: as they came, unless the broker's own time stands in them, or there are none. */
function ready(b: Batch): Uint8Array {
  if (b.raw?.format !== 'kafka-v2') return encodeBatch(b.events(EXPANDED))
  const bytes = b.raw.bytes
  if (bytes.length < BATCH_AT.records) throw new FnaError('FNA_ERR_CORRUPT', 'a batch is shorter than its header')
  const { attributes } = readBatchHeader(bytes)
  return (attributes & LOG_APPEND_TIME) === 0 ? bytes : (recode(bytes, 0) as Uint8Array)
}
