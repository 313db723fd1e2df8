import { type Call, FnaError, isFna } from '@fnaa/core/plugin'
import {
  addPartitionsToTxn,
  type Connection,
  endTxn,
  expectOk,
  initProducerId,
  kafkaCode,
  type Producer,
} from '@fnaa/kafka-wire'
import type { Topic } from './topic.js'

const TRANSACTION_MS = 60_000

/** Who writes: what the brokers know it as, and the name by which a successor takes its place (null: nobody ever does). */
export interface Writer {
  readonly producer: Producer
  readonly transactionalId: string | null
}

/** A producer that nobody takes the place of. @throws FNA_ERR_DENIED, FNA_ERR_UNAVAILABLE */
export async function anonymousWriter(at: Topic, c: Call): Promise<Writer> {
  const producer = await at.cluster.retry(async () => init(await at.cluster.any(c), null), c)
  return { producer, transactionalId: null }
}

/**
 * The producer of this name: whoever was it before is refused from his next transaction on. Where the cluster lets us have no
 * transactional id, an anonymous one.
 */
export async function namedWriter(at: Topic, transactionalId: string, c: Call): Promise<Writer> {
  try {
    const producer = await at.cluster.retry(async () => {
      const coordinator = await at.cluster.coordinator(transactionalId, 'transaction', c)
      // Without transactions a name is of no use: nobody could be shut out by it.
      if (!coordinator.knows(addPartitionsToTxn as never))
        throw new FnaError('FNA_ERR_UNSUPPORTED', 'the cluster has no transactions')
      return init(coordinator, transactionalId)
    }, c)
    return { producer, transactionalId }
  } catch (e) {
    const without = isFna(e, 'FNA_ERR_DENIED') || isFna(e, 'FNA_ERR_UNSUPPORTED')
    if (!without) throw e
    at.host.log.info(
      { topic: at.topic, err: e as Error },
      'no transactional id: a writer that is replaced is noticed later',
    )
    return anonymousWriter(at, c)
  }
}

/**
 * The writer of one sink, which may have to be made anew: a cluster forgets producers, and who opens the same writer in the same epoch
 * once more takes its place without being its successor.
 */
export class LiveWriter {
  readonly #make: (c: Call) => Promise<Writer>
  #making: Promise<void> | null = null
  /** Rises with each: sequences begin anew. */
  generation = 0

  /** @param make throws FNA_ERR_FENCED where a successor has been seen */
  constructor(
    public now: Writer,
    make: (c: Call) => Promise<Writer>,
  ) {
    this.#make = make
  }

  /** Once for all that ask because of the same generation. @throws FNA_ERR_FENCED, FNA_ERR_UNAVAILABLE */
  renew(generation: number, c: Call): Promise<void> {
    if (generation !== this.generation) return Promise.resolve()
    this.#making ??= this.#make(c)
      .then(writer => {
        this.now = writer
        this.generation++
      })
      .finally(() => {
        this.#making = null
      })
    return this.#making
  }
}

async function init(connection: Connection, transactionalId: string | null): Promise<Producer> {
  const answer = await connection.request(initProducerId, { transactionalId, timeoutMs: TRANSACTION_MS })
  expectOk(answer.error, 'a producer id')
  return answer.producer
}

/**
 * Makes every partition refuse whoever was this writer before, also what he has sent already and what arrives later: the end of an
 * empty transaction writes a mark with our epoch into each. It takes an offset or two of each partition and is shown to no reader.
 */
export async function fenceOff(at: Topic, writer: Writer, c: Call): Promise<void> {
  if (writer.transactionalId === null) return
  const { partitions } = await at.cluster.topic(at.topic, c, true)
  const all = partitions.map(p => p.partition)
  await emptyTransaction(at, writer, all, c)
  // The coordinator takes another one when the marks of the first are written, and not before.
  await emptyTransaction(at, writer, all.slice(0, 1), c)
}

async function emptyTransaction(at: Topic, writer: Writer, partitions: readonly number[], c: Call): Promise<void> {
  const transactionalId = writer.transactionalId as string
  const { producer } = writer
  const parts = partitions.map(partition => ({ topic: at.topic, partition }))
  await at.cluster.retry(async () => {
    const coordinator = await at.cluster.coordinator(transactionalId, 'transaction', c)
    for (const p of await coordinator.request(addPartitionsToTxn, { transactionalId, producer, parts }))
      expectOk(p.error, `the transaction of ${transactionalId}`)
    const ended = await coordinator.request(endTxn, { transactionalId, producer, commit: false })
    expectOk(ended.error, `the transaction of ${transactionalId}`)
  }, c)
}

/** Has somebody else taken this producer's place, or has the cluster forgotten it? */
export const isReplaced = (e: unknown): boolean => {
  const code = kafkaCode(e)
  return code !== undefined && REPLACED.has(code)
}
const REPLACED = new Set([
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_ID_MAPPING',
  'UNKNOWN_PRODUCER_ID',
])
