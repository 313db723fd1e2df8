import { api } from '../api.js'
import { byTopic } from './parts.js'

export interface FetchPart {
  readonly topic: string
  /** Hexadecimal; asked for from version 13 on, where a topic that was made anew is another one. */
  readonly id: string | null
  readonly partition: number
  readonly offset: number
  /** -1: not known. A broker that is behind it, or ahead of it, says so. */
  readonly leaderEpoch: number
  readonly maxBytes: number
}
export interface FetchRequest {
  /** Milliseconds that the broker may wait for `minBytes`. */
  readonly waitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  /** Only what is committed, as transactions go. */
  readonly committed: boolean
  /** 0 with epoch -1: no session (KIP-227). */
  readonly session: { readonly id: number; readonly epoch: number }
  readonly parts: readonly FetchPart[]
}
export interface FetchedPart {
  /** The name, or from version 13 on the id. */
  readonly topic: string
  readonly partition: number
  readonly error: number
  /** The end of what may be read. */
  readonly highWatermark: number
  /** The end of what is committed, as transactions go. */
  readonly lastStable: number
  readonly logStart: number
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: number }[]
  /** Whole batches, and perhaps the beginning of one more. A view into the answer. */
  readonly records: Buffer | null
}
export interface FetchAnswer {
  readonly throttleMs: number
  readonly error: number
  readonly session: number
  readonly parts: readonly FetchedPart[]
}

export const fetch = api<FetchRequest, FetchAnswer>({
  key: 1,
  name: 'Fetch',
  versions: [11, 13],
  flexible: 12,
  encode(w, q, v) {
    w.int32(-1).int32(q.waitMs).int32(q.minBytes).int32(q.maxBytes)
    w.int8(q.committed ? 1 : 0)
    w.int32(q.session.id).int32(q.session.epoch)
    w.array([...byTopic(q.parts)], ([topic, parts]) => {
      if (v >= 13) w.uuid(Buffer.from(parts[0]!.id ?? '', 'hex'))
      else w.string(topic)
      w.array(parts, p => {
        w.int32(p.partition).int32(p.leaderEpoch).int64(BigInt(p.offset))
        if (v >= 12) w.int32(-1)
        w.int64(-1n).int32(p.maxBytes).end()
      }).end()
    })
    // Nothing to forget: that is for sessions.
    w.array([], () => {})
      .string('')
      .end()
  },
  decode(r, v) {
    const throttleMs = r.int32()
    const error = r.int16()
    const session = r.int32()
    const parts = r.array(() => {
      const topic = v >= 13 ? r.uuid().toString('hex') : (r.string() ?? '')
      const of = r.array(() => {
        const head = {
          topic,
          partition: r.int32(),
          error: r.int16(),
          highWatermark: r.long(),
          lastStable: r.long(),
          logStart: r.long(),
          aborted: r.array(() => {
            const one = { producerId: r.int64(), firstOffset: r.long() }
            r.end()
            return one
          }),
        }
        r.int32()
        const records = r.bytes()
        r.end()
        return { ...head, records }
      })
      r.end()
      return of
    })
    r.end()
    return { throttleMs, error, session, parts: parts.flat() }
  },
})
