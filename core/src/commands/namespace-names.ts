import { fnapError } from '@fnaa/protocol'
import { condition } from '../resources/conditions.js'
import { type Context, patience, timeout } from './command.js'

/** Conditions that end the wait, as the client hears them. */
const REFUSALS: ReadonlyMap<string, readonly [Parameters<typeof fnapError>[0], string]> = new Map([
  [
    'ZoneAbsent',
    [
      'CONFLICT',
      'there is no zone of that name at its name server yet: make it there first, then create the namespace; NAMESERVER says where, if it is not at the host of AGENT',
    ],
  ],
  [
    'ZoneInvalid',
    [
      'CONFLICT',
      "the zone at its name server cannot be delegated as it is: NS without an address, or keys that do not sign it now; this agent's log says which",
    ],
  ],
  [
    'ZoneUnsigned',
    [
      'CONFLICT',
      'its name server says that the zone is no longer signed, and nothing proves that: its DS stay; if it is meant, delete the namespace and create it anew',
    ],
  ],
  [
    'ZoneUnreached',
    [
      'UNAVAILABLE',
      'the name server of the new zone does not answer, or the host of AGENT has no address yet: NAMESERVER says where it is',
    ],
  ],
  ['ZoneAddress', ['DENIED', 'the name server of that zone is at an address that may not be used: see network.allow']],
  ['NameExists', ['EXISTS', 'the zone above has records of that name that were not made here: remove them first']],
  ['CannotDelegate', ['NOTSUPPORTED', 'no dns plugin of this agent may write NS and DS into the zone above that name']],
  ['NameServerRefuses', ['INTERNAL', 'the name server of the zone above refuses the delegation; the log says why']],
  [
    'NameServerUnavailable',
    ['UNAVAILABLE', 'the name server of the zone above does not take the delegation now; the log says why: try again'],
  ],
])

/**
 * Waits until the names of a namespace stand, its delegation included.
 * @throws FnapError CONFLICT, DENIED, EXISTS, NOTSUPPORTED, INTERNAL, UNAVAILABLE, TIMEOUT
 */
export async function namesStand(cx: Context, name: string): Promise<void> {
  const { resources } = cx.kernel
  const outcome = await resources.until(
    'Namespace',
    name,
    n => {
      if (!n) return { failed: 'gone' }
      const c = condition(n.status, 'Ready')
      if (c?.generation !== n.generation) return undefined
      if (c.status === 'True') return { failed: null }
      return REFUSALS.has(c.reason) ? { failed: c.reason } : undefined
    },
    patience(cx),
  )
  if (!outcome) throw timeout(name)
  if (outcome.failed === null) return
  const refusal = REFUSALS.get(outcome.failed)
  throw refusal ? fnapError(...refusal) : fnapError('CONFLICT', 'the namespace was deleted meanwhile')
}
