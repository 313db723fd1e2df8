interface Bucket {
  tokens: number
  at: number
}

/** Token buckets by key, in bounded memory: the one unused for longest is forgotten first. */
export class RateLimiter {
  readonly #perSecond: number
  readonly #burst: number
  readonly #now: () => number
  readonly #buckets = new Map<string, Bucket>()
  readonly #most: number

  /** @param now milliseconds */
  constructor(opt: { perSecond: number; burst: number; now: () => number; most?: number }) {
    this.#perSecond = opt.perSecond
    this.#burst = opt.burst
    this.#now = opt.now
    this.#most = opt.most ?? 10_000
  }

  /** Takes one token, if there is one. */
  take(key: string): boolean {
    const bucket = this.#refilled(key)
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }

  /** Is there one, without taking it? */
  has(key: string): boolean {
    return this.#refilled(key).tokens >= 1
  }

  #refilled(key: string): Bucket {
    const now = this.#now()
    const bucket = this.#buckets.get(key) ?? { tokens: this.#burst, at: now }
    bucket.tokens = Math.min(this.#burst, bucket.tokens + ((now - bucket.at) * this.#perSecond) / 1000)
    bucket.at = now
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > this.#most) {
      const oldest = this.#buckets.keys().next()
      if (!oldest.done) this.#buckets.delete(oldest.value)
    }
    return bucket
  }
}

/** The network that an address is counted with: its /24 or /48 (hardening H9, H21). */
export function networkOf(address: string): string {
  const v4 = /^(?:::ffff:)?(\d+\.\d+\.\d+)\.\d+$/i.exec(address)
  if (v4) return v4[1] as string
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  while (tail !== undefined && groups.length < 3) groups.push('0')
  return groups.slice(0, 3).join(':')
}
