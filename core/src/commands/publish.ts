import { fnapError } from '@fnaa/protocol'
import { namespaceOf } from '../names/names.js'
import { flow, type Handler, need, user, type Words } from './command.js'
import { byAgent, contractFrom, settled } from './subscribe.js'

/** The mirror of SUBSCRIBE: our processor writes a flow of theirs that grants `write`. */
export const publish: Handler = {
  id: 'PUBLISH',
  run: async (cx, command) => {
    const o = command.options as Words
    const args = command.args as Words
    if (o['id'] !== undefined) return byAgent(cx, args['flow'], 'out', o)
    if (o['filter'] !== undefined) throw fnapError('NOTSUPPORTED', 'FILTER is not supported by this agent')
    const me = user(cx)
    const local = need(cx, 'read', flow(cx, args['local']))
    const own = namespaceOf(cx.kernel.resources, args['flow'])
    const theirs = cx.kernel.resources.get('Flow', args['flow'])
    // What is not shown goes on as what is not here: the provider answers both alike.
    if (theirs && cx.kernel.authorizer.mayFlow(cx.subject, 'describe', theirs))
      need(cx, 'write', flow(cx, args['flow'], { alias: false }))
    const s = await cx.kernel.subscriptions.wish(
      {
        direction: 'out',
        source: args['flow'],
        local: local.name,
        alias: local.name.startsWith('~'),
        from: contractFrom(o['from'], 'latest'),
        mode: o['mode'] ?? 'auto',
        for: me,
        ...(o['reason'] === undefined ? {} : { reason: o['reason'] as string }),
      },
      cx.call,
    )
    return settled(cx, s, own !== undefined)
  },
}
