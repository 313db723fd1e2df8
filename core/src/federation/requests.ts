import { fnapError, slowDown } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import type { Resource } from '../contract/store.js'
import type { Kernel } from '../kernel.js'
import { iso } from '../resources/clock.js'
import { withReason } from './reason.js'
import { ended, isTombstone, type Known, specOf, type Wish } from './wish.js'

const PER_FLOW = 3
const PER_DOMAIN = 20
const AGAIN_MS = 30 * 86_400_000

/**
 * Stores who asks: a Request for the owner's eyes and a pending Subscriber, so that the ID is taken. Nothing is provisioned
 * for someone who does not come back (federation rule 6). Bounded per domain (hardening H9).
 */
export async function openRequest(k: Kernel, w: Wish, c: Call): Promise<void> {
  const { resources } = k
  const now = k.clock.now()
  const known = resources.get('Request', w.id)
  if (known?.spec.decision?.approved === false && now - Date.parse(known.spec.decision.at) < AGAIN_MS) {
    throw denial(known)
  }
  if (!known) {
    const mine = resources.by('Request', 'peer', w.peer)
    const denied = mine.find(
      r =>
        r.spec.flow === w.flow &&
        r.spec.decision?.approved === false &&
        now - Date.parse(r.spec.decision.at) < AGAIN_MS,
    )
    if (denied) throw denial(denied)
    const open = mine.filter(r => r.spec.decision === undefined)
    if (open.length >= PER_DOMAIN || open.filter(r => r.spec.flow === w.flow).length >= PER_FLOW) {
      throw slowDown('QUOTA', 900, 'too many open requests of your domain')
    }
    await resources
      .create(
        {
          kind: 'Request',
          name: w.id,
          spec: {
            flow: w.flow,
            peer: w.peer,
            for: w.for,
            subscription: w.id,
            direction: w.direction,
            ...(w.reason === undefined ? {} : { reason: w.reason }),
            firstContact: !k.peers.known(w.peer),
            level: w.level ?? 'own',
            ...(w.key === undefined ? {} : { key: w.key }),
            since: iso(now),
          },
          finalizers: [],
          status: { conditions: [] },
        },
        c,
      )
      .catch(ignoreExists)
  }
  const pending = { conditions: [], phase: 'pending' as const, ...(w.level === undefined ? {} : { level: w.level }) }
  if (!resources.get('Subscriber', w.id)) {
    await resources
      .create({ kind: 'Subscriber', name: w.id, spec: specOf(w), finalizers: [], status: pending }, c)
      .catch(ignoreExists)
  } else {
    // What the owner has ended meanwhile stays so, whatever is asked.
    const change = (s: Known) =>
      isTombstone(s) || s.spec.generation > w.generation ? undefined : { spec: specOf(w, s.spec) }
    await resources.update('Subscriber', w.id, change, c)
    const now = resources.get('Subscriber', w.id)
    if (now && isTombstone(now)) throw ended(now)
  }
}

const denial = (r: Resource<'Request'>): Error =>
  fnapError('DENIED', withReason('the owner has denied the request; ask again in 30 days', r.spec.decision?.reason))

function ignoreExists(e: unknown): void {
  if ((e as { code?: string }).code !== 'FNA_ERR_EXISTS') throw e
}
