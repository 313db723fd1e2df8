import type { Call } from '@fnaa/core/plugin'
import {
  type Api,
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  expectOk,
  KafkaError,
  kafkaCode,
  passes,
  pause,
  produce,
  stamped,
  txnOffsetCommit,
} from '@fnaa/kafka-wire'
import { type Position, readBatchHeader } from '@fnaa/protocol'
import { type KeptPosition, keptPosition } from './positions.js'
import { isReplaced, type LiveWriter, type Writer } from './producer.js'
import { inPieces, isTooLong } from './split.js'
import type { Topic } from './topic.js'

/** Bytes that one transaction holds at most, and writes. */
const MOST_BYTES = 8 << 20
const MOST_WRITES = 1000
const REQUEST_MS = 10_000
const PATIENCE_MS = 30_000

export interface Exact {
  readonly parts: readonly (readonly [partition: number, bytes: Uint8Array])[]
  readonly epoch: string
  readonly shard: string
  readonly last: string
}
interface Waiting extends Exact {
  parts: Exact['parts']
  readonly since: number
  resolve(cursor: string): void
  reject(e: unknown): void
}

/**
 * Writes of one reader in transactions: batches and the position behind them become visible together, or not at all. What waits
 * while one transaction is under way goes into the next.
 */
export class Transactions {
  readonly #at: Topic
  readonly #writer: LiveWriter
  readonly #reader: string
  readonly #position: KeptPosition
  readonly #signal: AbortSignal
  readonly #sequences = new Map<number, number>()
  #waiting: Waiting[] = []
  #running = false
  #failure: unknown
  #late: unknown

  constructor(at: Topic, who: { writer: LiveWriter; reader: string; position: KeptPosition }, signal: AbortSignal) {
    this.#at = at
    this.#writer = who.writer
    this.#reader = who.reader
    this.#position = who.position
    this.#signal = signal
  }

  /** Why the transaction under way is not committed yet. */
  get late(): unknown {
    return this.#late
  }

