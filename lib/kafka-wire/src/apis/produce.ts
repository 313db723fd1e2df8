import { api } from '../api.js'

export interface ProducePart {
  readonly topic: string
  readonly partition: number
  /** One record batch of version 2, in pieces: a broker takes no more than one for a partition in one request. */
  readonly batch: readonly Uint8Array[]
}
export interface ProduceRequest {
  readonly transactionalId: string | null
  readonly timeoutMs: number
  readonly parts: readonly ProducePart[]
}
export interface ProducedPart {
  readonly topic: string
  readonly partition: number
  readonly error: number
  readonly message: string | null
  readonly baseOffset: number
}
export interface ProduceAnswer {
  readonly parts: readonly ProducedPart[]
  readonly throttleMs: number
}

/** acks=all, always. */
export const produce = api<ProduceRequest, ProduceAnswer>({
  key: 0,
  name: 'Produce',
  versions: [7, 8],
  encode(w, q) {
    w.string(q.transactionalId).int16(-1).int32(q.timeoutMs)
    w.array([...byTopic(q.parts)], ([topic, parts]) => {
      w.string(topic)
      w.array(parts, p => w.int32(p.partition).records(p.batch))
    })
  },
  decode(r, v) {
    const parts = r.array(() => {
      const topic = r.string() ?? ''
      return r.array(() => {
        const partition = r.int32()
        const error = r.int16()
        const baseOffset = r.long()
        r.int64()
        r.int64()
        if (v < 8) return { topic, partition, error, baseOffset, message: null }
        r.array(() => void [r.int32(), r.string()])
        return { topic, partition, error, baseOffset, message: r.string() }
      })
    })
    return { parts: parts.flat(), throttleMs: r.int32() }
  },
})

/** Groups what is given for partitions by their topic, in order. */
export function byTopic<T extends { readonly topic: string }>(items: readonly T[]): Map<string, T[]> {
  const out = new Map<string, T[]>()
  for (const item of items) {
    const of = out.get(item.topic)
    if (of) of.push(item)
    else out.set(item.topic, [item])
  }
  return out
}
