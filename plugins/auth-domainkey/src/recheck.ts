import type { Ctx } from '@fnaa/core/plugin'
import { fingerprintOf } from '@fnaa/protocol'
import type { PeerKeys, Proved } from './peer-keys.js'

const EVERY_MS = 60_000
/** Looks at once: one slow name server must not hold up what is revoked elsewhere. */
const AT_ONCE = 32
/** Sessions survive so long without an answer of DNS. */
const PATIENCE_MS = 3_600_000
/** As long as a session lives. */
const REMEMBER_MS = 86_400_000
const MOST = 10_000

interface Seen {
  readonly domain: string
  readonly selector: string
  readonly fingerprint: string
  /** The answer that proved it was: one that is not any more is another domain's, for all we know. */
  readonly secure: boolean
  readonly since: number
  /** When DNS last said that the key stands. */
  good: number
}

/**
 * Looks every minute whether the keys that proved live sessions still stand, and tells when one went: revoked, replaced,
 * no longer signed, or not to be found for an hour. The kernel then cuts the domain's sessions.
 */
export class Recheck {
  readonly #ctx: Ctx
  readonly #keys: PeerKeys
  readonly #gone: (domain: string, fingerprint: string) => void
  readonly #seen = new Map<string, Seen>()
  readonly #stop = new AbortController()
  readonly #loop: Promise<void>

  constructor(ctx: Ctx, keys: PeerKeys, gone: (domain: string, fingerprint: string) => void) {
    this.#ctx = ctx
    this.#keys = keys
    this.#gone = gone
    this.#loop = this.#run(AbortSignal.any([ctx.signal, this.#stop.signal]))
  }

  remember(domain: string, selector: string, { fingerprint, secure }: Proved): void {
    const now = this.#ctx.clock.now()
    const key = `${selector} ${domain}`
    this.#seen.delete(key)
    this.#seen.set(key, { domain, selector, fingerprint, secure, since: now, good: now })
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
    const left = [...this.#seen]
    const work = async () => {
      for (let next = left.pop(); next && !signal.aborted; next = left.pop()) await this.#lookAt(...next, signal)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }

  async #lookAt(key: string, seen: Seen, signal: AbortSignal): Promise<void> {
    const old = this.#ctx.clock.now() - seen.since >= REMEMBER_MS
    if (!old && (await this.#stands(seen, signal))) return
    // It may have proved itself again meanwhile.
    if (this.#seen.get(key) !== seen) return
    this.#seen.delete(key)
    if (old) return
    const { domain, selector, fingerprint } = seen
    this.#ctx.log.warn({ domain, selector }, 'a key that proved live sessions does not stand any more')
    this.#gone(domain, fingerprint)
  }

  async #stands(seen: Seen, signal: AbortSignal): Promise<boolean> {
    const now = this.#ctx.clock.now()
    try {
      const found = await this.#keys.lookUp(seen.domain, seen.selector, { signal, fresh: true })
      if (!found.key || fingerprintOf(found.key) !== seen.fingerprint || (seen.secure && !found.secure)) return false
      seen.good = now
      return true
    } catch {
      return signal.aborted || now - seen.good < PATIENCE_MS
    }
  }
}
