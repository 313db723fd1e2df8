import { isWithin } from '@fnaa/protocol'
import { isLoopback } from './addresses.js'
import type { AnyRecord, Question, QuestionType, Response, SoaRecord } from './dns-message.js'
import { type DnsServer, exchange } from './dns-transport.js'
import { ClientError } from './errors.js'
import { Networks } from './networks.js'
import { AnswerCache } from './resolver-cache.js'
import type { Answer, Call } from './types.js'

/** What a resolver did, for those who print or log it. */
export type ResolveStep =
  | { readonly step: 'question'; readonly name: string; readonly type: QuestionType; readonly server: DnsServer }
  | {
      readonly step: 'answer'
      readonly name: string
      readonly type: QuestionType
      readonly server: DnsServer
      readonly rcode: number
      readonly records: readonly AnyRecord[]
      readonly status: Answer['status']
      /** All of it. */
      readonly response: Response
    }
  | {
      readonly step: 'failure'
      readonly name: string
      readonly type: QuestionType
      readonly server: DnsServer
      readonly error: Error
    }

export interface ResolverOptions {
  readonly servers: readonly DnsServer[]
  /** Believe the AD bit of servers on loopback, to which nobody can come between, and of those in `trustNetworks`. */
  readonly trustAd?: boolean
  /** CIDR ranges of networks on which the operator trusts every machine (RFC 4035 §4.9.3). */
  readonly trustNetworks?: readonly string[]
  /** Milliseconds for one question to one server; 3,000 if absent. */
  readonly timeoutMs?: number
  /** Rounds over all servers; 2 if absent. */
  readonly tries?: number
  /** Most names remembered; 10,000 if absent, 0 for none. */
  readonly cacheSize?: number
  readonly now?: () => number
  readonly trace?: (step: ResolveStep) => void
}

/** An answer that may hold SOA records too: for who looks for a zone's apex. */
export interface AnyAnswer<R extends AnyRecord = AnyRecord> {
  readonly records: readonly R[]
  readonly status: Answer['status']
  readonly ttl: number
}

/** Asks for SOA as well as for what the contract's `Resolve` asks. */
export type ResolveAny = {
  (name: string, type: 'SOA', c: Call): Promise<AnyAnswer<SoaRecord>>
  (name: string, type: Exclude<QuestionType, 'SOA'>, c: Call): Promise<Answer>
}

const MAX_CHAIN = 8
const MAX_CACHED_SECONDS = 3600
const SERVFAIL = 2
const NXDOMAIN = 3
const RCODES: ReadonlyMap<number, string> = new Map([
  [2, 'the DNS server could not find it out (SERVFAIL)'],
  [5, 'the DNS server refuses to answer for that name (REFUSED)'],
])
/** Extended DNS Errors that say "validation failed" (RFC 8914 §4): DNSSEC bogus, and its particular causes. */
const BOGUS = new Set([6, 7, 8, 9, 10, 11, 12])
/** Those that say that nobody upstream was reached: it was not the validation (RFC 8914 §4.23, §4.24). */
const UNREACHED = new Set([22, 23])

/** What an answer came from, and whether it may be remembered. */
interface Heard {
  readonly response: Response
  readonly status: 'secure' | 'insecure'
  readonly keep: boolean
}

/**
 * A stub resolver that knows what its answers are worth: `secure` only where a validating resolver on loopback, or on a
 * network that the operator trusts, says so (AD); the lowest status of all answers that were used, CNAMEs included; and
 * never `insecure` for what is bogus.
 */
export class Resolver {
  readonly #opt: Required<Omit<ResolverOptions, 'trace'>> & Pick<ResolverOptions, 'trace'>
  readonly #trusted: Networks
  readonly #cache: AnswerCache
  #servers: readonly DnsServer[]
  readonly #pending = new Map<string, Promise<AnyAnswer>>()
  readonly #closing = new AbortController()

  constructor(opt: ResolverOptions) {
    const defaults = { trustAd: false, trustNetworks: [], timeoutMs: 3000, tries: 2, cacheSize: 10_000, now: Date.now }
    this.#opt = { ...defaults, ...opt }
    this.#servers = opt.servers
    this.#trusted = new Networks(this.#opt.trustNetworks, 'a trusted network')
    this.#cache = new AnswerCache(this.#opt.cacheSize, this.#opt.now)
  }

