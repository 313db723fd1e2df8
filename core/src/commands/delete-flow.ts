import { fnapError } from '@fnaa/protocol'
import { UNSEEN } from '../names/names.js'
import { step } from '../resources/steps.js'
import { ending, flow, type Handler, need, patience, timeout, type Words } from './command.js'

/** Marks the flow; the controller cuts its subscribers, then takes away names and queue. */
export const deleteFlow: Handler = {
  id: 'DELETE FLOW',
  run: async (cx, command) => {
    const { resources } = cx.kernel
    const name = (command.args as Words)['flow'] as string
    const under = resources.get('Flow', name)
    if (under?.deleting === undefined) {
      const f = need(cx, 'manage', flow(cx, name, { alias: false }))
      if (resources.by('Subscription', 'local', f.name).length > 0) {
        throw fnapError('CONFLICT', 'a subscription feeds the flow: UNSUBSCRIBE first')
      }
      await resources.delete('Flow', f.name, ending(cx), f.uid)
      step('flow.delete.marked')
    } else if (!cx.kernel.authorizer.mayFlow(cx.subject, 'manage', under)) throw fnapError('NOTFOUND', UNSEEN)
    const gone = await resources.until('Flow', name, n => (n?.deleting === undefined ? true : undefined), patience(cx))
    if (!gone) throw timeout(name)
    return `220 OK ${name}`
  },
}
