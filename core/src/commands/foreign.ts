import { fnapError } from '@fnaa/protocol'
import { domainOf } from '../names/names.js'
import type { Context } from './command.js'

const FIRST = {
  read: 'the flow is of another organisation, whose events are not relayed: subscribe first, then read the local flow',
  write: 'the flow is of another organisation, to which nothing is relayed: publish a local flow to it first',
} as const

/**
 * READ and WRITE are for flows of this agent (verbs). Which names lie in its domains is no secret, so that a foreign one may
 * be told from one that is not shown; a user's own aliases go before.
 * @throws FnapError NOTFOUND
 */
export function refuseForeign(cx: Context, name: string, right: 'read' | 'write'): void {
  const { aliases, resources, config } = cx.kernel
  const me = cx.subject.principals[0]
  if (cx.subject.type !== 'user' || cx.session.issued || me === undefined) return
  if (domainOf(config.domains, name) !== undefined) return
  if (aliases.get(me, name) || resources.get('Flow', name)) return
  throw fnapError('NOTFOUND', FIRST[right])
}