  /**
   * The records of one name and type; CNAMEs are followed, eight at most. NXDOMAIN and NODATA are an answer without
   * records. A function value, so that it can be handed on as the contract's `Resolve`.
   * @throws FNA_ERR_UNAVAILABLE where no server gave an answer, `status: 'bogus'` on the error where validation failed;
   * FNA_ERR_INVALID for a name that is none
   */
  readonly resolve = ((name: string, type: QuestionType, c: Call) => this.#resolve(name, type, c)) as ResolveAny

  /** Forgets what is cached of a name, of all names without one. */
  forget(name?: string): void {
    this.#cache.forget(name === undefined ? undefined : canonical(name))
  }

  /** One more server to ask, from now on. */
  add(server: DnsServer): void {
    this.#servers = [...this.#servers, server]
  }

  /** Ends every question under way. */
  close(): void {
    this.#closing.abort()
  }

  async #resolve(name: string, type: QuestionType, c: Call): Promise<AnyAnswer> {
    if (name === '') throw new ClientError('FNA_ERR_INVALID', 'a name in DNS has a label')
    const key = `${type} ${canonical(name)}`
    if (c.fresh) this.#cache.delete(key)
    const known = this.#cache.get(key)
    if (known) return known
    let pending = this.#pending.get(key)
    if (!pending) {
      // Not bound to the caller's signal: others may wait for the same answer. Its own deadlines end it.
      pending = this.#chain(canonical(name), type, key).finally(() => this.#pending.delete(key))
      pending.catch(() => {})
      this.#pending.set(key, pending)
    }
    return orAbort(pending, c.signal)
  }

