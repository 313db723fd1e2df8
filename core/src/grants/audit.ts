import { signalAfter } from '@fnaa/client'
import type { Clock, KeyValue, Logger } from '../contract/common.js'

const MOST = 100_000
const TRIM = 1_000

export interface AuditEntry {
  readonly what:
    | 'login'
    | 'grant'
    | 'revoke'
    | 'approve'
    | 'deny'
    | 'access'
    | 'rotate'
    | 'trust'
    | 'suspend'
    | 'restore'
    | 'remove'
    | 'block'
    | 'unblock'
    | 'cut'
  readonly who: string
  readonly level?: string
  readonly key?: string
  readonly on?: string
  readonly detail?: string
}

/** Who did what to whose rights, in order, bounded (hardening H33). Never a secret in it. */
export class Audit {
  readonly #bucket: KeyValue
  readonly #clock: Clock
  readonly #log: Logger
  #sequence = 0
  #count = 0

  constructor(bucket: KeyValue, clock: Clock, log: Logger) {
    this.#bucket = bucket
    this.#clock = clock
    this.#log = log
  }

  /** Resolves when it is on disk (a login: at once). Never rejects: a full disk must not keep an owner from revoking. */
  async write(entry: AuditEntry): Promise<void> {
    const at = this.#clock.now()
    this.#log.info({ audit: entry }, `audit: ${entry.what}`)
    const key = `${String(at).padStart(15, '0')}-${String(this.#sequence++ % 1e6).padStart(6, '0')}`
    const c = { signal: signalAfter(30_000), reserve: entry.what !== 'login' }
    const value = Buffer.from(JSON.stringify({ at: new Date(at).toISOString(), ...entry }))
    const written = this.#bucket
      .put(key, value, { durable: entry.what !== 'login' }, c)
      .then(() => this.#trim(c))
      .catch(e => this.#log.error({ err: e }, 'audit: not written'))
    if (entry.what !== 'login') await written
  }

  async #trim(c: { signal: AbortSignal }): Promise<void> {
    if (++this.#count % TRIM !== 0) return
    const keys = await this.#bucket.list('', { limit: MOST + TRIM }, c)
    for (const [key] of keys.slice(0, Math.max(0, keys.length - MOST))) await this.#bucket.delete(key, {}, c)
  }
}
