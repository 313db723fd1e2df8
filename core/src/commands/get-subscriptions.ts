import { administrator, type Handler, list, type Words } from './command.js'
import { mineItem, theirItem } from './subscription-view.js'

/** What the caller subscribed to: a user its own, an agent its domain's subscribers here. */
export const getSubscriptions: Handler = {
  id: 'GET SUBSCRIPTIONS',
  run: (cx, command) => {
    const { kernel } = cx
    const who = cx.session.identity
    if (who?.type === 'domain')
      return list(kernel.resources.by('Subscriber', 'peer', who.principal).map(theirItem), command.options)
    const all = (command.options as Words)['all'] === true
    if (all) administrator(cx)
    const found = all
      ? kernel.resources.list('Subscription')
      : kernel.resources.by('Subscription', 'for', cx.subject.principals[0]!)
    return list(
      found.map(s => mineItem(kernel, s)),
      command.options,
    )
  },
}
