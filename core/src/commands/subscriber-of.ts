import { fnapError, isId, whoMatches } from '@fnaa/protocol'
import { isTombstone, type Known } from '../federation/wish.js'
import type { Kernel } from '../kernel.js'

/** Every live subscriber of a flow that `who` (a principal or pattern) or an id means. @throws FnapError NOTFOUND */
export function subscribersOf(k: Kernel, flow: string, who: string): Known[] {
  const live = k.resources.by('Subscriber', 'flow', flow).filter(s => !isTombstone(s))
  const found = live.filter(s => (isId(who) ? s.spec.id === who : whoMatches(who, s.spec.for) || who === s.spec.peer))
  if (found.length === 0) throw fnapError('NOTFOUND', 'no subscriber of the flow matches')
  return found
}
