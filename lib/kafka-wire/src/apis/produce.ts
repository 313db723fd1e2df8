import { api } from '../api.js'
import { readParts, writeParts } from './parts.js'

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
    writeParts(w, q.parts, p => w.records(p.batch))
  },
  decode(r, v) {
    const parts = readParts(r, () => {
      const error = r.int16()
      const baseOffset = r.long()
      r.int64()
      r.int64()
      if (v < 8) return { error, baseOffset, message: null }
      r.array(() => void [r.int32(), r.string()])
      return { error, baseOffset, message: r.string() }
    })
    return { parts, throttleMs: r.int32() }
  },
})
