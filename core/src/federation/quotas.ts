import { fnapError, isWithin, slowDown } from '@fnaa/protocol'
import type { Kernel } from '../kernel.js'
import { isAlias, namespacesAbove } from '../names/names.js'
import { Pace } from '../resources/pace.js'
import { isTombstone, type Known, type Wish } from './wish.js'

/** New subscriptions that one domain, or one user of ours, may make at once, and how many a second after that. */
const BURST = 200
const PER_SECOND = 1
const UNKNOWN = 1000
/** Seconds: quotas are used up for longer, but a 429 asks for 900 at most. */
const LONG = 900

/**
 * How much one domain, or one user of our own, may make this agent keep (hardening H9). What has ended counts as well: its
 * tombstone stays for 60 days (federation rule 5), so making and ending subscriptions in turn is bounded too.
 */
export class Quotas {
  readonly #k: Kernel
  readonly #pace: Pace

  constructor(kernel: Kernel) {
    this.#k = kernel
    this.#pace = new Pace(kernel.clock, { burst: BURST, perSecond: PER_SECOND })
  }

  /** Flows that are being made: counted before they are stored, so that of several at once none gets past. */
  readonly #making = new Map<string, number>()
  /** Namespaces whose deletion is being stored. */
  readonly #ending = new Set<string>()

  /**
   * Makes one more flow in a namespace, where its quota and those of all namespaces above it allow. A flow counts in each of them:
   * else who manages one could go on in a child of it.
   * @throws QUOTA, BUSY
   */
  async flow<T>(name: string, make: () => Promise<T>): Promise<T> {
    const above = this.roomFor(name)
    if (above[0] && this.#ending.has(above[0].name)) throw fnapError('BUSY', 'the namespace is being deleted')
    for (const ns of above) this.#making.set(ns.name, (this.#making.get(ns.name) ?? 0) + 1)
    try {
      return await make()
    } finally {
      for (const ns of above) {
        const left = this.#making.get(ns.name)! - 1
        if (left > 0) this.#making.set(ns.name, left)
        else this.#making.delete(ns.name)
      }
    }
  }

  /** Ends a namespace that holds no flow, nor one that is just being made: of the two at once, one is refused. @throws NOTEMPTY */
  async endNamespace(name: string, end: () => Promise<unknown>): Promise<void> {
    if (this.#k.resources.by('Flow', 'namespace', name).length > 0 || this.#making.has(name))
      throw fnapError('NOTEMPTY', 'the namespace holds flows')
    this.#ending.add(name)
    try {
      await end()
    } finally {
      this.#ending.delete(name)
    }
  }

  /** May there be a flow of that name, as far as quotas go? @returns the namespaces that it counts in @throws QUOTA */
  roomFor(name: string): readonly { readonly name: string }[] {
    const above = isAlias(name) ? [] : namespacesAbove(this.#k.resources, name)
    for (const ns of above) {
      const most = ns.spec.quota?.flows
      if (most !== undefined && this.#flowsWithin(ns.name) + (this.#making.get(ns.name) ?? 0) >= most)
        throw slowDown('QUOTA', LONG, 'the namespace, or one above it, holds as many flows as its quota allows')
    }
    return above
  }

  #flowsWithin(name: string): number {
    const { resources } = this.#k
    const spaces = resources.list('Namespace').filter(n => isWithin(n.name, name))
    return spaces.reduce((sum, n) => sum + resources.by('Flow', 'namespace', n.name).length, 0)
  }

  /** May the domain have one more subscriber here, or one more request for one? @throws QUOTA, RATE */
  async subscriber(w: Pick<Wish, 'peer' | 'flow' | 'for'>): Promise<void> {
    const { resources, room } = this.#k
    if (this.#isOwn(w.peer)) return this.#ended(this.#ofUser(w.for), this.#k.limits.userSubscriptions)
    await room.need('strangers', 'new subscribers')
    const most = resources.get('Peer', w.peer)?.spec.quota?.subscriptions ?? this.#k.limits.domainSubscriptions
    const all = resources.by('Subscriber', 'peer', w.peer)
    if (living(all) >= most) throw slowDown('QUOTA', LONG, 'the quota of your domain is used up')
    this.#ended(all, most)
    const ns = resources.get('Flow', w.flow)?.spec.namespace ?? ''
    const ofFlow = resources.get('Namespace', ns)?.spec.quota?.subscribers
    if (ofFlow !== undefined && living(resources.by('Subscriber', 'flow', w.flow)) >= ofFlow)
      throw slowDown('QUOTA', LONG, 'the quota of the namespace is used up')
    this.#paced(w.peer, 'too many new subscriptions of your domain')
  }

  /** May the domain end one more ID that was never known? @throws QUOTA */
  async unknown(peer: string): Promise<void> {
    if (!this.#isOwn(peer)) await this.#k.room.need('strangers', 'new subscribers')
    const held = this.#k.resources.by('Subscriber', 'peer', peer).filter(s => s.spec.generation === 0)
    if (held.length >= UNKNOWN) throw slowDown('QUOTA', LONG, 'too many unknown IDs of your domain')
  }

  /** May a user of ours have one more subscription, and with it an alias? @throws QUOTA, RATE */
  subscription(user: string): void {
    const most = this.#k.limits.userSubscriptions
    if (this.#k.resources.by('Subscription', 'for', user).length >= most)
      throw slowDown('QUOTA', LONG, `you have ${most} subscriptions, which is the most: UNSUBSCRIBE from one`)
    this.#ended(this.#ofUser(user), most)
    this.#paced(user, 'too many new subscriptions')
  }

  /** May a user of ours have one more processor of their own? @throws QUOTA */
  processor(user: string): void {
    const most = this.#k.limits.userProcessors
    const own = this.#k.resources.list('Processor').filter(p => p.owner === undefined && p.spec.owner === user)
    if (own.length >= most)
      throw slowDown('QUOTA', LONG, `you have ${most} processors, which is the most: DELETE PROCESSOR one`)
  }

  /** May a user of ours have one more way in at a broker? @throws QUOTA */
  access(user: string): void {
    const most = this.#k.limits.userProcessors
    if (this.#k.resources.by('Access', 'who', user).length >= most)
      throw slowDown('QUOTA', LONG, `you have ${most} accesses, which is the most: REMOVE ACCESS one`)
  }

  #ended(all: readonly Known[], most: number): void {
    const ended = all.filter(s => isTombstone(s) && s.spec.generation > 0).length
    if (ended >= most)
      throw slowDown('QUOTA', LONG, `${most} subscriptions have ended within 60 days, which is the most`)
  }

  #ofUser(user: string): Known[] {
    return this.#k.resources.by('Subscriber', 'for', user).filter(s => this.#isOwn(s.spec.peer))
  }

  #paced(key: string, why: string): void {
    const wait = this.#pace.wait(key)
    if (wait > 0) throw slowDown('RATE', wait / 1000, why)
    this.#pace.spend(key)
  }

  #isOwn(domain: string): boolean {
    return this.#k.config.domains.includes(domain)
  }
}

const living = (all: readonly Known[]): number => all.filter(s => !isTombstone(s)).length
