import { type Command, fnapError } from '@fnaa/protocol'
import { context } from './commands/command.js'
import { HANDLERS } from './commands/index.js'
import { movedAway } from './commands/moved.js'
import type { Kernel } from './kernel.js'
import type { Result, Session } from './server/session.js'

/** What a session by an issued credential may say beside its READ or WRITE (hardening H3). */
const FOR_ISSUED: ReadonlySet<string> = new Set([
  'READ FLOW',
  'WRITE FLOW',
  'DESCRIBE FLOW',
  'CAPABILITIES',
  'HELP',
  'WHOAMI',
  'NOOP',
  'QUIT',
])
/** Verbs that a processor plugin does: without one they are refused in words (thesis §4.1.4). */
const BY_PROCESSOR: ReadonlySet<string> = new Set([
  'REPLICATE',
  'COLLECT',
  'DISTRIBUTE',
  'SIGNAL',
  'SUBSCRIBE',
  'PUBLISH',
])

/** The one way to a command, for sessions and gateways alike. */
export function run(kernel: Kernel, command: Command, session: Session): Result | Promise<Result> {
  if (session.issued && !FOR_ISSUED.has(command.id))
    throw fnapError('DENIED', 'this credential is for one endpoint only')
  const away = movedAway(kernel, command, session)
  if (away instanceof Promise)
    return away.then(e => {
      throw e
    })
  if (away) throw away
  const agent = session.identity?.type === 'domain'
  if (BY_PROCESSOR.has(command.id) && !agent) {
    const verb = command.id === 'PUBLISH' ? 'SUBSCRIBE' : command.id
    if (!kernel.processors.typeFor(verb))
      throw fnapError('NOTSUPPORTED', `no processor type of this agent does ${command.id}`)
  }
  const handler = HANDLERS.get(command.id)
  if (!handler) throw fnapError('NOTSUPPORTED', `this agent does not do ${command.id}`)
  return handler.run(context(kernel, session, command), command)
}
