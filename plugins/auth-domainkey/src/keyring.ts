import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { type Call, type Ctx, FnaError, isFna, type OwnerSet } from '@fnaa/core/plugin'
import { fingerprintOf, formatKeyRecord, isSelector, type KeyRecord, keyOwner, succession } from '@fnaa/protocol'

const STATE = 'keys'
/** With a look every minute, what is revoked is noticed in less than five: a resolver may have it for so long. */
const TTL_SECONDS = 180
const HOUR = 3_600_000
const DAY = 24 * HOUR
/** A new key is published this long before it signs: the TTL of a denial that was cached, twice over. */
const LEAD_MS = 600_000
/** A retired key stays valid as long as the longest session. */
const GRACE_MS = DAY
/** So long a retired or revoked key is published as revoked, and so long again its name is published as empty. */
const REVOKED_MS = 30 * DAY

/** One of our keys as it is kept. Times in milliseconds since 1970. */
interface Stored {
  readonly selector: string
  /** PKCS#8 in DER, base64; gone once the key is revoked. */
  readonly pkcs8?: string
  /** The 32 bytes, base64. */
  readonly publicKey: string
  readonly created: number
  /** From then on it signs. */
  readonly from: number
  /** From then on it is published as revoked. */
  readonly until?: number
  /** The key that signed before it, and its word for this one, base64. A key after one that was revoked has none. */
  readonly vouched?: { readonly by: string; readonly signature: string }
}

export type KeyState = 'waiting' | 'current' | 'retiring' | 'revoked'
export interface KeyView {
  readonly selector: string
  readonly state: KeyState
  readonly fingerprint: string
  readonly created: number
  readonly until?: number
}

/** This agent's own Ed25519 keys, one a selector, the same for all of its domains. */
export class KeyRing {
  readonly #ctx: Ctx
  readonly #privates = new Map<string, KeyObject>()
  #keys: readonly Stored[] = []
  #revision: string | null = null

  private constructor(ctx: Ctx) {
    this.#ctx = ctx
  }

