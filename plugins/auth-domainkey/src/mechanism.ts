import { randomBytes } from 'node:crypto'
import {
  type AuthMechanism,
  type AuthStep,
  type Call,
  type Ctx,
  type Exchange,
  FnaError,
  type Identity,
  type PeerInfo,
} from '@fnaa/core/plugin'
import {
  formatChallenge,
  formatInitiator,
  formatResponse,
  isFnapError,
  type KeyInitiator,
  NONCE_BYTES,
  parseChallenge,
  parseInitiator,
  parseResponse,
  type TranscriptFields,
  transcript,
} from '@fnaa/protocol'
import { type Channel, channelOf } from './channel.js'
import { Failures } from './failures.js'
import type { KeyRing } from './keyring.js'
import { networkOf, RateLimiter } from './limiter.js'
import type { PeerKeys, Proved } from './peer-keys.js'

export const MECHANISM = 'DOMAINKEY-ED25519'
/** Who logged in must prove itself anew after a day. */
const SESSION_SECONDS = 86_400

/** Told of every domain that has proved itself, and by which key. */
export type Met = (domain: string, selector: string, proved: Proved) => void

export interface Parts {
  readonly ctx: Ctx
  readonly ring: KeyRing
  readonly keys: PeerKeys
  readonly met: Met
}

/** Both sides prove control of their domains by keys in DNS, over this very TLS channel. */
export function domainkeyMechanism(parts: Parts): AuthMechanism {
  const { now } = parts.ctx.clock
  const clock = () => now.call(parts.ctx.clock)
  const limits: Limits = {
    // A signature is made for anyone who asks, before it is known who that is.
    signatures: new RateLimiter({ perSecond: 50, burst: 200, now: clock }),
    perNetwork: new RateLimiter({ perSecond: 2, burst: 20, now: clock }),
    failures: new Failures(clock),
  }
  return {
    name: MECHANISM,
    needs: ['tls1.3'],
    accept: peer => new Responder(parts, limits, peer),
    initiate: (peer, names) => new Initiator(parts, peer, names),
  }
}

interface Limits {
  readonly signatures: RateLimiter
  readonly perNetwork: RateLimiter
  readonly failures: Failures
}

const reject = (log: string): AuthStep => ({ type: 'reject', log })
const nonce = (): Uint8Array => randomBytes(NONCE_BYTES)

/** Malformed messages are a no; everything else that is thrown stays a temporary failure. */
async function refusingSyntax(step: () => Promise<AuthStep>): Promise<AuthStep> {
  try {
    return await step()
  } catch (e) {
    if (isFnapError(e)) return reject(e.sentence)
    throw e
  }
}

function identityOf(domain: string, selector: string, proved: Proved, level: NonNullable<Identity['level']>): Identity {
  const { fingerprint, succeeds } = proved
  const key = { selector, fingerprint, ...(succeeds === undefined ? {} : { succeeds }) }
  return { type: 'domain', principal: domain, level, expiresIn: SESSION_SECONDS, key }
}

/** The accepting side. */
class Responder implements Exchange {
  readonly #parts: Parts
  readonly #limits: Limits
  readonly #network: string
  /** Taken now: what CAPABILITIES said before AUTHENTICATE is what counts. */
  readonly #channel: Channel | string
  #fields: TranscriptFields | null = null
  #state: 'first' | 'final' | 'over' = 'first'

  constructor(parts: Parts, limits: Limits, peer: PeerInfo) {
    this.#parts = parts
    this.#limits = limits
    this.#network = networkOf(peer.address)
    this.#channel = channelOf(peer)
  }

