import { fnapError, isId } from '@fnaa/protocol'

export { fnapError }

/** CREATE refuses a first label in the form of an ID: it would read as an endpoint (hardening H15). */
export function isEndpointLike(name: string): void {
  if (isId(name.slice(0, name.indexOf('.')))) {
    throw fnapError('BADNAME', 'the first label may not have the form of a subscription id')
  }
}
