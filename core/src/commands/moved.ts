import { findAgent, signalAfter } from '@fnaa/client'
import { type Command, moved } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import type { Resource } from '../contract/store.js'
import type { Kernel } from '../kernel.js'
import { elsewhere } from '../names/names.js'
import type { Session } from '../server/session.js'
import type { Words } from './command.js'

/** What every session may say, wherever the flows are. */
const OF_THE_SESSION: ReadonlySet<string> = new Set([
  'AUTHENTICATE',
  'STARTTLS',
  'CAPABILITIES',
  'HELP',
  'NOOP',
  'QUIT',
  'FNAPKEY',
  'WHOAMI',
])
/** What this agent does for its own users with flows of others: asks for them, subscribes to them. */
const FOR_USERS: ReadonlySet<string> = new Set(['DESCRIBE FLOW', 'GET FLOWS', 'SUBSCRIBE', 'PUBLISH', 'UNSUBSCRIBE'])
/** An end needs no other place: it is final wherever it is heard (federation rule 5). */
const ENDS: ReadonlySet<string> = new Set(['UNSUBSCRIBE'])
const PORT = 61_000
const LOOK_MS = 3000

/**
 * `421 MOVED host:port` where the command is for another agent: all of them once this agent has moved, and what names a flow of a
 * namespace that an agent of its own serves (figure 20). Null: it is for us.
 */
export function movedAway(k: Kernel, command: Command, session: Session): Promise<Error> | Error | null {
  if (k.config.moved !== undefined && !OF_THE_SESSION.has(command.id)) return toPlace(k.config.moved)
  if (ENDS.has(command.id)) return null
  const args = command.args as Words
  const user = session.identity?.type === 'user' && session.issued === null
  const local = localOf(command)
  const ours = user && FOR_USERS.has(command.id)
  if (ours && local === undefined) return null
  const names = ours ? [local] : [...namesOf(command.id, args), local]
  for (const name of names) {
    const ns = name === undefined ? undefined : elsewhere(k.resources, name)
    if (ns) return placeOf(k, ns, session.call).then(p => moved(p.host, p.port))
  }
  return null
}

/** Names of flows in a command, of namespaces where their flows are meant. */
function namesOf(id: string, args: Words): (string | undefined)[] {
  const on = args['on'] as { kind: string; name: string } | undefined
  const below = id === 'CREATE NAMESPACE' ? parentOf(args['namespace']) : undefined
  const listed = id === 'GET FLOWS' ? args['namespace'] : undefined
  const granted = on?.kind.toLowerCase() === 'flow' ? on.name : undefined
  return [args['flow'], ...(args['sources'] ?? []), ...(args['sinks'] ?? []), below, listed, granted]
}

const localOf = (command: Command): string | undefined =>
  ((command.args as Words)['local'] ?? (command.options as Words)['local']) as string | undefined

const parentOf = (name: string | undefined): string | undefined => name?.slice(name.indexOf('.') + 1)

function toPlace(place: string): Error {
  const colon = place.lastIndexOf(':')
  return moved(place.slice(0, colon), Number(place.slice(colon + 1)))
}

/** Where DNS says that the child's agent is; where it does not, the host that was named, at the usual port. */
export async function placeOf(k: Kernel, ns: Resource<'Namespace'>, c: Call): Promise<{ host: string; port: number }> {
  try {
    const { places } = await findAgent(k.resolve, ns.name, { signal: signalAfter(LOOK_MS, c.signal) })
    return places[0]!
  } catch {
    return { host: ns.spec.agent!, port: PORT }
  }
}
