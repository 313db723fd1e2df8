import { randomBytes } from 'node:crypto'
import {
  CHANNEL_BINDING,
  type ClientFirst,
  equalBytes,
  finalWithoutProof,
  formatServerFirst,
  parseClientFinal,
  parseClientFirst,
  parseRecord,
  SCRAM_NAME,
  SCRAM_PLUS_NAME,
  type ScramRecord,
  saslprep,
  serverSignature,
  verifyProof,
} from '@fnaa/client'
import {
  type AuthMechanism,
  type AuthStep,
  type Call,
  type Exchange,
  type Identity,
  type Accounts as Issued,
  isFna,
  type PeerInfo,
} from '@fnaa/core/plugin'
import { isId } from '@fnaa/protocol'
import type { Accounts } from './accounts.js'

/** SCRAM-SHA-256 or, bound to the TLS channel, SCRAM-SHA-256-PLUS (RFC 5802, 7677, 9266). */
export function scramMechanism(
  accounts: Accounts,
  opt: { readonly plus: boolean; readonly plusOn: boolean },
): AuthMechanism {
  return {
    name: opt.plus ? SCRAM_PLUS_NAME : SCRAM_NAME,
    // RFC 9266 §4.2: below TLS 1.3 the exporter binds only with an extension that Node does not tell of.
    needs: opt.plus ? ['tls1.3'] : ['tls', 'loopback'],
    accept: (peer, issued) => new ScramServer(accounts, peer, issued, opt),
  }
}

interface Subject {
  readonly record: ScramRecord
  /** Null where nobody is behind the name: the record is made up, or the account is disabled. */
  readonly identity: Identity | null
  readonly log: string
}

class ScramServer implements Exchange {
  #state: 'first' | 'final' | 'over' = 'first'
  #first: ClientFirst | null = null
  #subject: Subject | null = null
  #serverFirst = ''
  #nonce = ''

  constructor(
    readonly accounts: Accounts,
    readonly peer: PeerInfo,
    readonly issued: Issued,
    readonly opt: { readonly plus: boolean; readonly plusOn: boolean },
  ) {}

  async step(input: Uint8Array | null, c: Call): Promise<AuthStep> {
    if (this.#state === 'first' && input === null) return { type: 'challenge', data: new Uint8Array() }
    const state = this.#state
    this.#state = 'over'
    try {
      if (state === 'first' && input) return await this.#begin(text(input), c)
      if (state === 'final' && input) return this.#finish(text(input))
    } catch (e) {
      if (isFna(e, 'FNA_ERR_INVALID')) return reject(e.message)
      throw e
    }
    return reject('the exchange is over')
  }

  abort(): void {
    this.#state = 'over'
  }

  async #begin(message: string, c: Call): Promise<AuthStep> {
    const first = parseClientFirst(message)
    const fault = this.#bindingFault(first)
    if (fault) return reject(fault)
    const user = await saslprep(first.user)
    this.#subject = await this.#lookUp(user, first, c)
    this.#first = first
    this.#nonce = first.nonce + randomBytes(18).toString('base64')
    this.#serverFirst = formatServerFirst({ nonce: this.#nonce, ...this.#subject.record })
    this.#state = 'final'
    return { type: 'challenge', data: Buffer.from(this.#serverFirst, 'utf8') }
  }

  #bindingFault(first: ClientFirst): string | null {
    if (this.opt.plus !== (typeof first.binding === 'object')) return 'channel binding does not fit the mechanism'
    if (typeof first.binding === 'object' && first.binding.name !== CHANNEL_BINDING.name)
      return 'another channel binding'
    // `y`: the client could bind and was told that we cannot. Where we did offer it, somebody took it off the list.
    const offered = this.opt.plusOn && this.peer.tls?.version === 'TLSv1.3'
    return first.binding === 'y' && offered ? 'the offer of channel binding was suppressed on the way' : null
  }

  async #lookUp(user: string, first: ClientFirst, c: Call): Promise<Subject> {
    if (isId(user)) return this.#lookUpIssued(user, first, c)
    const { record, account } = await this.accounts.recordFor(user, c)
    if (!account) return { record, identity: null, log: 'no such account' }
    if (account.disabled) return { record, identity: null, log: `${account.principal} is disabled` }
    if (first.authzid !== null && this.accounts.principalOf(first.authzid) !== account.principal) {
      return { record, identity: null, log: `${account.principal} may not act as somebody else` }
    }
    return { record, identity: { type: 'user', principal: account.principal }, log: account.principal }
  }

  /** A credential that the kernel made for one endpoint: it has the form of an id, and exists by SCRAM alone. */
  async #lookUpIssued(user: string, first: ClientFirst, c: Call): Promise<Subject> {
    const verifier = await this.issued.verifier(user, SCRAM_NAME, c)
    if (typeof verifier !== 'string' || (first.authzid !== null && first.authzid !== user)) {
      return { record: this.accounts.madeUp(user), identity: null, log: 'no such issued credential' }
    }
    return { record: parseRecord(verifier), identity: { type: 'issued', principal: user }, log: user }
  }

  #finish(message: string): AuthStep {
    const final = parseClientFinal(message)
    const first = this.#first as ClientFirst
    const subject = this.#subject as Subject
    const binding = this.opt.plus ? this.peer.tls?.exporter(CHANNEL_BINDING.label, CHANNEL_BINDING.length) : null
    if (binding === undefined) return reject('the channel cannot be bound')
    const expected = finalWithoutProof(first.gs2, binding, this.#nonce)
    const bound = equalBytes(Buffer.from(final.withoutProof), Buffer.from(expected))
    const authMessage = `${first.bare},${this.#serverFirst},${final.withoutProof}`
    const proved = verifyProof(subject.record, authMessage, final.proof)
    if (!bound) return reject('channel binding or nonce does not match')
    if (!subject.identity) return reject(subject.log)
    if (!proved) return reject(`wrong password of ${subject.log}`)
    const signature = serverSignature(subject.record.server, authMessage)
    return { type: 'accept', identity: subject.identity, data: Buffer.from(`v=${signature.toString('base64')}`) }
  }
}

function text(input: Uint8Array): string {
  // Bytes that are not UTF-8 become U+FFFD, which no proof fits.
  return Buffer.from(input).toString('utf8')
}

const reject = (log: string): AuthStep => ({ type: 'reject', log })
