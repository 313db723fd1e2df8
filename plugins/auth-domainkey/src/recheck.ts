import { signalAfter } from '@fnaa/client'
import type { Ctx } from '@fnaa/core/plugin'
import { fingerprintOf } from '@fnaa/protocol'
import type { PeerKeys, Proved } from './peer-keys.js'
import { inTurns, type Seen, SeenKeys } from './seen-keys.js'

const EVERY_MS = 60_000
/** Looks at once, and how long one may take: a slow name server must not hold up what is revoked elsewhere. */
const AT_ONCE = 32
const LOOK_MS = 5_000
/** Strangers on whom nothing hangs get so much of each minute; who was not reached comes first in the next. */
const STRANGERS_MS = 30_000
/** Sessions survive so long without an answer of DNS. */
const PATIENCE_MS = 3_600_000
/** As long as a session lives. */
const REMEMBER_MS = 86_400_000

/** Domains on which something hangs. */
export type Relied = () => ReadonlySet<string>
/** `revoked` where the key's record says so, which holds for good; `gone` may be undone. */
type WhyGone = 'gone' | 'revoked'
export type Gone = (domain: string, fingerprint: string, why: WhyGone) => void

/**
 * Looks every minute whether the keys that proved live sessions still stand, and tells when one went: revoked, replaced,
 * no longer signed, or not to be found for an hour. The kernel then cuts the domain's sessions. Domains take turns, and
 * those on which something hangs come first: whoever has many keys, or slow ones, delays his own.
 */
export class Recheck {
  readonly #ctx: Ctx
  readonly #keys: PeerKeys
  readonly #gone: Gone
  readonly #relied: Relied
  readonly #seen: SeenKeys
  readonly #stop = new AbortController()
  readonly #loop: Promise<void>

  constructor(ctx: Ctx, keys: PeerKeys, gone: Gone, relied: Relied) {
    this.#ctx = ctx
    this.#keys = keys
    this.#gone = gone
    this.#relied = relied
    this.#seen = new SeenKeys(relied)
    this.#loop = this.#run(AbortSignal.any([ctx.signal, this.#stop.signal]))
  }

  remember(domain: string, selector: string, { fingerprint, secure }: Proved): void {
    const now = this.#ctx.clock.now()
    this.#seen.add({ domain, selector, fingerprint, secure, since: now, good: now, looked: now })
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

  /** One look: at all keys of those on whom something hangs, then at as many of the others as there is time for. */
  async look(signal: AbortSignal): Promise<void> {
    const relied = this.#relied()
    const groups = [...this.#seen.domains()]
    const keys = (wanted: boolean) => inTurns(groups.filter(([d]) => relied.has(d) === wanted).map(([, keys]) => keys))
    await this.#lookAtAll(keys(true), signal)
    const end = performance.now() + STRANGERS_MS
    await this.#lookAtAll(keys(false), signal, () => performance.now() < end)
  }

  async #lookAtAll(keys: readonly Seen[], signal: AbortSignal, time: () => boolean = () => true): Promise<void> {
    let next = 0
    const work = async () => {
      while (next < keys.length && !signal.aborted && time()) await this.#lookAt(keys[next++] as Seen, signal)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }

  async #lookAt(seen: Seen, signal: AbortSignal): Promise<void> {
    const now = this.#ctx.clock.now()
    const old = now - seen.since >= REMEMBER_MS
    this.#seen.looked(seen, now)
    const why = old ? null : await this.#whyGone(seen, signal)
    if (!old && why === null) return
    // It may have proved itself again meanwhile.
    if (!this.#seen.delete(seen) || why === null) return
    const { domain, selector, fingerprint } = seen
    this.#ctx.log.warn({ domain, selector, why }, 'a key that proved live sessions does not stand any more')
    this.#gone(domain, fingerprint, why)
  }

  /** @returns null where the key stands, or may */
  async #whyGone(seen: Seen, signal: AbortSignal): Promise<WhyGone | null> {
    const now = this.#ctx.clock.now()
    try {
      const until = signalAfter(LOOK_MS, signal)
      const found = await this.#keys.lookUp(seen.domain, seen.selector, { signal: until, fresh: true })
      // An unsigned answer about a signed zone may be anybody's: it ends sessions, and condemns no key for good.
      if (seen.secure && !found.secure) return 'gone'
      if (found.revoked) return 'revoked'
      if (!found.key || fingerprintOf(found.key) !== seen.fingerprint) return 'gone'
      seen.good = now
      return null
    } catch {
      return signal.aborted || now - seen.good < PATIENCE_MS ? null : 'gone'
    }
  }
}
