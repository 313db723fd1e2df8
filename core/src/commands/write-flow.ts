import { fnapError } from '@fnaa/protocol'
import { target } from '../data/target.js'
import { writeBatches } from '../data/write-batches.js'
import { writeLines } from '../data/write-lines.js'
import type { Handler, Words } from './command.js'

/** A refused WRITE answers the error and closes: the session sees to that (hardening H26). */
export const writeFlow: Handler = {
  id: 'WRITE FLOW',
  run: (cx, command) => {
    const o = command.options as Words
    if (cx.subject.type === 'anonymous' && !cx.session.issued) throw fnapError('DENIED', 'log in as a user to write')
    const t = target(cx, (command.args as Words)['flow'], 'write')
    if (t.flow.status.queue === undefined) throw fnapError('UNAVAILABLE', 'the queue of the flow is not ready')
    return o['format'] === 'batch' ? writeBatches(cx, t) : writeLines(cx, t, o['key'])
  },
}
