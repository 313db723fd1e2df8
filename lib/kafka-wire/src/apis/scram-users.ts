import { api } from '../api.js'

export type ScramMechanism = 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
const CODES: Readonly<Record<ScramMechanism, number>> = { 'SCRAM-SHA-256': 1, 'SCRAM-SHA-512': 2 }

export interface ScramUpsertion {
  readonly user: string
  readonly mechanism: ScramMechanism
  /** At least 4096. */
  readonly iterations: number
  readonly salt: Uint8Array
  /** PBKDF2 of password and salt: the password itself never goes over the line. */
  readonly salted: Uint8Array
}
export interface UserAnswer {
  readonly user: string
  readonly error: number
  readonly message: string | null
}

/** Makes users who log in by SCRAM, or gives them another password, and removes others (KIP-554). Wants the controller. */
export const alterScramUsers = api<
  {
    readonly remove: readonly { readonly user: string; readonly mechanism: ScramMechanism }[]
    readonly put: readonly ScramUpsertion[]
  },
  readonly UserAnswer[]
>({
  key: 51,
  name: 'AlterUserScramCredentials',
  versions: [0, 0],
  flexible: 0,
  encode(w, q) {
    w.array(q.remove, ({ user, mechanism }) => void w.string(user).int8(CODES[mechanism]).end())
    w.array(q.put, u => {
      w.string(u.user).int8(CODES[u.mechanism]).int32(u.iterations).bytes(u.salt).bytes(u.salted).end()
    })
    w.end()
  },
  decode(r) {
    r.int32()
    const answers = r.array(() => {
      const answer = { user: r.string() ?? '', error: r.int16(), message: r.string() }
      r.end()
      return answer
    })
    r.end()
    return answers
  },
})
