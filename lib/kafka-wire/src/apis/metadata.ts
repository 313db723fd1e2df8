import { api } from '../api.js'

export interface Node {
  readonly id: number
  readonly host: string
  readonly port: number
}
export interface PartitionInfo {
  readonly error: number
  readonly partition: number
  /** -1: none now. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly inSync: readonly number[]
}
export interface TopicInfo {
  readonly error: number
  readonly name: string
  /** Hexadecimal; null where the cluster gives none (before Kafka 2.8). A topic that was made anew has another one. */
  readonly id: string | null
  readonly partitions: readonly PartitionInfo[]
  /** What we may do with it: bit `n` is Kafka's operation `n`. Null where that was not asked for, or is not told (before Kafka 2.3). */
  readonly rights: number | null
}
export interface MetadataAnswer {
  readonly nodes: readonly Node[]
  readonly cluster: string | null
  readonly controller: number
  readonly topics: readonly TopicInfo[]
}

/** Bits of `rights`. */
export const MAY = { read: 1 << 3, write: 1 << 4, describe: 1 << 8 } as const
/** Kafka's word for rights that were not asked for. */
const UNTOLD = -(2 ** 31)
const NO_ID = '0'.repeat(32)

export const metadata = api<{ readonly topics: readonly string[] | null; readonly rights?: boolean }, MetadataAnswer>({
  key: 3,
  name: 'Metadata',
  versions: [7, 12],
  flexible: 9,
  encode(w, q, v) {
    w.array(q.topics, t => {
      if (v >= 10) w.uuid(Buffer.alloc(16))
      w.string(t).end()
    })
    // No topic is ever made by asking for it.
    w.boolean(false)
    if (v >= 8 && v <= 10) w.boolean(false)
    if (v >= 8) w.boolean(q.rights ?? false)
    w.end()
  },
  decode(r, v) {
    r.int32()
    const nodes = r.array(() => {
      const node = { id: r.int32(), host: r.string() ?? '', port: r.int32() }
      r.string()
      r.end()
      return node
    })
    const cluster = r.string()
    const controller = r.int32()
    const topics = r.array(() => {
      const error = r.int16()
      const name = r.string() ?? ''
      const id = v >= 10 ? r.uuid().toString('hex') : NO_ID
      r.boolean()
      const partitions = r.array(() => {
        const p = {
          error: r.int16(),
          partition: r.int32(),
          leader: r.int32(),
          leaderEpoch: r.int32(),
          replicas: r.array(() => r.int32()),
          inSync: r.array(() => r.int32()),
        }
        r.array(() => r.int32())
        r.end()
        return p
      })
      const rights = v >= 8 ? r.int32() : UNTOLD
      r.end()
      return { error, name, id: id === NO_ID ? null : id, partitions, rights: rights === UNTOLD ? null : rights }
    })
    if (v >= 8 && v <= 10) r.int32()
    r.end()
    return { nodes, cluster, controller, topics }
  },
})
