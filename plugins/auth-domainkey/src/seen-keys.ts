const MOST = 10_000
const MOST_OF_ONE = 10
/** Of those, so many that were there first: later ones, of whoever writes the domain's records now, do not hide them. */
const FIRST = 5

/** A key that has proved a domain. */
export interface Seen {
  readonly domain: string
  readonly selector: string
  readonly fingerprint: string
  /** The answer that proved it was: one that is not any more is another domain's, for all we know. */
  readonly secure: boolean
  readonly since: number
  /** When DNS last said that the key stands. */
  good: number
  /** When it was last asked for. */
  looked: number
}

/**
 * Keys to be looked at again, by domain, in bounded memory: ten of one domain. Whoever was looked at longest ago stands
 * first; where there is no room, a stranger goes before one on whom something hangs.
 */
export class SeenKeys {
  readonly #relied: () => ReadonlySet<string>
  readonly #domains = new Map<string, Map<string, Seen>>()
  #size = 0

  constructor(relied: () => ReadonlySet<string>) {
    this.#relied = relied
  }

  add(seen: Seen): void {
    const { domain, selector } = seen
    const keys = this.#domains.get(domain) ?? new Map<string, Seen>()
    this.#size -= keys.size
    keys.set(selector, seen)
    if (keys.size > MOST_OF_ONE) keys.delete([...keys.keys()][FIRST] as string)
    this.#size += keys.size
    this.#domains.set(domain, keys)
    if (this.#size > MOST) this.#forgetOne(domain)
  }

  /** Forgets it, unless a later proof took its place. */
  delete(seen: Seen): boolean {
    const keys = this.#domains.get(seen.domain)
    if (keys?.get(seen.selector) !== seen) return false
    keys.delete(seen.selector)
    this.#size -= 1
    if (keys.size === 0) this.#domains.delete(seen.domain)
    return true
  }

  /** Others come first now. */
  looked(seen: Seen, now: number): void {
    seen.looked = now
    const keys = this.#domains.get(seen.domain)
    if (!keys) return
    this.#domains.delete(seen.domain)
    this.#domains.set(seen.domain, keys)
  }

  *domains(): Iterable<readonly [string, readonly Seen[]]> {
    for (const [domain, keys] of this.#domains) yield [domain, [...keys.values()].sort((a, b) => a.looked - b.looked)]
  }

  #forgetOne(latest: string): void {
    const [oldest] = this.#domains.get(this.#least(latest))?.values() ?? []
    if (oldest) this.delete(oldest)
  }

  #least(latest: string): string {
    const relied = this.#relied()
    for (const domain of this.#domains.keys()) if (domain !== latest && !relied.has(domain)) return domain
    return latest
  }
}

/** One of each, then another of each. */
export function inTurns<T>(groups: readonly (readonly T[])[]): readonly T[] {
  const turns: T[] = []
  const most = groups.reduce((n, g) => Math.max(n, g.length), 0)
  for (let i = 0; i < most; i++) turns.push(...groups.flatMap(g => g.slice(i, i + 1)))
  return turns
}
