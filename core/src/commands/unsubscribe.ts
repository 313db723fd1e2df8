import { fnapError } from '@fnaa/protocol'
import { step } from '../resources/steps.js'
import { type Handler, patience, timeout, type Words } from './command.js'
import { candidates } from './mine.js'

/** Also `220 OK` when it has ended already; the local flow and its events stay. */
export const unsubscribe: Handler = {
  id: 'UNSUBSCRIBE',
  run: async (cx, command) => {
    const o = command.options as Words
    const args = command.args as Words
    if (o['id'] !== undefined) {
      const who = cx.session.identity
      if (who?.type !== 'domain') throw fnapError('DENIED', 'ID is for agents only')
      await cx.kernel.provider.end({ peer: who.principal, flow: args['flow'], id: o['id'] }, patience(cx))
      return `220 OK ${o['id']}`
    }
    const target = args['target'] as string
    const found = candidates(cx, target)
    if (found.length > 1) throw fnapError('AMBIGUOUS', 'several subscriptions fit: give the id')
    const s = found[0]
    // Without a name: nothing of that name was there to end.
    if (!s) return '220 OK'
    await cx.kernel.resources.delete('Subscription', s.name, cx.call, s.uid)
    step('unsubscribe.marked')
    const gone = await cx.kernel.resources.until(
      'Subscription',
      s.name,
      n => (n && n.uid === s.uid ? undefined : true),
      patience(cx),
    )
    if (!gone) throw timeout(s.name)
    return `220 OK ${target}`
  },
}
