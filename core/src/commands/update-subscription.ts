import { fnapError } from '@fnaa/protocol'
import { type Handler, patience, timeout, type Words } from './command.js'
import { one } from './mine.js'

export const updateSubscription: Handler = {
  id: 'UPDATE SUBSCRIPTION',
  run: async (cx, command) => {
    const o = command.options as Words
    const id = (command.args as Words)['id'] as string
    if (o['filter'] !== undefined) throw fnapError('NOTSUPPORTED', 'FILTER is not supported by this agent')
    const s = one(cx, id)
    const rotate = o['rotate'] === true
    await cx.kernel.resources.update(
      'Subscription',
      s.name,
      n => ({ spec: { ...n.spec, mode: o['mode'] ?? n.spec.mode, rotate, wish: n.spec.wish + 1 } }),
      cx.call,
    )
    if (rotate)
      await cx.kernel.audit.write({ what: 'rotate', who: cx.subject.principals[0]!, on: s.spec.source, detail: s.name })
    const outcome = await cx.kernel.subscriptions.settled(s.name, patience(cx))
    if (!outcome) throw timeout(s.name)
    if (outcome.phase === 'over') throw outcome.error
    return `220 OK ${id}`
  },
}
