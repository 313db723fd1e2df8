import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

// A client of SCRAM-SHA-256 written for the suites alone, by the letter of RFC 5802, so that they do not stand on the
// code that they test.

const hmac = (key: Uint8Array, data: string) => createHmac('sha256', key).update(data).digest()
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest()

export interface ScramTurn {
  readonly first: string
  /** The final message for a server's first one, and the signature that the server must then show. */
  answer(serverFirst: string): { readonly final: string; readonly signature: string }
}

export function scramTurn(opt: {
  readonly user: string
  readonly password: string
  /** `n,,`, `y,,`, `p=tls-exporter,,`, or one with an authzid. */
  readonly gs2?: string
  readonly binding?: Uint8Array
  readonly nonce?: string
}): ScramTurn {
  const gs2 = opt.gs2 ?? 'n,,'
  const nonce = opt.nonce ?? randomBytes(18).toString('base64')
  const bare = `n=${opt.user},r=${nonce}`
  return {
    first: gs2 + bare,
    answer(serverFirst) {
      const [r = '', s = '', i = ''] = serverFirst.split(',').map(part => part.slice(2))
      const salted = pbkdf2Sync(opt.password, Buffer.from(s, 'base64'), Number(i), 32, 'sha256')
      const bound = Buffer.concat([Buffer.from(gs2), opt.binding ?? Buffer.alloc(0)]).toString('base64')
      const without = `c=${bound},r=${r}`
      const message = `${bare},${serverFirst},${without}`
      const key = hmac(salted, 'Client Key')
      const mask = hmac(sha256(key), message)
      const proof = key.map((byte, at) => byte ^ (mask[at] as number))
      return {
        final: `${without},p=${Buffer.from(proof).toString('base64')}`,
        signature: `v=${hmac(hmac(salted, 'Server Key'), message).toString('base64')}`,
      }
    },
  }
}

/** A verifier of a password in the form that the kernel keeps. */
export function scramVerifier(password: string, iterations = 4096): string {
  const salt = randomBytes(16)
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const stored = sha256(hmac(salted, 'Client Key')).toString('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${hmac(salted, 'Server Key').toString('base64')}`
}
