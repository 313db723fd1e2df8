import { fnapError } from '@fnaa/protocol'
import { describe, type Handler, item, type Words } from './command.js'
import { one } from './mine.js'
import { mineItem, minePairs, theirItem } from './subscription-view.js'

export const describeSubscription: Handler = {
  id: 'DESCRIBE SUBSCRIPTION',
  run: (cx, command) => {
    const id = (command.args as Words)['id'] as string
    const who = cx.session.identity
    if (who?.type === 'domain') {
      const s = cx.kernel.resources.get('Subscriber', id)
      if (s?.spec.peer !== who.principal) throw fnapError('NOTFOUND', 'there is no such subscription of your domain')
      cx.kernel.provider.renew(id)
      return describe(theirItem(s), command.options)
    }
    const s = one(cx, id)
    const base = mineItem(cx.kernel, s)
    return describe(
      item([...base.pairs, ...minePairs(s)], { for: s.spec.for, origins: s.status.origins }),
      command.options,
    )
  },
}
