import { randomBytes } from 'node:crypto'
import { type From, fnapError, mintId } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import type { Mode, SubscriptionSpec } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import type { Kernel } from '../kernel.js'
import { same } from '../resources/conditions.js'
import { step } from '../resources/steps.js'

export type Mine = Resource<'Subscription'>

/** Its key in the work queue. */
export const keyOf = (s: Mine): string => `Subscription/${s.name}`

export interface NewSubscription {
  readonly direction: 'in' | 'out'
  readonly source: string
  readonly local: string
  readonly alias: boolean
  readonly from: From
  readonly mode: Mode
  readonly filter?: string
  readonly reason?: string
  readonly for: string
}
/** How a wish ended, for the command that waits. */
export type Outcome =
  | { readonly phase: 'active' | 'pending' | 'paused' | 'stopped'; readonly s: Mine }
  | { readonly phase: 'over'; readonly error: Error }

const OVER: ReadonlySet<string> = new Set(['failed', 'revoked'])
const HINT_MS = 10_000

/** S of federation.md: what we subscribed to. The controller in subscription-controller.ts does the work. */
export class Subscriptions {
  readonly #k: Kernel
  readonly #hinted = new Map<string, number>()
  readonly #making = new Map<string, Promise<Mine>>()

  constructor(kernel: Kernel) {
    this.#k = kernel
  }

  /** The one of (source, local, direction), which is unique here (federation rule 1). */
  find(n: { source: string; local: string; direction: 'in' | 'out' }): Mine | undefined {
    return this.#k.resources
      .by('Subscription', 'local', n.local)
      .find(s => s.spec.source === n.source && s.spec.direction === n.direction)
  }