  async #chain(name: string, type: QuestionType, key: string): Promise<AnyAnswer> {
    let current = name
    let status: Answer['status'] = 'secure'
    let ttl = MAX_CACHED_SECONDS
    let keep = true
    for (let hops = 0; ; ) {
      const heard = await this.#ask({ name: current, type })
      const { response } = heard
      if (heard.status === 'insecure') status = 'insecure'
      keep &&= heard.keep
      const asked = current
      for (let alias = response.aliases.get(current); alias; alias = response.aliases.get(current)) {
        if (++hops > MAX_CHAIN) throw new ClientError('FNA_ERR_UNAVAILABLE', 'a chain of CNAME records is too long')
        ttl = Math.min(ttl, alias.ttl)
        current = alias.target
      }
      // What says something unreadable does not say nothing: whom to trust would be looked for elsewhere (hardening H14).
      if (type === 'TXT' && response.unreadable.includes(current))
        throw new ClientError(
          'FNA_ERR_UNAVAILABLE',
          `a TXT record of ${name} holds something else than printable ASCII`,
        )
      const records = response.answers.filter(r => r.name === current)
      for (const r of records) ttl = Math.min(ttl, r.ttl)
      // An authoritative server may leave the rest of the chain to us.
      if (records.length === 0 && current !== asked && response.rcode !== NXDOMAIN) continue
      // An absence without SOA is not to be remembered (RFC 2308 §5).
      if (records.length === 0) ttl = Math.min(ttl, response.negativeTtl ?? 0)
      const answer = { records, status, ttl }
      if (keep) this.#cache.put(key, answer)
      return answer
    }
  }

  /** Our own zones at the server that serves them, everything else at the resolvers. */
  async #ask(q: Question): Promise<Heard> {
    const own = await this.#askOwn(q)
    const others = () => this.#askAny(this.#serversFor(q.name, false), q)
    if (!own) return others()
    if (!this.#opt.trustAd) return own
    // What a name is worth is for the validating resolver to say, as far as it knows the same of it.
    const validated = await others().catch(e => {
      if ((e as ClientError).status === 'bogus') throw e
      return null
    })
    return validated && same(own.response, validated.response) ? { ...validated, keep: false } : own
  }

  /** @returns null where none of our servers has authority for the name, or none answers */
  async #askOwn(q: Question): Promise<Heard | null> {
    const servers = this.#serversFor(q.name, true)
    if (servers.length === 0) return null
    const heard = await this.#askAny(servers, q).catch(() => null)
    return heard?.response.authoritative ? { ...heard, keep: false } : null
  }

  async #askAny(servers: readonly DnsServer[], q: Question): Promise<Heard> {
    let failure = new ClientError('FNA_ERR_UNAVAILABLE', 'no DNS server is configured for this name')
    for (let round = 0; round < this.#opt.tries; round++) {
      for (const server of servers) {
        try {
          const response = await this.#askServer(server, q)
          return { response, status: this.#statusOf(response, server), keep: true }
        } catch (e) {
          failure = e as ClientError
          this.#opt.trace?.({ step: 'failure', ...q, server, error: failure })
          // A validator's verdict is not a fault of the server's: asking around would look for a more pleasant one.
          if (failure.status === 'bogus' || failure.code !== 'FNA_ERR_UNAVAILABLE' || this.#closing.signal.aborted)
            throw failure
        }
      }
    }
    throw failure
  }

  async #askServer(server: DnsServer, q: Question): Promise<Response> {
    this.#opt.trace?.({ step: 'question', ...q, server })
    const once = (unchecked?: true) =>
      exchange(server, unchecked ? { ...q, unchecked } : q, this.#opt.timeoutMs, this.#closing.signal)
    let response = await once()
    let bogus = isBogus(response)
    if (!bogus && response.rcode === SERVFAIL && !response.extended.some(code => UNREACHED.has(code))) {
      // A server that does not say why: with checking off it answers what does not validate (RFC 4035 §3.2.2). That answer
      // is never used, and a third question tells a server that has only been slow.
      const unchecked = await once(true).catch(() => null)
      if (unchecked && (unchecked.rcode === 0 || unchecked.rcode === NXDOMAIN)) {
        response = await once()
        bogus = response.rcode === SERVFAIL
      }
    }
    if (response.rcode !== 0 && response.rcode !== NXDOMAIN) throw failed(response, bogus)
    const status = this.#statusOf(response, server)
    const { rcode, answers: records } = response
    this.#opt.trace?.({ step: 'answer', ...q, server, rcode, records, status, response })
    return response
  }

  #statusOf(response: Response, server: DnsServer): 'secure' | 'insecure' {
    return this.#opt.trustAd && response.authentic && this.heeds(server) ? 'secure' : 'insecure'
  }

  /** May the AD bit of this server be believed, where any may? */
  heeds({ host }: DnsServer): boolean {
    return isLoopback(host) || this.#trusted.has(host)
  }

  /** The servers of the longest zone that the name lies in, else those without zones. */
  #serversFor(name: string, authority: boolean): readonly DnsServer[] {
    let longest = -1
    let found: DnsServer[] = []
    for (const server of this.#servers) {
      if ((server.authority ?? false) !== authority) continue
      const zones = server.zones ?? ['']
      const depth = Math.max(...zones.map(zone => (zone === '' || isWithin(name, canonical(zone)) ? zone.length : -1)))
      if (depth < 0 || depth < longest) continue
      if (depth > longest) found = []
      longest = depth
      found.push(server)
    }
    return found
  }
}

const canonical = (name: string): string => name.toLowerCase().replace(/\.$/, '')

const isBogus = (r: Response): boolean => r.rcode === SERVFAIL && r.extended.some(code => BOGUS.has(code))

function failed({ rcode, extended }: Response, bogus: boolean): ClientError {
  const why = RCODES.get(rcode) ?? `a DNS server answered with response code ${rcode}`
  const more = { rcode, extended }
  return bogus
    ? new ClientError('FNA_ERR_UNAVAILABLE', 'DNSSEC validation failed', { ...more, status: 'bogus' })
    : new ClientError('FNA_ERR_UNAVAILABLE', why, more)
}

/** Do two answers say the same, apart from how long it may be remembered? */
function same(a: Response, b: Response): boolean {
  const said = (r: Response) => {
    const records = r.answers.map(({ ttl, ...record }) => JSON.stringify(record))
    const aliases = [...r.aliases].map(([name, { target }]) => [name, target])
    return JSON.stringify([r.rcode, aliases, records.sort(), r.unreadable])
  }
  return said(a) === said(b)
}

function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new ClientError('FNA_ERR_UNAVAILABLE', 'the look-up was called off'))
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
