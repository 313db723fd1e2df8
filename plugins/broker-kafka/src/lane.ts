import type { Call } from '@fnaa/core/plugin'
import {
  type Connection,
  KafkaError,
  kafkaCode,
  MERGE,
  mergeable,
  mergeBatches,
  type ProducedPart,
  passes,
  pause,
  produce,
  stamped,
} from '@fnaa/kafka-wire'
import { isFnapError, readBatchHeader, type Tier } from '@fnaa/protocol'
import { isReplaced, type LiveWriter } from './producer.js'
import { inPieces, isTooLong } from './split.js'
import type { Topic } from './topic.js'

/** Requests of an idempotent producer that a broker remembers: more could not be told from duplicates. */
const IN_FLIGHT = 5
const REQUEST_MS = 10_000
/** Milliseconds that a batch is tried for. */
const PATIENCE_MS = 30_000
/** Milliseconds that a broker surely remembers a producer; it takes away what retention has emptied. */
const KNOWN_MS = 10_000
/** DUPLICATE_SEQUENCE_NUMBER */
const DUPLICATE = 46
const PAUSE_MS = [20, 50, 100, 250, 500, 1000] as const

/** Where a batch stands now. */
export interface Placed {
  /** The offset behind it. */
  readonly cursor: string
  readonly tier: Tier
}
interface Written {
  readonly resolve: (w: Placed) => void
  readonly reject: (e: unknown) => void
  /** Events of it. */
  readonly count: number
}
interface Item {
  readonly bytes: Uint8Array
  readonly count: number
  readonly since: number
  readonly writes: readonly Written[]
  /** -1: has never been sent. */
  sequence: number
  /** One of the pieces of a batch that was too long; the last of them has its writes. */
  readonly piece?: true
}

interface Trouble {
  readonly error: unknown
  /** The item that a broker refused; none where the connection failed. */
  readonly item?: Item
}

/** What is written to one partition: in order, several requests under way, each batch once. */
export class Lane {
  readonly #at: Topic
  readonly #partition: number
  readonly #writer: LiveWriter
  readonly #signal: AbortSignal
  #waiting: Item[] = []
  /** Sent and not acknowledged, in order; those that have failed already are among them. */
  #sent: Item[] = []
  #flying = 0
  #sequence = 0
  /** The writer's, of which the sequence is. */
  #generation = 0
  #running = false
  #trouble: Trouble | null = null
  #failure: unknown
  #failures = 0
  /** When the broker last took something of this producer's. */
  #acknowledged = Number.NEGATIVE_INFINITY
  /** Why the first is not there yet. */
  #late: unknown
  #wake: (() => void) | null = null

  constructor(at: Topic, partition: number, writer: LiveWriter, signal: AbortSignal) {
    this.#at = at
    this.#partition = partition
    this.#writer = writer
    this.#signal = signal
  }

  get late(): unknown {
    return this.#late
  }

