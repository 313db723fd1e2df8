import { api } from '../api.js'

export interface QuotaChange {
  readonly user: string
  /** By Kafka's name (`consumer_byte_rate`, `producer_byte_rate`: bytes a second, of each broker by itself); null takes it away. */
  readonly values: ReadonlyMap<string, number | null>
}

/** What a user may use of each broker (KIP-546). `validateOnly` changes nothing and tells whether we may. */
export const alterClientQuotas = api<
  { readonly changes: readonly QuotaChange[]; readonly validateOnly: boolean },
  readonly { readonly error: number; readonly message: string | null }[]
>({
  key: 49,
  name: 'AlterClientQuotas',
  versions: [0, 0],
  encode(w, q) {
    w.array(q.changes, ({ user, values }) => {
      w.array([user], name => void w.string('user').string(name))
      w.array(
        [...values],
        ([name, value]) =>
          void w
            .string(name)
            .float64(value ?? 0)
            .boolean(value === null),
      )
    })
    w.boolean(q.validateOnly)
  },
  decode(r) {
    r.int32()
    return r.array(() => {
      const answer = { error: r.int16(), message: r.string() }
      r.array(() => void [r.string(), r.string()])
      return answer
    })
  },
})
