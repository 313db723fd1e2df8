import { RateLimiter } from './limiter.js'

const MOST_NETWORKS = 10_000
/** Domains that are remembered of one network: whoever has many displaces his own. */
const MOST_DOMAINS = 64
const REMEMBER_MS = 7 * 86_400_000

/**
 * Failed proofs, each of which cost a look-up, by network and by claimed domain (hardening H21). Anybody can claim a domain:
 * a network that has proved it lately is counted by itself, so that nobody can lock the domain's own agents out.
 */
export class Failures {
  readonly #now: () => number
  readonly #buckets: RateLimiter
  /** When a network last proved a domain. */
  readonly #proved = new Map<string, Map<string, number>>()

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now
    this.#buckets = new RateLimiter({ perSecond: 0.1, burst: 20, now })
  }

  tooMany(network: string, domain: string): boolean {
    return !this.#buckets.has(network) || !this.#buckets.has(this.#claim(network, domain))
  }

  failed(network: string, domain: string): void {
    this.#buckets.take(network)
    this.#buckets.take(this.#claim(network, domain))
  }

  proved(network: string, domain: string): void {
    const domains = this.#proved.get(network) ?? new Map<string, number>()
    put(domains, domain, this.#now(), MOST_DOMAINS)
    put(this.#proved, network, domains, MOST_NETWORKS)
  }

  /** The bucket that a claim is counted in. */
  #claim(network: string, domain: string): string {
    const at = this.#proved.get(network)?.get(domain)
    return at !== undefined && this.#now() - at < REMEMBER_MS ? `${domain} ${network}` : domain
  }
}

/** The one that was put last stands last, the first one goes. */
function put<V>(map: Map<string, V>, key: string, value: V, most: number): void {
  map.delete(key)
  map.set(key, value)
  const oldest = map.keys().next()
  if (map.size > most && !oldest.done) map.delete(oldest.value)
}