  write(e: Exact): Promise<string> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...e, since: performance.now(), resolve, reject })
      if (!this.#running) void this.#run()
    })
  }

  fail(e: unknown): void {
    this.#failure ??= e
    for (const w of this.#waiting) w.reject(this.#failure)
    this.#waiting = []
  }

  async #run(): Promise<void> {
    this.#running = true
    const c: Call = { signal: this.#signal }
    // Writes of the same moment go together.
    await Promise.resolve()
    while (this.#waiting.length > 0 && this.#failure === undefined) {
      const group = this.#take()
      try {
        const ends = await this.#transaction(group, c)
        this.#late = undefined
        for (const w of group) w.resolve(ends.get(w) ?? '')
      } catch (e) {
        await this.#recover(e, group, c)
      }
    }
    this.#running = false
  }

  #take(): Waiting[] {
    let n = 0
    for (let bytes = 0; n < this.#waiting.length && n < MOST_WRITES; n++) {
      bytes += this.#waiting[n]!.parts.reduce((sum, [, b]) => sum + b.length, 0)
      if (bytes > MOST_BYTES && n > 0) break
    }
    return this.#waiting.splice(0, n)
  }

  async #transaction(group: readonly Waiting[], c: Call): Promise<Map<Waiting, string>> {
    const touched = [...new Set(group.flatMap(w => w.parts.map(([partition]) => partition)))]
    const parts = touched.map(partition => ({ topic: this.#at.topic, partition }))
    for (const p of await this.#ask(addPartitionsToTxn, { ...this.#mine(), parts }, c))
      expectOk(p.error, 'the transaction')
    const groupId = this.#at.names.kept(this.#reader)
    const added = await this.#ask(addOffsetsToTxn, { ...this.#mine(), group: groupId }, c)
    expectOk(added.error, 'the transaction')
    const ends = new Map<Waiting, string>()
    await Promise.all(touched.map(partition => this.#produce(partition, group, ends, c)))
    for (const w of group) this.#position.move(w.epoch, w.shard, w.last)
    const coordinator = await this.#at.cluster.coordinator(groupId, 'group', c)
    const positions = this.#position.parts(group.map(w => w.shard))
    for (const p of await coordinator.request(txnOffsetCommit, { ...this.#mine(), group: groupId, parts: positions }))
      expectOk(p.error, 'the position')
    await this.#end(c)
    return ends
  }

  /** One partition's batches, in order, as many under way as a broker remembers. */
  async #produce(partition: number, group: readonly Waiting[], ends: Map<Waiting, string>, c: Call): Promise<void> {
    const connection = await this.#at.cluster.leader(this.#at.topic, partition, 'produce', c)
    const { id: producerId, epoch: producerEpoch } = this.#writer.now.producer
    const { transactionalId } = this.#mine()
    const flying: Promise<void>[] = []
    for (const w of group) {
      for (const [of, bytes] of w.parts) {
        if (of !== partition) continue
        const { count } = readBatchHeader(bytes)
        const sequence = this.#sequences.get(partition) ?? 0
        this.#sequences.set(partition, (sequence + count) % 0x80000000)
        const batch = stamped(bytes, { producerId, producerEpoch, sequence, transactional: true })
        const request = { transactionalId, timeoutMs: REQUEST_MS, parts: [{ topic: this.#at.topic, partition, batch }] }
        const sent = connection.request(produce, request, REQUEST_MS).then(answer => {
          const [part] = answer.parts
          expectOk(part!.error, `partition ${partition} of topic ${this.#at.topic}`)
          ends.set(w, String(part!.baseOffset + count))
        })
        sent.catch(() => undefined)
        flying.push(sent)
        if (flying.length >= 5) await flying.shift()
      }
    }
    await Promise.all(flying)
  }

  /** Commits. Where the answer is lost it is asked again: the coordinator knows what it decided. */
  async #end(c: Call): Promise<void> {
    const ended = await this.#ask(endTxn, { ...this.#mine(), commit: true }, c)
    expectOk(ended.error, 'the end of the transaction')
  }

  #ask<Req, Res>(api: Api<Req, Res>, request: Req, c: Call): Promise<Res> {
    const { cluster } = this.#at
    const { transactionalId } = this.#mine()
    return cluster.retry(async () => {
      const coordinator = await cluster.coordinator(transactionalId, 'transaction', c, true)
      const answer = await coordinator.request(api, request)
      // The marks of the transaction before are still being written.
      const busy = Array.isArray(answer)
        ? answer.find(p => waits(p.error))
        : waits((answer as { error: number }).error) && answer
      if (busy) throw new KafkaError((busy as { error: number }).error, 'the transaction')
      return answer
    }, c)
  }

  #mine(): { transactionalId: string; producer: Writer['producer'] } {
    return { transactionalId: this.#writer.now.transactionalId as string, producer: this.#writer.now.producer }
  }

  /**
   * Gives the transaction up and begins anew, with an epoch of its own: nothing of it is ever seen. Whether it had been committed
   * when its end was not heard of is read from the position, which went with it.
   */
  async #recover(e: unknown, group: readonly Waiting[], c: Call): Promise<void> {
    this.#waiting.unshift(...group)
    const again =
      passes(e) ||
      isReplaced(e) ||
      isTooLong(e) ||
      ['OUT_OF_ORDER_SEQUENCE_NUMBER', 'INVALID_TXN_STATE'].includes(kafkaCode(e) ?? '')
    const late = performance.now() - (this.#waiting[0]?.since ?? 0) > PATIENCE_MS
    if (!again || late || this.#signal.aborted) return this.fail(e)
    this.#late = e
    this.#at.cluster.forget(this.#at.topic)
    await pause(50, this.#signal)
    try {
      if (isTooLong(e)) await this.#split(group, c)
      await this.#writer.renew(this.#writer.generation, c)
      this.#sequences.clear()
      const kept = await keptPosition(this.#at, this.#reader, c)
      this.#position.reset(kept)
      if (!isBehind(kept, group)) return
      for (const w of this.#waiting.splice(0, group.length)) w.resolve('')
    } catch (failed) {
      this.fail(failed)
    }
  }

  /** What is over the topic's limit goes out in smaller batches, all of them in the one transaction. */
  async #split(group: readonly Waiting[], c: Call): Promise<void> {
    const pieces = await inPieces(
      this.#at,
      group.flatMap(w => w.parts.map(([, bytes]) => bytes)),
      c,
    )
    for (const w of group)
      w.parts = w.parts.flatMap(([partition]) => pieces.shift()!.map(bytes => [partition, bytes] as const))
  }
}

/** Does the position stand behind the last write of each shard? */
function isBehind(kept: Position | null, group: readonly Waiting[]): boolean {
  const last = new Map(group.map(w => [w.shard, w]))
  return kept !== null && [...last.values()].every(w => kept.epoch === w.epoch && kept.shards[w.shard] === w.last)
}

/** COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, CONCURRENT_TRANSACTIONS */
const waits = (error: number): boolean => error === 14 || error === 15 || error === 16 || error === 51