  /** Resolves when all in-sync replicas have it. */
  write(bytes: Uint8Array): Promise<Placed> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      const { count } = readBatchHeader(bytes)
      const writes = [{ resolve, reject, count }]
      this.#waiting.push({ bytes, count, since: performance.now(), writes, sequence: -1 })
      if (this.#running) this.#stir()
      else void this.#run()
    })
  }

  /** Fails whatever waits, and all that comes. */
  fail(e: unknown): void {
    this.#failure ??= e
    for (const item of [...this.#sent, ...this.#waiting]) for (const w of item.writes) w.reject(this.#failure)
    this.#sent = []
    this.#waiting = []
    this.#stir()
  }

  async #run(): Promise<void> {
    this.#running = true
    const c: Call = { signal: this.#signal }
    // Writes of the same moment are all there when the first is sent.
    await Promise.resolve()
    while (this.#failure === undefined && this.#waiting.length + this.#sent.length > 0) {
      if (this.#trouble !== null && this.#flying === 0) {
        await this.#recover(this.#trouble)
      } else if (this.#generation !== this.#writer.generation && this.#flying === 0) {
        this.#beginAnew()
      } else if (
        this.#trouble !== null ||
        this.#generation !== this.#writer.generation ||
        this.#waiting.length === 0 ||
        this.#flying >= this.#most()
      ) {
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
      } else {
        try {
          this.#send(await this.#at.cluster.leader(this.#at.topic, this.#partition, 'produce', c))
        } catch (error) {
          this.#trouble ??= { error }
        }
      }
    }
    this.#running = false
  }

  /**
   * A broker that knows nothing of a producer takes any sequence number from it (KIP-360): were its first batch refused, one
   * behind it could be taken. Until it has taken something, and after a long pause, in which it may have forgotten, it gets
   * one alone.
   */
  #most(): number {
    return performance.now() - this.#acknowledged < KNOWN_MS ? IN_FLIGHT : 1
  }

  #stir(): void {
    const wake = this.#wake
    this.#wake = null
    wake?.()
  }

  #send(connection: Connection): void {
    if (this.#trouble !== null || this.#waiting.length === 0 || this.#generation !== this.#writer.generation) return
    const item = this.#next()
    if (item.sequence < 0) {
      item.sequence = this.#sequence
      this.#sequence = (this.#sequence + item.count) % 0x80000000
    }
    const { id: producerId, epoch: producerEpoch } = this.#writer.now.producer
    const batch = stamped(item.bytes, { producerId, producerEpoch, sequence: item.sequence, transactional: false })
    const parts = [{ topic: this.#at.topic, partition: this.#partition, batch }]
    this.#sent.push(item)
    this.#flying++
    connection
      .request(produce, { transactionalId: null, timeoutMs: REQUEST_MS, parts }, REQUEST_MS)
      .then(answer => this.#answered(item, answer.parts[0]!))
      .catch(error => {
        this.#trouble ??= { error }
      })
      .finally(() => {
        this.#flying--
        this.#stir()
      })
  }

  #answered(item: Item, part: ProducedPart): void {
    // A duplicate was written before, at an offset that the broker does not remember any more.
    if (part.error !== 0 && part.error !== DUPLICATE) {
      const error = new KafkaError(part.error, `partition ${this.#partition} of topic ${this.#at.topic}`)
      this.#trouble ??= { error, item }
      return
    }
    this.#failures = 0
    this.#late = undefined
    this.#acknowledged = performance.now()
    this.#sent.splice(this.#sent.indexOf(item), 1)
    const tier = item.piece ? 'decoded' : item.writes.length > 1 ? 'rebatched' : 'raw'
    // From the end on: the last of the pieces has the writes of them all.
    let end = part.baseOffset + item.count
    for (const w of [...item.writes].reverse()) {
      w.resolve({ cursor: String(end), tier })
      end -= w.count
    }
  }

  /** What waits at the front; small batches together. */
  #next(): Item {
    const first = this.#waiting.shift()!
    if (!isSmall(first)) return first
    const group = [first]
    let size = first.bytes.length
    for (let next = this.#waiting[0]; next && isSmall(next); next = this.#waiting[0]) {
      size += next.bytes.length
      if (size > MERGE.upTo) break
      group.push(this.#waiting.shift()!)
    }
    if (group.length === 1) return first
    const bytes = merged(group)
    if (bytes === null) {
      // One of them is damaged: each goes by itself, and the broker refuses that one.
      this.#waiting.unshift(...group.slice(1))
      return first
    }
    return {
      bytes,
      count: group.reduce((n, i) => n + i.count, 0),
      since: first.since,
      writes: group.flatMap(i => i.writes),
      sequence: -1,
    }
  }

  /** Nothing is under way any more: what is not acknowledged goes out again, in order, with the numbers that it had. */
  async #recover({ error, item }: Trouble): Promise<void> {
    this.#trouble = null
    this.#waiting = [...this.#sent, ...this.#waiting]
    this.#sent = []
    if (isReplaced(error)) return this.#renew()
    const again = passes(error) || kafkaCode(error) === 'OUT_OF_ORDER_SEQUENCE_NUMBER'
    if (item !== undefined && item === this.#waiting[0] && isTooLong(error)) return this.#split(item)
    // What the broker will never take ends the lane: nothing that stands behind it may pass it.
    const late = performance.now() - (this.#waiting[0]?.since ?? 0) > PATIENCE_MS
    if (!again || late || this.#signal.aborted) return this.fail(error)
    this.#late = error
    this.#at.cluster.forget(this.#at.topic)
    await pause(PAUSE_MS[Math.min(this.#failures++, PAUSE_MS.length - 1)]!, this.#signal)
  }

  async #renew(): Promise<void> {
    try {
      await this.#writer.renew(this.#generation, { signal: this.#signal })
    } catch (e) {
      this.fail(e)
    }
  }

  /** Another producer's sequences begin at 0. */
  #beginAnew(): void {
    this.#waiting = [...this.#sent, ...this.#waiting]
    this.#sent = []
    for (const item of this.#waiting) item.sequence = -1
    this.#sequence = 0
    this.#acknowledged = Number.NEGATIVE_INFINITY
    this.#generation = this.#writer.generation
  }

  /** Over the topic's limit: the same events in smaller batches, in the same place and under the same numbers. */
  async #split(item: Item): Promise<void> {
    try {
      const [bytes] = (await inPieces(this.#at, [item.bytes], { signal: this.#signal })) as [Uint8Array[]]
      const { since } = item
      let { sequence } = item
      const pieces = bytes.map((b, i): Item => {
        const { count } = readBatchHeader(b)
        const writes = i === bytes.length - 1 ? item.writes : []
        const piece: Item = { bytes: b, count, since, sequence, writes, piece: true }
        sequence = (sequence + count) % 0x80000000
        return piece
      })
      this.#waiting.splice(0, 1, ...pieces)
    } catch (e) {
      if (passes(e) && performance.now() - item.since < PATIENCE_MS) await pause(PAUSE_MS[2], this.#signal)
      else this.fail(e)
    }
  }
}

function merged(group: readonly Item[]): Uint8Array | null {
  try {
    return mergeBatches(group.map(i => i.bytes))
  } catch (e) {
    if (isFnapError(e)) return null
    throw e
  }
}

const isSmall = (i: Item): boolean => i.sequence < 0 && !i.piece && i.bytes.length < MERGE.below && mergeable(i.bytes)
