import { fnapError, isId, whoMatches } from '@fnaa/protocol'
import { isBeingCut, isTombstone, type Known } from '../federation/wish.js'
import type { Kernel } from '../kernel.js'

/** Every live subscriber of a flow that `who` (a principal or pattern) or an id means. @throws FnapError NOTFOUND */
export function subscribersOf(k: Kernel, flow: string, who: string): Known[] {
  return matching(k, flow, who, s => !isTombstone(s))
}

/** The same, with those that are being cut off: who asks again joins. @throws FnapError NOTFOUND */
export function removableOf(k: Kernel, flow: string, who: string): Known[] {
  return matching(k, flow, who, s => !isTombstone(s) || isBeingCut(s))
}

function matching(k: Kernel, flow: string, who: string, counts: (s: Known) => boolean): Known[] {
  const found = k.resources
    .by('Subscriber', 'flow', flow)
    .filter(s => counts(s) && (isId(who) ? s.spec.id === who : isOf(who, s)))
  if (found.length === 0) throw fnapError('NOTFOUND', 'no subscriber of the flow matches')
  return found
}

/** Is it one of those whom a principal or a pattern means? */
export const isOf = (who: string, s: Known): boolean => whoMatches(who, s.spec.for) || who === s.spec.peer
