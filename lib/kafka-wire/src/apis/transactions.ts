import { api } from '../api.js'
import type { CommitPart } from './offsets.js'
import { type Part, type PartAnswer, readErrors, writeParts } from './parts.js'

export interface Producer {
  readonly id: bigint
  readonly epoch: number
}

/** With a transactional id the epoch rises and whoever had it before is fenced; without, a new producer is made. */
export const initProducerId = api<
  { transactionalId: string | null; timeoutMs: number },
  { error: number; producer: Producer }
>({
  key: 22,
  name: 'InitProducerId',
  versions: [0, 1],
  encode: (w, q) => void w.string(q.transactionalId).int32(q.timeoutMs),
  decode(r) {
    r.int32()
    return { error: r.int16(), producer: { id: r.int64(), epoch: r.int16() } }
  },
})

interface InTransaction {
  readonly transactionalId: string
  readonly producer: Producer
}
export const addPartitionsToTxn = api<InTransaction & { parts: readonly Part[] }, readonly PartAnswer[]>({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [0, 2],
  encode(w, q) {
    w.string(q.transactionalId).int64(q.producer.id).int16(q.producer.epoch)
    writeParts(w, q.parts, () => {})
  },
  decode(r) {
    r.int32()
    return readErrors(r)
  },
})

export const addOffsetsToTxn = api<InTransaction & { group: string }, { error: number }>({
  key: 25,
  name: 'AddOffsetsToTxn',
  versions: [0, 2],
  encode: (w, q) => void w.string(q.transactionalId).int64(q.producer.id).int16(q.producer.epoch).string(q.group),
  decode(r) {
    r.int32()
    return { error: r.int16() }
  },
})

export const txnOffsetCommit = api<
  InTransaction & { group: string; parts: readonly CommitPart[] },
  readonly PartAnswer[]
>({
  key: 28,
  name: 'TxnOffsetCommit',
  versions: [2, 2],
  encode(w, q) {
    w.string(q.transactionalId).string(q.group).int64(q.producer.id).int16(q.producer.epoch)
    writeParts(w, q.parts, p => w.int64(BigInt(p.offset)).int32(-1).string(p.metadata))
  },
  decode(r) {
    r.int32()
    return readErrors(r)
  },
})

export const endTxn = api<InTransaction & { commit: boolean }, { error: number }>({
  key: 26,
  name: 'EndTxn',
  versions: [0, 2],
  encode: (w, q) => void w.string(q.transactionalId).int64(q.producer.id).int16(q.producer.epoch).boolean(q.commit),
  decode(r) {
    r.int32()
    return { error: r.int16() }
  },
})