  /**
   * Stores the wish before the first packet, under an ID of 128 random bits; the same wish again is the same subscription.
   * @throws FnapError CONFLICT where the options differ
   */
  async wish(n: NewSubscription, c: Call): Promise<Mine> {
    const key = `${n.direction} ${n.source} ${n.local}`
    // Two tries at once (F3) are one after the other here: the second finds what the first stored.
    const before = this.#making.get(key)
    const mine = (async () => {
      await before?.catch(() => undefined)
      return this.#wish(n, c)
    })()
    this.#making.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#making.get(key) === mine) this.#making.delete(key)
    }
  }

  async #wish(n: NewSubscription, c: Call): Promise<Mine> {
    const known = this.find(n)
    if (known) {
      if (known.deleting !== undefined) throw fnapError('BUSY', 'the subscription is being ended')
      if (known.spec.for !== n.for) throw fnapError('CONFLICT', 'another user has this subscription')
      const over = known.status.phase === 'revoked' || known.status.phase === 'failed'
      if (over) {
        await this.#k.resources.delete('Subscription', known.name, c, known.uid)
        await this.#k.resources.until('Subscription', known.name, s => (s ? undefined : true), c.signal)
      } else if (!sameWish(known.spec, n)) throw fnapError('CONFLICT', 'it is there already with other options')
      else return known
    }
    this.#k.quotas.subscription(n.for)
    const id = mintId(randomBytes(16))
    const spec: SubscriptionSpec = { ...n, desired: 'run', wish: 1 }
    const made = await this.#k.resources.create(
      {
        kind: 'Subscription',
        name: id,
        spec,
        finalizers: ['fnaad/agreement'],
        status: { conditions: [], phase: 'resolving' },
      },
      c,
    )
    step('subscribe.stored')
    return made
  }

  /** Waits until the subscription runs, waits for the owner, or cannot be. @returns undefined when the signal aborts */
  settled(id: string, signal: AbortSignal): Promise<Outcome | undefined> {
    return this.#k.resources.until<'Subscription', Outcome>('Subscription', id, s => outcome(s), signal)
  }

  /** PAUSE, RESUME, STOP. A stopped one needs a word to the provider, a paused one does not. */
  async desire(s: Mine, desired: 'run' | 'pause' | 'stop', c: Call): Promise<void> {
    await this.#k.resources.update(
      'Subscription',
      s.name,
      now => {
        if (now.spec.desired === desired || now.deleting !== undefined) return undefined
        const told = desired === 'stop' || now.spec.desired === 'stop'
        return { spec: { ...now.spec, desired, wish: now.spec.wish + (told ? 1 : 0) } }
      },
      c,
      s.uid,
    )
  }

  /** A hint that P has news: one poll an ID in ten seconds (hardening H23); a second hint is heeded when they are over. */
  poke(id: string): void {
    const s = this.#k.resources.get('Subscription', id)
    if (!s) return
    const now = this.#k.clock.now()
    if (now - (this.#hinted.get(id) ?? 0) < HINT_MS) {
      this.#late.add(id)
      this.#k.queue.add(`Subscription/${id}`)
      return
    }
    if (this.#hinted.size > 10_000) this.#hinted.clear()
    this.#hinted.set(id, now)
    this.#due.add(id)
    this.#k.queue.add(`Subscription/${id}`)
  }

  /** Asks the provider at the next look, whenever the last time was: after a boot, after a failed run. */
  markDue(id: string): void {
    this.#due.add(id)
  }

  /** A domain was blocked or is so no longer: what we subscribed to there ends moving, or is taken up again. */
  async reconsider(domain: string, signal: AbortSignal): Promise<void> {
    const theirs = this.#k.resources.list('Subscription').filter(s => s.status.peer === domain)
    for (const s of theirs) {
      this.markDue(s.name)
      this.#k.queue.add(keyOf(s), { urgent: true })
    }
    if (!this.#k.peers.blocked(domain)) return
    const over = (s: Mine | undefined) => (!s || OVER.has(s.status.phase) ? true : undefined)
    await Promise.all(theirs.map(s => this.#k.resources.until('Subscription', s.name, over, signal)))
  }

  /**
   * May the wish be raised above what the provider knows? At once the first time, then after pauses that double (1 s to
   * 512 s of the clock), until the provider answers something else.
   */
  mayRaise(id: string): boolean {
    const now = this.#k.clock.now()
    const before = this.#raised.get(id)
    if (before && now - before.at < 1000 * 2 ** Math.min(before.times - 1, 9)) return false
    this.#raised.set(id, { at: now, times: (before?.times ?? 0) + 1 })
    return true
  }
  /** The provider answered otherwise than STALE. */
  answered(id: string): void {
    this.#raised.delete(id)
  }

  readonly #raised = new Map<string, { at: number; times: number }>()
  readonly #due = new Set<string>()
  /** Hints that came too soon after another. */
  readonly #late = new Set<string>()
  /** Has a hint asked for a poll? Answers once. */
  takeDue(id: string): boolean {
    if (this.lateIn(id) === 0) {
      this.#late.delete(id)
      this.#hinted.set(id, this.#k.clock.now())
      this.#due.add(id)
    }
    return this.#due.delete(id)
  }
  /** Milliseconds until a hint that came too soon is heeded; undefined where there is none. */
  lateIn(id: string): number | undefined {
    if (!this.#late.has(id)) return undefined
    return Math.max(0, (this.#hinted.get(id) ?? 0) + HINT_MS - this.#k.clock.now())
  }
}

const sameWish = (spec: SubscriptionSpec, n: NewSubscription): boolean =>
  same([spec.from, spec.mode, spec.filter ?? null], [n.from, n.mode, n.filter ?? null])

function outcome(s: Mine | undefined): Outcome | undefined {
  if (!s || s.deleting !== undefined)
    return { phase: 'over', error: fnapError('GONE', 'the subscription was ended meanwhile') }
  const { phase } = s.status
  if (phase === 'failed' || phase === 'revoked') return { phase: 'over', error: errorOf(s) }
  if (phase === 'pending') return { phase, s }
  const want = s.spec.desired === 'run' ? 'active' : s.spec.desired === 'pause' ? 'paused' : 'stopped'
  return phase === want && (phase === 'paused' || s.status.agreed === s.spec.wish) ? { phase: want, s } : undefined
}

type Symbol = Parameters<typeof fnapError>[0]

/** The status keeps `SYMBOL sentence`. */
function errorOf(s: Mine): Error {
  const [symbol = 'REMOTE', ...sentence] = (s.status.error ?? 'REMOTE the provider refused').split(' ')
  return fnapError(symbol as Symbol, sentence.join(' '))
}