  /** Opens the state, and makes the first key where there is none. */
  static async open(ctx: Ctx, selector: string | undefined): Promise<KeyRing> {
    const ring = new KeyRing(ctx)
    const c: Call = { signal: ctx.signal }
    await ring.#load(c)
    if (!ring.#current()) await ring.init(selector, c)
    return ring
  }

  /** The selector of the key that signs now. */
  get selector(): string {
    return this.#need().selector
  }

  sign(selector: string, message: Uint8Array): Buffer {
    const key = this.#privates.get(selector)
    if (!key) throw new FnaError('FNA_ERR_NOTFOUND', `there is no key ${selector}`)
    return sign(null, message, key)
  }

  /** The newest first. */
  list(): KeyView[] {
    const current = this.#current()
    return [...this.#alive()].reverse().map(k => ({
      selector: k.selector,
      state: this.#stateOf(k, current),
      fingerprint: fingerprintOf(bytes(k.publicKey)),
      created: k.created,
      ...(k.until === undefined ? {} : { until: k.until }),
    }))
  }

  /** What must stand in DNS, for each domain. An empty set takes a name out that was published. */
  records(): OwnerSet[] {
    const now = this.#ctx.clock.now()
    return this.#ctx.agent.domains.flatMap(domain =>
      this.#keys.map(k => {
        const owner = keyOwner(k.selector, domain)
        if (k.until !== undefined && now >= k.until + REVOKED_MS) return { owner, records: [] }
        const revoked = k.until !== undefined && now >= k.until
        const text = formatKeyRecord(revoked ? { key: null } : { key: bytes(k.publicKey), ...vouchedOf(k) })
        return { owner, records: [{ name: owner, ttl: TTL_SECONDS, type: 'TXT' as const, strings: [text] }] }
      }),
    )
  }

  /** Makes a key where there is none. @returns its selector, or null where there was one */
  async init(selector: string | undefined, c: Call): Promise<string | null> {
    let made: string | null = null
    await this.#change(keys => {
      made = null
      if (this.#current()) return keys
      const key = this.#make(selector ?? this.#freeSelector(keys), this.#ctx.clock.now())
      made = key.selector
      return [...keys, key]
    }, c)
    return made
  }

  /**
   * Makes the next key, which the one before vouches for. It signs in ten minutes; the one before stays valid for a day,
   * then it is published as revoked.
   */
  async rotate(c: Call): Promise<{ selector: string; from: number }> {
    let next: Stored | undefined
    await this.#change(keys => {
      const from = this.#ctx.clock.now() + LEAD_MS
      next = this.#vouched(this.#make(this.#freeSelector(keys), from))
      return [...keys.map(k => (k.until === undefined ? { ...k, until: from + GRACE_MS } : k)), next]
    }, c)
    const { selector, from } = next as Stored
    return { selector, from }
  }

  /**
   * Publishes a key as revoked from now on and forgets its secret. Where it was the current one, a new key signs at once;
   * nothing vouches for that one, since whoever has the secret could, so others ask their owners about it.
   * @throws FNA_ERR_NOTFOUND
   */
  async revoke(selector: string, c: Call): Promise<void> {
    await this.#change(keys => {
      const now = this.#ctx.clock.now()
      if (!keys.some(k => k.selector === selector && k.pkcs8))
        throw new FnaError('FNA_ERR_NOTFOUND', `there is no key ${selector}`)
      const left = keys.map(({ pkcs8, ...k }) => {
        if (k.selector !== selector) return pkcs8 === undefined ? k : { ...k, pkcs8 }
        return { ...k, until: now }
      })
      const signs = left.some(k => 'pkcs8' in k && k.from <= now && (k.until === undefined || k.until > now))
      return signs ? left : [...left, this.#make(this.#freeSelector(keys), now)]
    }, c)
  }

  async #load(c: Call): Promise<void> {
    const entry = await this.#ctx.state.get(STATE, c)
    this.#revision = entry?.revision ?? null
    this.#keys = entry ? (JSON.parse(Buffer.from(entry.value).toString('utf8')) as Stored[]) : []
    this.#privates.clear()
    for (const k of this.#keys) {
      if (k.pkcs8) this.#privates.set(k.selector, privateKey(k.pkcs8))
    }
  }

  /** Compare-and-swap: `fnaad key …` may run beside the agent. */
  async #change(change: (keys: readonly Stored[]) => readonly Stored[], c: Call): Promise<void> {
    for (let tries = 0; ; tries++) {
      const keys = change(this.#alive())
      try {
        const value = Buffer.from(JSON.stringify(keys))
        // The operator's few keys: rotated and revoked on a full store too.
        await this.#ctx.state.put(STATE, value, { ifRevision: this.#revision }, { ...c, reserve: true })
        return await this.#load(c)
      } catch (e) {
        if (!isFna(e, 'FNA_ERR_CONFLICT') || tries >= 5) throw e
        await this.#load(c)
      }
    }
  }

  /** Without those whose names have been published as empty for long enough. */
  #alive(): readonly Stored[] {
    const now = this.#ctx.clock.now()
    return this.#keys.filter(k => k.until === undefined || now < k.until + 2 * REVOKED_MS)
  }

  /** The newest that may sign; while a rotation waits for DNS, that is the one before. */
  #current(): Stored | undefined {
    const now = this.#ctx.clock.now()
    return this.#keys.findLast(k => k.pkcs8 && k.from <= now && (k.until === undefined || k.until > now))
  }

  #need(): Stored {
    const current = this.#current()
    if (!current) throw new FnaError('FNA_ERR_NOTFOUND', 'this agent has no key: run `fnaad key init`')
    return current
  }

  #stateOf(k: Stored, current: Stored | undefined): KeyState {
    const now = this.#ctx.clock.now()
    if (!k.pkcs8 || (k.until !== undefined && k.until <= now)) return 'revoked'
    if (k === current) return 'current'
    return k.from > now ? 'waiting' : 'retiring'
  }

  #make(selector: string, from: number): Stored {
    if (!isSelector(selector)) throw new FnaError('FNA_ERR_CONFIG', 'a selector is a-z 0-9 and single inner hyphens')
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    return {
      selector,
      pkcs8: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
      publicKey: Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url').toString('base64'),
      created: this.#ctx.clock.now(),
      from,
    }
  }

  #vouched(next: Stored): Stored {
    const before = this.#current()
    const secret = before && this.#privates.get(before.selector)
    if (!secret) return next
    const message = succession(bytes(before.publicKey), bytes(next.publicKey))
    return { ...next, vouched: { by: before.publicKey, signature: sign(null, message, secret).toString('base64') } }
  }

  /** The year and a letter: `2026a`, `2026b` …; never one that was used, since caches hold what it was. */
  #freeSelector(keys: readonly Stored[]): string {
    const year = new Date(this.#ctx.clock.now()).getUTCFullYear()
    const used = new Set(keys.map(k => k.selector))
    for (const letter of 'abcdefghijklmnopqrstuvwxyz') if (!used.has(`${year}${letter}`)) return `${year}${letter}`
    return `${year}-${randomBytes(5).toString('hex')}`
  }
}

const bytes = (base64: string): Buffer => Buffer.from(base64, 'base64')

function vouchedOf({ vouched }: Stored): Pick<KeyRecord, 'vouched'> {
  return vouched ? { vouched: { by: bytes(vouched.by), signature: bytes(vouched.signature) } } : {}
}

const privateKey = (pkcs8: string): KeyObject =>
  createPrivateKey({ key: Buffer.from(pkcs8, 'base64'), format: 'der', type: 'pkcs8' })
