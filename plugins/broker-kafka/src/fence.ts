import { type Call, FnaError } from '@fnaa/core/plugin'
import { type CommittedPart, expectOk, offsetCommit, offsetFetch } from '@fnaa/kafka-wire'
import type { Topic } from './topic.js'

/** What stands with each committed offset: who committed it, and of which topic it is. */
export interface Mark {
  readonly epoch: number
  /** The topic's id; `?` where the cluster gives none. */
  readonly topic: string
}

const PATTERN = /^fnaad:1 epoch=(\d{1,15}) topic=(\S{1,64})$/

const format = (m: Mark): string => `fnaad:1 epoch=${m.epoch} topic=${m.topic}`

function parse(metadata: string): Mark | null {
  const m = PATTERN.exec(metadata)
  return m ? { epoch: Number(m[1]), topic: m[2] as string } : null
}

/** What a group has committed of the topic. */
export interface Committed {
  readonly mark: Mark | null
  readonly offsets: ReadonlyMap<number, number>
}

/**
 * The positions of one reader, or the epoch of one writer, as offsets of a consumer group without members. Kafka cannot compare
 * and set: the epoch that stands with the offsets is read before each commit, so that who was replaced learns it then.
 */
export class Group {
  readonly #at: Topic
  readonly #name: string
  readonly #epoch: number

  constructor(at: Topic, name: string, epoch: number) {
    this.#at = at
    this.#name = name
    this.#epoch = epoch
  }

  /** @throws FNA_ERR_FENCED where a higher epoch has committed, FNA_ERR_DENIED */
  async read(partitions: readonly number[], c: Call): Promise<Committed> {
    const { cluster, topic } = this.#at
    const parts = await cluster.retry(async () => {
      const coordinator = await cluster.coordinator(this.#name, 'group', c, true)
      const answer = await coordinator.request(offsetFetch, {
        group: this.#name,
        parts: partitions.map(partition => ({ topic, partition })),
      })
      expectOk(answer.error, `the offsets of group ${this.#name}`)
      for (const p of answer.parts) expectOk(p.error, `the offsets of group ${this.#name}`)
      return answer.parts.filter(p => p.offset >= 0)
    }, c)
    const mark = highest(parts)
    if (mark && mark.epoch > this.#epoch)
      throw new FnaError('FNA_ERR_FENCED', `epoch ${mark.epoch} has taken over from epoch ${this.#epoch}`)
    return { mark, offsets: new Map(parts.map(p => [p.partition, p.offset])) }
  }

  /**
   * @param id the topic's, of which the offsets are
   * @throws FNA_ERR_FENCED, FNA_ERR_DENIED, FNA_ERR_UNAVAILABLE
   */
  async commit(offsets: ReadonlyMap<number, number>, c: Call, id: string): Promise<void> {
    await this.read([...offsets.keys()], c)
    const { cluster, topic } = this.#at
    const metadata = format({ epoch: this.#epoch, topic: id })
    await cluster.retry(async () => {
      const coordinator = await cluster.coordinator(this.#name, 'group', c, true)
      const parts = [...offsets].map(([partition, offset]) => ({ topic, partition, offset, metadata }))
      for (const p of await coordinator.request(offsetCommit, { group: this.#name, parts }))
        expectOk(p.error, `the commit of group ${this.#name}`)
    }, c)
  }
}

function highest(parts: readonly CommittedPart[]): Mark | null {
  let mark: Mark | null = null
  for (const p of parts) {
    const found = parse(p.metadata)
    if (found && (mark === null || found.epoch > mark.epoch)) mark = found
  }
  return mark
}
