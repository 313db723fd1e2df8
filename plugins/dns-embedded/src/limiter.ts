/** Networks remembered at most; the one silent for longest is forgotten first. */
const MOST_NETWORKS = 10_000

interface Bucket {
  tokens: number
  at: number
  dropped: number
}

/**
 * Bounds the responses to one network, so that forged questions cannot turn this server on a victim (hardening H15).
 * Every second response over the limit is sent cut: it is no larger than the question, and a true client comes back by TCP.
 */
export class ResponseLimiter {
  readonly #perSecond: number
  readonly #now: () => number
  readonly #buckets = new Map<string, Bucket>()

  /** @param now milliseconds */
  constructor(perSecond: number, now: () => number) {
    this.#perSecond = perSecond
    this.#now = now
  }

  /** What to do with a response to `address`. */
  decide(address: string): 'send' | 'truncate' | 'drop' {
    const network = networkOf(address)
    const now = this.#now()
    const bucket = this.#buckets.get(network) ?? { tokens: this.#perSecond * 2, at: now, dropped: 0 }
    // Put last again: a Map keeps the order of insertion.
    this.#buckets.delete(network)
    this.#buckets.set(network, bucket)
    bucket.tokens = Math.min(this.#perSecond * 2, bucket.tokens + ((now - bucket.at) * this.#perSecond) / 1000)
    bucket.at = now
    if (this.#buckets.size > MOST_NETWORKS) this.#forgetOldest()
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1
      return 'send'
    }
    bucket.dropped += 1
    return bucket.dropped % 2 === 0 ? 'truncate' : 'drop'
  }

  #forgetOldest(): void {
    const oldest = this.#buckets.keys().next()
    if (!oldest.done) this.#buckets.delete(oldest.value)
  }
}

/** The /24 of an IPv4 address, the /48 of an IPv6 one. */
function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+)\.\d+$/i.exec(address)
  if (mapped) return mapped[1] as string
  if (!address.includes(':')) return address.slice(0, address.lastIndexOf('.'))
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  // A `::` among the first three groups stands for zeros.
  while (tail !== undefined && groups.length < 3) groups.push('0')
  return groups.slice(0, 3).join(':')
}
