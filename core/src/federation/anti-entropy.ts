import { signalAfter } from '@fnaa/client'
import { formatCommand, isId, parseItem } from '@fnaa/protocol'
import type { Kernel } from '../kernel.js'
import type { Place } from './peers.js'

const HOUR_MS = 3_600_000
const ORPHAN_MS = 24 * HOUR_MS
const MOST = 10_000

/**
 * Federation rule 10: on connecting to a provider, at most hourly, what it holds for our domain is compared with what we
 * have. What only it knows is an orphan and is ended after a day; what only we know is subscribed again.
 */
export class AntiEntropy {
  readonly #k: Kernel
  readonly #last = new Map<string, number>()
  /** First sight of an orphan, by id. */
  readonly #orphans = new Map<string, number>()

  constructor(kernel: Kernel) {
    this.#k = kernel
  }

  /** Never throws: it is a comparison, and there is a next time. */
  async run(place: Place): Promise<void> {
    const now = this.#k.clock.now()
    if (now - (this.#last.get(place.domain) ?? Number.NEGATIVE_INFINITY) < HOUR_MS) return
    this.#last.set(place.domain, now)
    try {
      await this.#compare(place, now)
    } catch (e) {
      this.#k.log.debug({ peer: place.domain, err: e }, 'comparison with a provider failed')
    }
  }

  async #compare(place: Place, now: number): Promise<void> {
    const { peers, resources, subscriptions, queue } = this.#k
    const c = { signal: signalAfter(30_000) }
    const reply = await peers.request(place, formatCommand('GET SUBSCRIPTIONS', {}, { max: MOST }), c)
    if (reply.kind !== 'data') return
    const theirs = new Map<string, { source: string; phase: string }>()
    for (const line of reply.lines) {
      const item = parseItem(line)
      const id = item.get('subscription') ?? ''
      if (isId(id)) theirs.set(id, { source: item.get('source') ?? '', phase: item.get('phase') ?? '' })
    }
    for (const s of resources.list('Subscription')) {
      if (s.status.peer !== place.domain || theirs.has(s.name)) continue
      subscriptions.markDue(s.name)
      queue.add(`Subscription/${s.name}`)
    }
    for (const [id, { source, phase }] of theirs) {
      if (phase === 'gone' || phase === 'revoked' || resources.get('Subscription', id)) this.#orphans.delete(id)
      else await this.#orphan(place, id, source, now, c)
    }
  }

  async #orphan(place: Place, id: string, source: string, now: number, c: { signal: AbortSignal }): Promise<void> {
    const seen = this.#orphans.get(id)
    if (seen === undefined) {
      if (this.#orphans.size < MOST) this.#orphans.set(id, now)
      return
    }
    if (now - seen < ORPHAN_MS) return
    await this.#k.peers.request(place, formatCommand('UNSUBSCRIBE', { flow: source }, { id, gen: 1 }), c)
    this.#orphans.delete(id)
    this.#k.log.warn({ peer: place.domain, subscription: id, source }, 'an orphan at a provider was ended')
  }
}
