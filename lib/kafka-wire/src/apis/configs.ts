import { api } from '../api.js'

const TOPIC = 2

/** Values of named settings of one topic, as strings. */
export const describeTopicConfigs = api<
  { readonly topic: string; readonly names: readonly string[] | null },
  { readonly error: number; readonly message: string | null; readonly values: ReadonlyMap<string, string | null> }
>({
  key: 32,
  name: 'DescribeConfigs',
  versions: [1, 2],
  encode(w, q) {
    w.array([q], ({ topic, names }) => {
      w.int8(TOPIC).string(topic)
      w.array(names, n => w.string(n))
    })
    w.boolean(false)
  },
  decode(r) {
    r.int32()
    const found = r.array(() => {
      const error = r.int16()
      const message = r.string()
      r.int8()
      r.string()
      const values = r.array(() => {
        const pair = [r.string() ?? '', r.string()] as const
        r.boolean()
        r.int8()
        r.boolean()
        r.array(() => void [r.string(), r.string(), r.int8()])
        return pair
      })
      return { error, message, values: new Map(values) }
    })
    return found[0] ?? { error: 3, message: null, values: new Map() }
  },
})
