import { api } from '../api.js'
import { type Part, type PartAnswer, readErrors, readParts, writeParts } from './parts.js'

export const EARLIEST = -2n
export const LATEST = -1n

export interface ListOffsetsRequest {
  readonly committed: boolean
  /** `time`: milliseconds since 1970, or {@link EARLIEST}, {@link LATEST}. */
  readonly parts: readonly { readonly topic: string; readonly partition: number; readonly time: bigint }[]
}
export interface OffsetPart {
  readonly topic: string
  readonly partition: number
  readonly error: number
  /** Milliseconds since 1970; -1: none. */
  readonly timestamp: number
  /** -1 where there is nothing of that time or later. */
  readonly offset: number
  readonly leaderEpoch: number
}

export const listOffsets = api<ListOffsetsRequest, readonly OffsetPart[]>({
  key: 2,
  name: 'ListOffsets',
  versions: [4, 5],
  encode(w, q) {
    w.int32(-1).int8(q.committed ? 1 : 0)
    writeParts(w, q.parts, p => w.int32(-1).int64(p.time))
  },
  decode(r) {
    r.int32()
    return readParts(r, () => ({
      error: r.int16(),
      timestamp: r.long(),
      offset: r.long(),
      leaderEpoch: r.int32(),
    }))
  },
})

export type CoordinatorType = 'group' | 'transaction'
export interface Coordinator {
  readonly error: number
  readonly message: string | null
  readonly node: { readonly id: number; readonly host: string; readonly port: number }
}

export const findCoordinator = api<{ key: string; type: CoordinatorType }, Coordinator>({
  key: 10,
  name: 'FindCoordinator',
  versions: [1, 2],
  encode: (w, q) => void w.string(q.key).int8(q.type === 'group' ? 0 : 1),
  decode(r) {
    r.int32()
    const error = r.int16()
    const message = r.string()
    return { error, message, node: { id: r.int32(), host: r.string() ?? '', port: r.int32() } }
  },
})

export interface CommitPart {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string
}

/** A commit of somebody who is no member of the group: generation -1. */
export const offsetCommit = api<{ group: string; parts: readonly CommitPart[] }, readonly PartAnswer[]>({
  key: 8,
  name: 'OffsetCommit',
  versions: [5, 5],
  encode(w, q) {
    w.string(q.group).int32(-1).string('')
    writeParts(w, q.parts, p => w.int64(BigInt(p.offset)).string(p.metadata))
  },
  decode(r) {
    r.int32()
    return readErrors(r)
  },
})

export interface CommittedPart extends CommitPart {
  readonly error: number
}

/** `parts: null` gives all that the group has committed. An offset of -1 is none. */
export const offsetFetch = api<
  { group: string; parts: readonly Part[] | null },
  { error: number; parts: readonly CommittedPart[] }
>({
  key: 9,
  name: 'OffsetFetch',
  versions: [5, 5],
  encode(w, q) {
    w.string(q.group)
    writeParts(w, q.parts, () => {})
  },
  decode(r) {
    r.int32()
    const parts = readParts(r, () => {
      const offset = r.long()
      r.int32()
      return { offset, metadata: r.string() ?? '', error: r.int16() }
    })
    return { error: r.int16(), parts }
  },
})
