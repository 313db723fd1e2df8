import { randomBytes } from 'node:crypto'
import { formatRecord, makeRecord, RANDOM_SECRET_ITERATIONS } from '@fnaa/client'
import { mintId } from '@fnaa/protocol'
import type { Accounts } from '../contract/auth.js'
import type { Credential } from '../contract/broker.js'
import type { Call, Clock, Json, KeyValue } from '../contract/common.js'

/** What a credential of ours is good for: one name, one direction (hardening H3). */
export interface Scope {
  readonly kind: 'subscriber' | 'processor' | 'access'
  /** The uid of what it was issued for. */
  readonly key: string
  /** The one name that READ (or WRITE) may use: an endpoint or a flow. */
  readonly name: string
  /** The flow of a processor's end, where its name cannot stand in a command (an alias). */
  readonly flow?: string
  readonly right: 'read' | 'write'
  /** Runs of a processor: the fence. */
  readonly epoch?: number
}
export interface IssuedAccount {
  readonly user: string
  readonly password: string
  readonly record: string
  readonly scope: Scope
  /** After a rotation the old one ends at this time (milliseconds). */
  readonly until?: number
}

/**
 * Credentials that the kernel made: SCRAM-SHA-256, never shared. Those of subscribers and applications are kept sealed, so
 * that a repeated SUBSCRIBE gets the same one (federation rule 7); those of our own processors live in memory only, so
 * that a host of the life before can never write again (rule 8).
 */
export class Issued implements Accounts {
  readonly #secrets: KeyValue
  readonly #clock: Clock
  readonly #hash: <T>(work: () => Promise<T>) => Promise<T>
  readonly #accounts = new Map<string, IssuedAccount>()
  readonly #cut: (user: string) => void

  constructor(
    secrets: KeyValue,
    clock: Clock,
    hash: <T>(w: () => Promise<T>) => Promise<T>,
    cut: (user: string) => void,
  ) {
    this.#secrets = secrets
    this.#clock = clock
    this.#hash = hash
    this.#cut = cut
  }

  async load(c: Call): Promise<void> {
    let after: string | undefined
    for (;;) {
      const page = await this.#secrets.list('issued/', { limit: 1000, ...(after === undefined ? {} : { after }) }, c)
      for (const [, entry] of page) {
        const account = JSON.parse(Buffer.from(entry.value).toString()) as IssuedAccount
        this.#accounts.set(account.user, account)
      }
      after = page.at(-1)?.[0]
      if (page.length < 1000 || after === undefined) return
    }
  }

  get(user: string): IssuedAccount | undefined {
    const account = this.#accounts.get(user)
    if (account?.until !== undefined && account.until <= this.#clock.now()) return undefined
    return account
  }

  /** The current credentials for a scope's key; the newest last. */
  of(key: string): IssuedAccount[] {
    return [...this.#accounts.values()].filter(a => a.scope.key === key && this.get(a.user))
  }

  /** The one that stands, or a new one. */
  async ensure(scope: Scope, c: Call): Promise<IssuedAccount> {
    return this.of(scope.key).find(a => a.until === undefined) ?? (await this.#issue(scope, true, c))
  }

  /** A second one; the first ends after `ms` milliseconds, and its sessions with it. */
  async rotate(scope: Scope, ms: number, c: Call): Promise<IssuedAccount> {
    for (const old of this.of(scope.key)) {
      if (old.until !== undefined) continue
      await this.#keep({ ...old, until: this.#clock.now() + ms }, c)
    }
    return this.#issue(scope, true, c)
  }

  /** One of a processor's run: in memory only. Those of earlier runs are cut first, so that there is never a second writer. */
  async forRun(scope: Scope): Promise<IssuedAccount> {
    for (const old of this.of(scope.key)) {
      if (old.scope.name === scope.name && old.scope.right === scope.right) this.#drop(old.user)
    }
    return this.#issue(scope, false, { signal: new AbortController().signal })
  }

  /** A run goes on without this end of it. */
  endRun(key: string, name: string): void {
    for (const old of this.of(key)) if (old.scope.name === name) this.#drop(old.user)
  }

  /** Ends every credential of a key: their sessions are cut before this resolves. */
  async revoke(key: string, c: Call): Promise<void> {
    const mine = [...this.#accounts.values()].filter(a => a.scope.key === key)
    for (const a of mine) this.#drop(a.user)
    for (const a of mine) await this.#secrets.delete(`issued/${a.user}`, {}, c)
  }

  /** Ends what has been rotated out. */
  async expire(c: Call): Promise<void> {
    const now = this.#clock.now()
    for (const a of [...this.#accounts.values()]) {
      if (a.until === undefined || a.until > now) continue
      this.#drop(a.user)
      await this.#secrets.delete(`issued/${a.user}`, {}, c)
    }
  }

  async verifier(user: string, mechanism: string, _c: Call): Promise<Json | null> {
    return mechanism.startsWith('SCRAM-SHA-256') ? (this.get(user)?.record ?? null) : null
  }

  #drop(user: string): void {
    this.#accounts.delete(user)
    this.#cut(user)
  }

  async #issue(scope: Scope, durable: boolean, c: Call): Promise<IssuedAccount> {
    const user = mintId(randomBytes(16))
    const password = randomBytes(24).toString('base64url')
    const record = formatRecord(await this.#hash(() => makeRecord(password, { iterations: RANDOM_SECRET_ITERATIONS })))
    const account: IssuedAccount = { user, password, record, scope }
    if (durable) await this.#keep(account, c)
    else this.#accounts.set(user, account)
    return account
  }

  async #keep(account: IssuedAccount, c: Call): Promise<void> {
    await this.#secrets.put(`issued/${account.user}`, Buffer.from(JSON.stringify(account)), {}, c)
    this.#accounts.set(account.user, account)
  }
}

export const credentialOf = (a: IssuedAccount): Credential => ({
  mechanism: 'SCRAM-SHA-256',
  values: { user: a.user, password: a.password },
})
