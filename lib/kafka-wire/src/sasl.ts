import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { escapeName, MAX_ITERATIONS, parseServerFirst } from '@fnaa/client'
import { FnaError, isFna } from '@fnaa/core/plugin'
import { KafkaError, said } from './errors.js'

/** How to log in at a broker. `token` is asked for anew at each login. */
export type Sasl =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
      readonly username: string
      readonly password: string
    }
  | { readonly mechanism: 'OAUTHBEARER'; readonly token: () => Promise<string> }

/** Sends one message of an exchange, and gives the answer. */
export type Say = (message: Buffer) => Promise<Buffer>

const derive = promisify(pbkdf2)

/**
 * The client's side of the exchange, after SaslHandshake.
 * @throws FNA_ERR_DENIED where the broker does not prove that it knows the password; what `say` throws
 */
export async function converse(sasl: Sasl, say: Say): Promise<void> {
  switch (sasl.mechanism) {
    case 'PLAIN':
      await say(Buffer.from(`\0${sasl.username}\0${sasl.password}`))
      return
    case 'OAUTHBEARER': {
      // RFC 7628 §3.1: where the token is not taken the broker says why, hears of it, and then refuses by a code of its own.
      const token = await sasl.token()
      if (!/^[\w.~+/-]+=*$/.test(token)) throw new FnaError('FNA_ERR_INVALID', 'the token is none (RFC 6750)')
      const refusal = await say(Buffer.from(`n,,\x01auth=Bearer ${token}\x01\x01`))
      if (refusal.length === 0) return
      await say(Buffer.from('\x01')).catch(e => {
        if (!isFna(e, 'FNA_ERR_DENIED')) throw e
      })
      throw new KafkaError(58, `the broker does not take the token: ${said(refusal.toString('utf8'))}`)
    }
    default:
      await scram(sasl.mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512', sasl, say)
  }
}

/** SCRAM (RFC 5802) without channel binding: Kafka has none. */
async function scram(hash: 'sha256' | 'sha512', who: { username: string; password: string }, say: Say): Promise<void> {
  const hmac = (key: Uint8Array, data: Uint8Array | string) => createHmac(hash, key).update(data).digest()
  const nonce = randomBytes(18).toString('base64')
  const bare = `n=${escapeName(who.username)},r=${nonce}`
  const first = (await say(Buffer.from(`n,,${bare}`))).toString('utf8')
  const server = parseServerFirst(first)
  if (!server.nonce.startsWith(nonce) || server.iterations > MAX_ITERATIONS)
    throw new FnaError('FNA_ERR_DENIED', 'the first message of the broker is not what SCRAM asks for')
  const length = hash === 'sha256' ? 32 : 64
  const salted = await derive(who.password, server.salt, server.iterations, length, hash)
  const clientKey = hmac(salted, 'Client Key')
  const unproved = `c=biws,r=${server.nonce}`
  const message = `${bare},${first},${unproved}`
  const signature = hmac(createHash(hash).update(clientKey).digest(), message)
  const proof = clientKey.map((byte, i) => byte ^ signature[i]!)
  const last = (await say(Buffer.from(`${unproved},p=${Buffer.from(proof).toString('base64')}`))).toString('utf8')
  const expected = hmac(hmac(salted, 'Server Key'), message)
  const got = Buffer.from(/^v=([A-Za-z0-9+/=]+)/.exec(last)?.[1] ?? '', 'base64')
  if (got.length !== expected.length || !timingSafeEqual(got, expected))
    throw new FnaError('FNA_ERR_DENIED', 'the broker did not prove that it knows the password')
}
