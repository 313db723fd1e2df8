import { verify } from 'node:crypto'
import { ed25519Key } from '@fnaa/client'
import { type Call, type Ctx, FnaError } from '@fnaa/core/plugin'
import { fingerprintOf, isFnapError, keyOwner, parseKeyRecord, succession, type Vouched } from '@fnaa/protocol'

const MOST_SECONDS = 300
const NEGATIVE_SECONDS = 60
const MOST_ENTRIES = 10_000
const ALIASED = 'the name of the key is an alias, in a zone that is not signed'

/** What DNS says of a selector of a domain. Without `key` no signature holds, and `why` is for the log. */
export interface Found {
  readonly key: Uint8Array | null
  readonly why: string
  readonly secure: boolean
  readonly vouched?: Vouched
  /** The record says so: another thing than no record. */
  readonly revoked?: true
}
export interface Proved {
  readonly secure: boolean
  readonly fingerprint: string
  /** Of the key before it, which vouches for it. */
  readonly succeeds?: string
}

interface Cached {
  readonly found: Found
  readonly until: number
}

/** Keys of other domains, from DNS, remembered for five minutes at most (absences for one). */
export class PeerKeys {
  readonly #ctx: Ctx
  readonly #cache = new Map<string, Cached>()

  constructor(ctx: Ctx) {
    this.#ctx = ctx
  }

  /**
   * Checks a signature. Where a remembered key does not fit, DNS is asked once more: it may have been replaced (F13).
   * @returns what the key is worth, or why the signature does not hold
   * @throws FNA_ERR_UNAVAILABLE where DNS gives no answer, or a bogus one: that is not a no
   */
  async check(
    domain: string,
    selector: string,
    message: Uint8Array,
    signature: Uint8Array,
    c: Call,
  ): Promise<Proved | string> {
    const owner = keyOwner(selector, domain)
    const known = this.#known(owner)
    const found = known ?? (await this.lookUp(domain, selector, c))
    const proved = holds(found, message, signature)
    if (typeof proved !== 'string' || !known) return proved
    return holds(await this.lookUp(domain, selector, { ...c, fresh: true } as Call), message, signature)
  }

  /** Asks DNS, whatever is remembered. */
  async lookUp(domain: string, selector: string, c: Call): Promise<Found> {
    const owner = keyOwner(selector, domain)
    const answer = await this.#ctx.resolve(owner, 'TXT', c)
    if (answer.status === 'bogus') throw new FnaError('FNA_ERR_UNAVAILABLE', 'DNSSEC validation of a key failed')
    const secure = answer.status === 'secure'
    // By an alias, whoever can forge the one answer has the key of any domain of his for this one.
    const aliased = answer.records.some(r => r.name !== owner) && !secure
    const texts = answer.records.flatMap(r => (r.type === 'TXT' ? [r.strings] : []))
    const found = aliased ? { key: null, why: ALIASED, secure } : read(texts, secure, this.#ctx.clock.now())
    const seconds = found.key ? Math.min(answer.ttl, MOST_SECONDS) : NEGATIVE_SECONDS
    this.#remember(owner, { found, until: this.#ctx.clock.now() + seconds * 1000 })
    return found
  }

  #known(owner: string): Found | null {
    const cached = this.#cache.get(owner)
    return cached && cached.until > this.#ctx.clock.now() ? cached.found : null
  }

  #remember(owner: string, cached: Cached): void {
    this.#cache.delete(owner)
    this.#cache.set(owner, cached)
    if (this.#cache.size <= MOST_ENTRIES) return
    const oldest = this.#cache.keys().next()
    if (!oldest.done) this.#cache.delete(oldest.value)
  }
}

function read(texts: readonly (readonly string[])[], secure: boolean, now: number): Found {
  const none = (why: string): Found => ({ key: null, why, secure })
  try {
    const record = parseKeyRecord(texts)
    if (!record) return none('there is no such key')
    if (!record.key) return { ...none('the key is revoked'), revoked: true }
    if (record.notAfter !== undefined && record.notAfter * 1000 < now) return none('the key has expired')
    return { key: record.key, why: '', secure, ...(record.vouched ? { vouched: record.vouched } : {}) }
  } catch (e) {
    if (isFnapError(e)) return none(e.sentence)
    throw e
  }
}

function holds(found: Found, message: Uint8Array, signature: Uint8Array): Proved | string {
  if (!found.key) return found.why
  try {
    if (!verify(null, message, ed25519Key(found.key), signature)) return 'the signature does not hold'
  } catch {
    return 'the key is no point of the curve'
  }
  return { secure: found.secure, fingerprint: fingerprintOf(found.key), ...succeeded(found.key, found.vouched) }
}

function succeeded(key: Uint8Array, vouched: Vouched | undefined): { readonly succeeds?: string } {
  if (!vouched) return {}
  try {
    const holds = verify(null, succession(vouched.by, key), ed25519Key(vouched.by), vouched.signature)
    return holds ? { succeeds: fingerprintOf(vouched.by) } : {}
  } catch {
    return {}
  }
}
