import { fnapError, isId } from '@fnaa/protocol'
import type { Context } from './command.js'

export { fnapError }

/** CREATE refuses a first label in the form of an ID: it would read as an endpoint (hardening H15). */
export function isEndpointLike(name: string): void {
  if (isId(name.slice(0, name.indexOf('.')))) {
    throw fnapError('BADNAME', 'the first label may not have the form of a subscription id')
  }
}

/**
 * The user that OWNER names. Only users of our domains can log in here: a thing given to another would have no owner.
 * @throws FnapError BADVALUE
 */
export function newOwner(cx: Context, owner: string | undefined): string | undefined {
  if (owner === undefined) return undefined
  const at = owner.lastIndexOf('@')
  if (at < 1 || owner.startsWith('*')) throw fnapError('BADVALUE', 'OWNER is one user: user@domain')
  const own = cx.kernel.config.domains
  if (own.includes(owner.slice(at + 1))) return owner
  throw fnapError('BADVALUE', `OWNER is a user of this agent: user@${own.join(' or user@')}`)
}
