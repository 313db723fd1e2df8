import type { Ctx } from '@fnaa/core/plugin'
import { fingerprintOf } from './keyring.js'
import type { PeerKeys } from './peer-keys.js'

const EVERY_MS = 300_000
/** Sessions survive so long without an answer of DNS. */
const PATIENCE_MS = 3_600_000
/** As long as a session lives. */
const REMEMBER_MS = 86_400_000
const MOST = 10_000

interface Seen {
  readonly domain: string
  readonly selector: string
  readonly fingerprint: string
  readonly since: number
  /** When DNS last said that the key stands. */
  good: number
}

/**
 * Looks every five minutes whether the keys that proved live sessions still stand, and tells when one went: revoked,
 * replaced, or not to be found for an hour. The kernel then cuts the domain's sessions.
 */
export class Recheck {
  readonly #ctx: Ctx
  readonly #keys: PeerKeys
  readonly #gone: (domain: string) => void
  readonly #seen = new Map<string, Seen>()
  readonly #stop = new AbortController()
  readonly #loop: Promise<void>

  constructor(ctx: Ctx, keys: PeerKeys, gone: (domain: string) => void) {
    this.#ctx = ctx
    this.#keys = keys
    this.#gone = gone
    this.#loop = this.#run(AbortSignal.any([ctx.signal, this.#stop.signal]))
  }

  remember(domain: string, selector: string, fingerprint: string): void {
    const now = this.#ctx.clock.now()
    const key = `${selector} ${domain}`
    this.#seen.delete(key)
    this.#seen.set(key, { domain, selector, fingerprint, since: now, good: now })
    const oldest = this.#seen.keys().next()
    if (this.#seen.size > MOST && !oldest.done) this.#seen.delete(oldest.value)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#loop
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#ctx.clock.timer(EVERY_MS, signal)
      if (signal.aborted) return
      await this.look(signal)
    }
  }

  /** One look at all of them. */
  async look(signal: AbortSignal): Promise<void> {
    for (const [key, seen] of [...this.#seen]) {
      if (signal.aborted) return
      if (this.#ctx.clock.now() - seen.since >= REMEMBER_MS) this.#seen.delete(key)
      else if (!(await this.#stands(seen, signal))) {
        this.#seen.delete(key)
        this.#ctx.log.warn(
          { domain: seen.domain, selector: seen.selector },
          'a key that proved live sessions does not stand any more',
        )
        this.#gone(seen.domain)
      }
    }
  }

  async #stands(seen: Seen, signal: AbortSignal): Promise<boolean> {
    const now = this.#ctx.clock.now()
    try {
      const found = await this.#keys.lookUp(seen.domain, seen.selector, { signal })
      if (!found.key || fingerprintOf(found.key) !== seen.fingerprint) return false
      seen.good = now
      return true
    } catch {
      return signal.aborted || now - seen.good < PATIENCE_MS
    }
  }
}
