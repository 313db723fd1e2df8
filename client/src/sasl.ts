import { randomBytes } from 'node:crypto'
import { ClientError } from './errors.js'
import { saslprep } from './saslprep.js'
import {
  CHANNEL_BINDING,
  clientProof,
  equalBytes,
  recordKeys,
  SCRAM_NAME,
  SCRAM_PLUS_NAME,
  saltedPassword,
  serverSignature,
} from './scram.js'
import { escapeName, finalWithoutProof, parseServerFirst } from './scram-messages.js'
import type { AuthStep, Exchange, PeerInfo } from './types.js'

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8')
const reject = (log: string): AuthStep => ({ type: 'reject', log })

/** May a password-based exchange run here? TLS or a loopback socket; `clear` is the user's own word for anything else. */
function requirePrivate(peer: PeerInfo, clear: boolean | undefined): void {
  if (peer.tls || peer.loopback || clear) return
  throw new ClientError('FNA_ERR_DENIED', 'a password does not travel without TLS: start TLS first')
}

export interface PasswordLogin {
  readonly user: string
  readonly password: string
  readonly peer: PeerInfo
  /** Allows a log-in without TLS off loopback. */
  readonly clear?: boolean
}

/**
 * The initiating side of PLAIN (RFC 4616): one message.
 * @throws FNA_ERR_DENIED without TLS
 */
export function plain(login: PasswordLogin & { readonly authzid?: string }): Exchange {
  requirePrivate(login.peer, login.clear)
  return {
    async step() {
      const user = await saslprep(login.user)
      const password = await saslprep(login.password)
      if (!user || !password || `${user}${password}`.includes('\0')) return reject('user name or password is empty')
      return {
        type: 'accept',
        identity: { type: 'user', principal: user },
        data: bytes(`${login.authzid ?? ''}\0${user}\0${password}`),
      }
    },
    abort() {},
  }
}

/** The initiating side of ANONYMOUS (RFC 4505). `trace` is at most 255 characters and says nothing secret. */
export function anonymous(trace = ''): Exchange {
  return {
    async step() {
      if (trace.length > 255 || /[\0-\x1f\x7f]/.test(trace))
        return reject('the trace is at most 255 printable characters')
      return { type: 'accept', identity: { type: 'anonymous', principal: 'anonymous' }, data: bytes(trace) }
    },
    abort() {},
  }
}

export interface ScramLogin extends PasswordLogin {
  /** The mechanism that is run. */
  readonly mechanism: typeof SCRAM_NAME | typeof SCRAM_PLUS_NAME
  /** The mechanisms that the agent offers on this channel; a downgrade shows here. */
  readonly offered: readonly string[]
  /** For tests: 16 printable characters or more, no comma. */
  readonly nonce?: string
}

/**
 * The initiating side of SCRAM-SHA-256 and, bound to the TLS channel, SCRAM-SHA-256-PLUS (RFC 5802, 7677, 9266). It ends
 * only when the agent has shown that it knows the verifier of this very password.
 * @throws FNA_ERR_DENIED without TLS, FNA_ERR_UNSUPPORTED for PLUS below TLS 1.3 (RFC 9266 §4.2)
 */
export function scram(login: ScramLogin): Exchange {
  requirePrivate(login.peer, login.clear)
  const plus = login.mechanism === SCRAM_PLUS_NAME
  const canBind = login.peer.tls?.version === 'TLSv1.3'
  if (plus && !canBind) throw new ClientError('FNA_ERR_UNSUPPORTED', `${SCRAM_PLUS_NAME} needs TLS 1.3`)
  const sendsY = canBind && !login.offered.includes(SCRAM_PLUS_NAME)
  return new ScramClient(login, plus ? `p=${CHANNEL_BINDING.name},,` : sendsY ? 'y,,' : 'n,,')
}

class ScramClient implements Exchange {
  readonly #login: ScramLogin
  readonly #gs2: string
  readonly #nonce: string
  #bare = ''
  #signature: Uint8Array | null = null
  #state: 'first' | 'challenge' | 'signature' | 'over' = 'first'

  constructor(login: ScramLogin, gs2: string) {
    this.#login = login
    this.#gs2 = gs2
    this.#nonce = login.nonce ?? randomBytes(18).toString('base64')
  }

  async step(input: Uint8Array | null): Promise<AuthStep> {
    const text = Buffer.from(input ?? []).toString('utf8')
    const state = this.#state
    this.#state = 'over'
    if (state === 'first') return this.#first()
    if (state === 'challenge') return this.#answer(text)
    if (state === 'signature') return this.#verify(text)
    return reject('the exchange is over')
  }

  abort(): void {
    this.#state = 'over'
    this.#signature = null
  }

  async #first(): Promise<AuthStep> {
    this.#bare = `n=${escapeName(await saslprep(this.#login.user))},r=${this.#nonce}`
    this.#state = 'challenge'
    return { type: 'challenge', data: bytes(this.#gs2 + this.#bare) }
  }

  async #answer(text: string): Promise<AuthStep> {
    const first = parseServerFirst(text)
    if (!first.nonce.startsWith(this.#nonce) || first.nonce.length === this.#nonce.length) {
      return reject("the agent's nonce does not continue ours")
    }
    const salted = await saltedPassword(await saslprep(this.#login.password), first.salt, first.iterations)
    const withoutProof = finalWithoutProof(this.#gs2, this.#binding(), first.nonce)
    const authMessage = `${this.#bare},${text},${withoutProof}`
    this.#signature = serverSignature(recordKeys(salted).server, authMessage)
    this.#state = 'signature'
    return {
      type: 'challenge',
      data: bytes(`${withoutProof},p=${clientProof(salted, authMessage).toString('base64')}`),
    }
  }

  #binding(): Uint8Array | null {
    if (this.#login.mechanism !== SCRAM_PLUS_NAME) return null
    return this.#login.peer.tls?.exporter(CHANNEL_BINDING.label, CHANNEL_BINDING.length) ?? null
  }

  async #verify(text: string): Promise<AuthStep> {
    const m = /^v=([A-Za-z0-9+/]{43}=)$/.exec(text)
    if (!m || !this.#signature || !equalBytes(Buffer.from(m[1] as string, 'base64'), this.#signature)) {
      return reject('the agent does not know the password: its signature is wrong')
    }
    return { type: 'accept', identity: { type: 'user', principal: this.#login.user } }
  }
}

/** The strongest of the offered mechanisms that a user name and password can serve, or null. */
export function choosePasswordMechanism(
  offered: readonly string[],
  peer: PeerInfo,
): 'PLAIN' | ScramLogin['mechanism'] | null {
  if (peer.tls?.version === 'TLSv1.3' && offered.includes(SCRAM_PLUS_NAME)) return SCRAM_PLUS_NAME
  if (offered.includes(SCRAM_NAME)) return SCRAM_NAME
  return offered.includes('PLAIN') ? 'PLAIN' : null
}
