import { createHmac, randomBytes } from 'node:crypto'
import { formatRecord, parseRecord, RANDOM_SECRET_ITERATIONS, type ScramRecord } from '@fnaa/client'
import { type Call, type Ctx, type Entry, FnaError, isFna } from '@fnaa/core/plugin'
import { isId, isUser } from '@fnaa/protocol'

export interface Account {
  readonly principal: string
  readonly record: ScramRecord
  readonly disabled: boolean
  /** RFC 3339. */
  readonly created: string
}

const PREFIX = 'account/'
const SECRET = 'secret/salts'

/** The accounts of this participant's own users, in the plugin's durable state. One record serves PLAIN and SCRAM. */
export class Accounts {
  readonly #ctx: Ctx
  readonly #iterations: number
  readonly #secret: Uint8Array

  private constructor(ctx: Ctx, iterations: number, secret: Uint8Array) {
    this.#ctx = ctx
    this.#iterations = iterations
    this.#secret = secret
  }

  /** Opens the state; the secret behind the made-up salts is created once and kept, so that they are stable. */
  static async open(ctx: Ctx, iterations: number): Promise<Accounts> {
    const c: Call = { signal: ctx.signal }
    const kept = await ctx.state.get(SECRET, c)
    if (kept) return new Accounts(ctx, iterations, kept.value)
    const made = randomBytes(32)
    try {
      await ctx.state.put(SECRET, made, { ifRevision: null }, c)
      return new Accounts(ctx, iterations, made)
    } catch (e) {
      // `fnaad user add` beside a booting agent may have been first.
      if (!isFna(e, 'FNA_ERR_CONFLICT')) throw e
      return Accounts.open(ctx, iterations)
    }
  }

  /**
   * The principal behind a user name as typed: `test` belongs to the first domain, `test@domain` to any of ours.
   * Null for what cannot be an account: another domain, a name outside a-z 0-9 . _ + -, or one in the form of an
   * issued credential.
   */
  principalOf(name: string): string | null {
    const folded = name.toLowerCase()
    const at = folded.indexOf('@')
    const user = at < 0 ? folded : folded.slice(0, at)
    const domain = at < 0 ? this.#ctx.agent.domains[0] : folded.slice(at + 1)
    if (!isUser(user) || isId(user) || domain === undefined || !this.#ctx.agent.domains.includes(domain)) return null
    return `${user}@${domain}`
  }

  async find(principal: string, c: Call): Promise<Account | null> {
    const entry = await this.#ctx.state.get(PREFIX + principal, c)
    return entry && decode(principal, entry)
  }

  /**
   * The record to check a log-in against. For a name without account it is made up, but the same every time, so that
   * nobody learns from salt, rounds or time whether there is one (RFC 5802 §9; security row 10).
   */
  async recordFor(name: string, c: Call): Promise<{ record: ScramRecord; account: Account | null }> {
    const principal = this.principalOf(name)
    const account = await this.find(principal ?? 'nobody', c)
    return account ? { record: account.record, account } : { record: this.madeUp(principal ?? name), account: null }
  }

  /** A record that no password fits. Names in the form of issued credentials get the rounds of those. */
  madeUp(name: string): ScramRecord {
    const hmac = (what: string) => createHmac('sha256', this.#secret).update(`${what}\0${name}`).digest()
    const iterations = isId(name) ? RANDOM_SECRET_ITERATIONS : this.#iterations
    return { iterations, salt: hmac('salt').subarray(0, 16), stored: hmac('stored'), server: hmac('server') }
  }

  /** @throws FNA_ERR_EXISTS */
  async create(principal: string, record: ScramRecord, c: Call): Promise<void> {
    const created = new Date(this.#ctx.clock.now()).toISOString()
    try {
      const value = encode({ record, disabled: false, created })
      await this.#ctx.state.put(PREFIX + principal, value, { ifRevision: null }, c)
    } catch (e) {
      if (isFna(e, 'FNA_ERR_CONFLICT')) throw new FnaError('FNA_ERR_EXISTS', `there is a user ${principal} already`)
      throw e
    }
  }

  /** @throws FNA_ERR_NOTFOUND; FNA_ERR_CONFLICT where another change came between */
  async change(principal: string, change: Partial<Pick<Account, 'record' | 'disabled'>>, c: Call): Promise<void> {
    const entry = await this.#need(principal, c)
    const value = encode({ ...decode(principal, entry), ...change })
    // To disable an account, or to give it another password, must be possible on a full store too.
    await this.#ctx.state.put(PREFIX + principal, value, { ifRevision: entry.revision }, { ...c, reserve: true })
  }

  /** @throws FNA_ERR_NOTFOUND */
  async remove(principal: string, c: Call): Promise<void> {
    const entry = await this.#need(principal, c)
    await this.#ctx.state.delete(PREFIX + principal, { ifRevision: entry.revision }, c)
  }

  /** Sorted by principal. */
  async *all(c: Call): AsyncGenerator<Account> {
    for (let after: string | undefined; ; ) {
      const page = await this.#ctx.state.list(PREFIX, { limit: 500, ...(after === undefined ? {} : { after }) }, c)
      for (const [key, entry] of page) yield decode(key.slice(PREFIX.length), entry)
      after = page.at(-1)?.[0]
      if (page.length < 500) return
    }
  }

  async #need(principal: string, c: Call): Promise<Entry> {
    const entry = await this.#ctx.state.get(PREFIX + principal, c)
    if (!entry) throw new FnaError('FNA_ERR_NOTFOUND', `there is no user ${principal}`)
    return entry
  }
}

function encode(a: Omit<Account, 'principal'>): Uint8Array {
  return Buffer.from(JSON.stringify({ record: formatRecord(a.record), disabled: a.disabled, created: a.created }))
}

function decode(principal: string, entry: Entry): Account {
  const stored = JSON.parse(Buffer.from(entry.value).toString('utf8'))
  const { record, disabled, created } = stored
  return { principal, record: parseRecord(String(record)), disabled: disabled === true, created: String(created) }
}
