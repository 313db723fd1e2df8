import { type CommandFrom, fnapError } from '@fnaa/protocol'
import { readBatches } from '../data/read-batches.js'
import { readLines } from '../data/read-lines.js'
import { target } from '../data/target.js'
import type { Handler, Words } from './command.js'
import { refuseForeign } from './foreign.js'

export interface ReadOptions {
  readonly from: CommandFrom | undefined
  readonly max: number | undefined
  readonly follow: boolean
  readonly codecs: readonly string[] | undefined
  readonly epoch: number | undefined
}

/** The outcome is decided before `220 DATA` or `220 STREAM`: no error can come after it. */
export const readFlow: Handler = {
  id: 'READ FLOW',
  run: async (cx, command) => {
    const o = command.options as Words
    const name = (command.args as Words)['flow'] as string
    refuseForeign(cx, name, 'read')
    const t = target(cx, name, 'read')
    if (t.flow.status.queue === undefined) throw fnapError('UNAVAILABLE', 'the queue of the flow is not ready')
    const options: ReadOptions = {
      from: o['from'],
      max: o['max'],
      follow: o['follow'] === true,
      codecs: o['codecs'],
      epoch: o['epoch'],
    }
    const { sessions, clock } = cx.kernel
    const result = await (o['format'] === 'batch' ? readBatches(cx, t, options) : readLines(cx, t, options))
    return sessions.during({ command: 'READ', flow: name, since: clock.now() }, result)
  },
}
