import { api } from '../api.js'
import type { Reader } from '../bytes.js'

export interface ConsumerGroup {
  readonly error: number
  readonly message: string | null
  readonly group: string
  /** `Empty`, `Assigning`, `Reconciling`, `Stable`, `Dead`. */
  readonly state: string
  /** For each member, the topics that it has subscribed to. */
  readonly members: readonly { readonly client: string; readonly topics: readonly string[] }[]
}

/** Groups of the newer protocol (KIP-848), by their names. Wants their coordinator. */
export const describeConsumerGroups = api<{ readonly groups: readonly string[] }, readonly ConsumerGroup[]>({
  key: 69,
  name: 'ConsumerGroupDescribe',
  versions: [0, 1],
  flexible: 0,
  encode: (w, q) =>
    void w
      .array(q.groups, g => w.string(g))
      .boolean(false)
      .end(),
  decode(r, v) {
    r.int32()
    const groups = r.array(() => {
      const head = { error: r.int16(), message: r.string(), group: r.string() ?? '', state: r.string() ?? '' }
      r.int32()
      r.int32()
      r.string()
      const members = r.array(() => member(r, v))
      r.int32()
      r.end()
      return { ...head, members }
    })
    r.end()
    return groups
  },
})

function member(r: Reader, v: number): ConsumerGroup['members'][number] {
  // Its id, its instance, its rack, its epoch.
  r.string()
  r.string()
  r.string()
  r.int32()
  const client = r.string() ?? ''
  r.string()
  const topics = r.array(() => r.string() ?? '')
  r.string()
  assignment(r)
  assignment(r)
  if (v >= 1) r.int8()
  r.end()
  return { client, topics }
}

function assignment(r: Reader): void {
  r.array(() => {
    r.uuid()
    r.string()
    r.array(() => r.int32())
    r.end()
  })
  r.end()
}
