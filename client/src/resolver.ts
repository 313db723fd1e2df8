import { isWithin } from '@fnaa/protocol'
import type { AnyRecord, Question, QuestionType, Response, SoaRecord } from './dns-message.js'
import { type DnsServer, exchange } from './dns-transport.js'
import { ClientError } from './errors.js'
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
  /** Believe the AD bit; only ever of servers on loopback, to which nobody can come between. */
  readonly trustAd?: boolean
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
const NEGATIVE_SECONDS = 5
const NXDOMAIN = 3
const RCODES: ReadonlyMap<number, string> = new Map([
  [2, 'the DNS server could not find it out (SERVFAIL)'],
  [5, 'the DNS server refuses to answer for that name (REFUSED)'],
])
/** Extended DNS Errors that say "validation failed" (RFC 8914 §4): DNSSEC bogus, and its particular causes. */
const BOGUS = new Set([6, 7, 8, 9, 10, 11, 12])

/**
 * A stub resolver that knows what its answers are worth: `secure` only where a validating resolver on loopback says so
 * (AD), the lowest status of all answers that were used, CNAMEs included, and never `insecure` for what is bogus.
 */
export class Resolver {
  readonly #opt: Required<Omit<ResolverOptions, 'trace'>> & Pick<ResolverOptions, 'trace'>
  readonly #cache: AnswerCache
  readonly #pending = new Map<string, Promise<AnyAnswer>>()
  readonly #closing = new AbortController()

  constructor(opt: ResolverOptions) {
    this.#opt = { trustAd: false, timeoutMs: 3000, tries: 2, cacheSize: 10_000, now: Date.now, ...opt }
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
    this.#cache.forget(name)
  }

  /** Ends every question under way. */
  close(): void {
    this.#closing.abort()
  }

  async #resolve(name: string, type: QuestionType, c: Call): Promise<AnyAnswer> {
    const key = `${type} ${canonical(name)}`
    if (c.fresh) this.#cache.delete(key)
    const known = this.#cache.get(key)
    if (known) return known
    let pending = this.#pending.get(key)
    if (!pending) {
      // Not bound to the caller's signal: others may wait for the same answer. Its own deadlines end it.
      pending = this.#chain(canonical(name), type).finally(() => this.#pending.delete(key))
      pending.catch(() => {})
      this.#pending.set(key, pending)
    }
    const answer = await orAbort(pending, c.signal)
    this.#cache.put(key, answer)
    return answer
  }

  async #chain(name: string, type: QuestionType): Promise<AnyAnswer> {
    let current = name
    let status: Answer['status'] = 'secure'
    let ttl = MAX_CACHED_SECONDS
    for (let hops = 0; ; ) {
      const { response, server } = await this.#ask({ name: current, type })
      if (this.#statusOf(response, server) === 'insecure') status = 'insecure'
      const asked = current
      for (let alias = response.aliases.get(current); alias; alias = response.aliases.get(current)) {
        if (++hops > MAX_CHAIN) throw new ClientError('FNA_ERR_UNAVAILABLE', 'a chain of CNAME records is too long')
        ttl = Math.min(ttl, alias.ttl)
        current = alias.target
      }
      const records = response.answers.filter(r => r.name === current)
      for (const r of records) ttl = Math.min(ttl, r.ttl)
      // An authoritative server may leave the rest of the chain to us.
      if (records.length === 0 && current !== asked && response.rcode !== NXDOMAIN) continue
      if (records.length === 0) ttl = Math.min(ttl, response.negativeTtl ?? NEGATIVE_SECONDS)
      return { records, status, ttl }
    }
  }

  async #ask(q: Question): Promise<{ response: Response; server: DnsServer }> {
    const servers = this.#serversFor(q.name)
    let failure = new ClientError('FNA_ERR_UNAVAILABLE', 'no DNS server is configured for this name')
    for (let round = 0; round < this.#opt.tries; round++) {
      for (const server of servers) {
        try {
          return { response: await this.#askServer(server, q), server }
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
    const response = await exchange(server, q, this.#opt.timeoutMs, this.#closing.signal)
    if (response.rcode !== 0 && response.rcode !== NXDOMAIN) {
      const bogus = response.extended.some(code => BOGUS.has(code))
      throw new ClientError(
        'FNA_ERR_UNAVAILABLE',
        bogus
          ? 'DNSSEC validation failed'
          : (RCODES.get(response.rcode) ?? `a DNS server answered with response code ${response.rcode}`),
        bogus ? { status: 'bogus', rcode: response.rcode } : { rcode: response.rcode },
      )
    }
    const status = this.#statusOf(response, server)
    this.#opt.trace?.({ step: 'answer', ...q, server, rcode: response.rcode, records: response.answers, status })
    return response
  }

  #statusOf(response: Response, server: DnsServer): 'secure' | 'insecure' {
    return this.#opt.trustAd && response.authentic && isLoopback(server.host) ? 'secure' : 'insecure'
  }

  /** The servers of the longest zone that the name lies in, else those without zones. */
  #serversFor(name: string): readonly DnsServer[] {
    let longest = -1
    let found: DnsServer[] = []
    for (const server of this.#opt.servers) {
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

const isLoopback = (host: string): boolean => /^127\.\d+\.\d+\.\d+$/.test(host) || host === '::1'

function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new ClientError('FNA_ERR_UNAVAILABLE', 'the look-up was called off'))
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
