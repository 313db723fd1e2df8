import { type From, fnapError } from '@fnaa/protocol'
import type { Mode, SubscriberSpec } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import { same } from '../resources/conditions.js'
import { withReason } from './reason.js'

/** What a subscriber's agent asks for: SUBSCRIBE (in) or PUBLISH (out) between agents. */
export interface Wish {
  readonly flow: string
  readonly direction: 'in' | 'out'
  readonly id: string
  readonly generation: number
  /** The domain that has proved itself, or our own for our own users. */
  readonly peer: string
  /** The user, or the domain itself. */
  readonly for: string
  readonly from: From
  readonly mode: Mode
  readonly accept: readonly string[]
  readonly principal?: string
  readonly filter?: string
  readonly reason?: string
  readonly rotate: boolean
  readonly level?: string
  readonly key?: string
}

export type Known = Resource<'Subscriber'>

export const isTombstone = (s: Known): boolean => s.spec.desired === 'revoked' || s.spec.desired === 'gone'

/** Is it condemned, and something of it still open? */
export const isBeingCut = (s: Known): boolean =>
  isTombstone(s) && s.status.phase !== 'revoked' && s.status.phase !== 'gone'

/** What 410 says of an ended subscription: when, and the reason, which may be the owner's own words. */
export function ended(s: Known): Error {
  const revoked = s.spec.desired === 'revoked'
  const at = s.spec.cause?.at ?? ''
  const sentence = revoked ? `the owner ended it at ${at}` : `it ended at ${at}`
  return fnapError(revoked ? 'REVOKED' : 'GONE', withReason(sentence, s.spec.cause?.reason))
}

/** Older clients take any line with 220 in it for a success: the next number without those digits says the same. */
const numbered = (n: number): string => {
  let next = n
  for (let tries = 0; tries < 1000 && String(next).includes('220'); tries++) next++
  return String(next)
}

/** Rule 2: a lower generation, or another wish under an equal one. The symbol is followed by what we have. */
export const stale = (s: Known): Error => fnapError('STALE', numbered(s.spec.generation))

/**
 * Checks a word about a known ID against what stands (federation rules 1, 2, 5; hardening H1, H6).
 * @throws FnapError CONFLICT, REVOKED, GONE, STALE
 */
export function checkKnown(
  s: Known,
  w: { peer: string; flow?: string; direction?: string; for?: string; generation: number },
): void {
  if (s.spec.peer !== w.peer) throw fnapError('CONFLICT', 'this ID belongs to another domain')
  if (isTombstone(s)) throw ended(s)
  const changed =
    (w.flow !== undefined && w.flow !== s.spec.flow) ||
    (w.direction !== undefined && w.direction !== s.spec.direction) ||
    (w.for !== undefined && w.for !== s.spec.for)
  if (changed) throw fnapError('CONFLICT', 'flow, direction and FOR of an ID never change')
  if (w.generation < s.spec.generation) throw stale(s)
}

const optional = (w: { principal?: string; filter?: string; reason?: string }) => ({
  ...(w.principal === undefined ? {} : { principal: w.principal }),
  ...(w.filter === undefined ? {} : { filter: w.filter }),
})

/** Does an equal generation say the same again? */
export function sameWish(s: Known, w: Wish): boolean {
  return s.spec.desired === 'run' && same([s.spec.from, s.spec.mode, optional(s.spec)], [w.from, w.mode, optional(w)])
}

const rotated = (w: Wish, before?: SubscriberSpec) => {
  const at = w.rotate ? w.generation : before?.rotated
  return at === undefined ? {} : { rotated: at }
}

export function specOf(w: Wish, before?: SubscriberSpec): SubscriberSpec {
  return {
    flow: w.flow,
    direction: w.direction,
    peer: w.peer,
    id: w.id,
    generation: w.generation,
    for: w.for,
    from: w.from,
    mode: w.mode,
    ...optional(w),
    ...(w.reason === undefined ? {} : { reason: w.reason }),
    ...(before?.limits === undefined ? {} : { limits: before.limits }),
    ...rotated(w, before),
    desired: 'run',
  }
}
