import { api } from '../api.js'

const TOPIC = 2
const SET = 0
const DELETE = 1

/** Settings of one topic that become something else, or with null the cluster's default; all others stay (KIP-339). */
export const alterTopicConfigs = api<
  { readonly topic: string; readonly values: ReadonlyMap<string, string | null> },
  { readonly error: number; readonly message: string | null }
>({
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: [0, 1],
  flexible: 1,
  encode(w, q) {
    w.array([q], ({ topic, values }) => {
      w.int8(TOPIC).string(topic)
      w.array([...values], ([name, value]) => {
        w.string(name)
          .int8(value === null ? DELETE : SET)
          .string(value)
          .end()
      })
      w.end()
    })
    w.boolean(false).end()
  },
  decode(r) {
    r.int32()
    const answers = r.array(() => {
      const answer = { error: r.int16(), message: r.string() }
      r.int8()
      r.string()
      r.end()
      return answer
    })
    r.end()
    return answers[0] ?? { error: 0, message: null }
  },
})