  async step(input: Uint8Array | null, c: Call): Promise<AuthStep> {
    if (this.#state === 'first' && input === null) return { type: 'challenge', data: new Uint8Array() }
    const state = this.#state
    this.#state = 'over'
    if (state === 'first' && input) return refusingSyntax(async () => this.#answer(input))
    if (state === 'final' && input) return refusingSyntax(() => this.#verify(input, c))
    return reject('the exchange is over')
  }

  abort(): void {
    this.#state = 'over'
    this.#fields = null
  }

  #answer(input: Uint8Array): AuthStep {
    if (typeof this.#channel === 'string') return reject(this.#channel)
    const first = parseInitiator(input)
    const { ctx, ring } = this.#parts
    // Before anything is signed: a signature for a name that is not ours would be a gift to an impostor.
    if (!ctx.agent.domains.includes(first.t)) return reject('the other side means another domain')
    if (ctx.agent.domains.includes(first.n)) return reject('the other side claims a domain of ours')
    if (this.#limits.failures.tooMany(this.#network, first.n)) throw busy()
    if (!this.#limits.perNetwork.take(this.#network) || !this.#limits.signatures.take('all')) throw busy()
    const fields: TranscriptFields = { ...first, rs: ring.selector, sn: nonce(), ...this.#channel }
    const sig = ring.sign(fields.rs, transcript('responder', fields))
    this.#fields = fields
    this.#state = 'final'
    return { type: 'challenge', data: formatChallenge({ rs: fields.rs, sn: fields.sn, sig }) }
  }

  async #verify(input: Uint8Array, c: Call): Promise<AuthStep> {
    const fields = this.#fields as TranscriptFields
    const { sig } = parseResponse(input)
    const proved = await this.#parts.keys.check(fields.n, fields.s, transcript('initiator', fields), sig, c)
    if (typeof proved === 'string') {
      this.#limits.failures.failed(this.#network, fields.n)
      return reject(`${fields.n}: ${proved}`)
    }
    this.#limits.failures.proved(this.#network, fields.n)
    this.#parts.met(fields.n, fields.s, proved)
    return { type: 'accept', identity: identityOf(fields.n, fields.s, proved, proved.secure ? 'dnssec' : 'dns') }
  }
}

/** The initiating side: it signs only when the other side has proved itself. */
class Initiator implements Exchange {
  readonly #parts: Parts
  readonly #verified: boolean
  readonly #channel: Channel | string
  readonly #names: { readonly self: string; readonly target: string }
  #first: KeyInitiator | null = null
  #state: 'first' | 'challenge' | 'over' = 'first'

  constructor(parts: Parts, peer: PeerInfo, names: { readonly self: string; readonly target: string }) {
    this.#parts = parts
    this.#verified = peer.tls?.verified === true
    this.#channel = channelOf(peer)
    this.#names = names
  }

  async step(input: Uint8Array | null, c: Call): Promise<AuthStep> {
    const state = this.#state
    this.#state = 'over'
    if (state === 'first') return this.#begin()
    if (state === 'challenge' && input) return refusingSyntax(() => this.#answer(input, c))
    return reject('the exchange is over')
  }

  abort(): void {
    this.#state = 'over'
    this.#first = null
  }

  #begin(): AuthStep {
    const { self, target } = this.#names
    if (typeof this.#channel === 'string') return reject(this.#channel)
    if (!this.#parts.ctx.agent.domains.includes(self)) return reject('this agent does not speak for that domain')
    if (self === target) return reject('an agent does not log in to itself')
    this.#first = { n: self, s: this.#parts.ring.selector, t: target, cn: nonce() }
    this.#state = 'challenge'
    return { type: 'challenge', data: formatInitiator(this.#first) }
  }

  async #answer(input: Uint8Array, c: Call): Promise<AuthStep> {
    const { rs, sn, sig } = parseChallenge(input)
    const first = this.#first as KeyInitiator
    const fields: TranscriptFields = { ...first, rs, sn, ...(this.#channel as Channel) }
    const proved = await this.#parts.keys.check(first.t, rs, transcript('responder', fields), sig, c)
    if (typeof proved === 'string') return reject(`${first.t}: ${proved}`)
    const mine = this.#parts.ring.sign(first.s, transcript('initiator', fields))
    this.#parts.met(first.t, rs, proved)
    const level = proved.secure ? 'dnssec' : this.#verified ? 'pkix' : 'dns'
    return { type: 'accept', identity: identityOf(first.t, rs, proved, level), data: formatResponse({ sig: mine }) }
  }
}

const busy = (): FnaError => new FnaError('FNA_ERR_UNAVAILABLE', 'too many exchanges with this network or domain')
