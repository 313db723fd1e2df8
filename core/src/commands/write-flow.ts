import { fnapError } from '@fnaa/protocol'
import { target } from '../data/target.js'
import { writeBatches } from '../data/write-batches.js'
import { writeLines } from '../data/write-lines.js'
import type { Handler, Words } from './command.js'
import { refuseForeign } from './foreign.js'

/** A refused WRITE answers the error and closes: the session sees to that (hardening H26). */
export const writeFlow: Handler = {
  id: 'WRITE FLOW',
  run: async (cx, command) => {
    const o = command.options as Words
    if (cx.subject.type === 'anonymous' && !cx.session.issued) throw fnapError('DENIED', 'log in as a user to write')
    const name = (command.args as Words)['flow'] as string
    refuseForeign(cx, name, 'write')
    const t = target(cx, name, 'write')
    if (t.flow.status.queue === undefined) throw fnapError('UNAVAILABLE', 'the queue of the flow is not ready')
    const { sessions, clock } = cx.kernel
    const result = await (o['format'] === 'batch' ? writeBatches(cx, t) : writeLines(cx, t, o['key']))
    return sessions.during({ command: 'WRITE', flow: name, since: clock.now() }, result)
  },
}
