import { fnapError } from '@fnaa/protocol'
import { keeps } from '../federation/serving.js'
import { flow, type Handler, need, type Words } from './command.js'
import { subscribersOf } from './subscriber-of.js'

export const updateSubscriber: Handler = {
  id: 'UPDATE SUBSCRIBER',
  run: async (cx, command) => {
    const { flow: name, who } = command.args as Words
    const limit = (command.options as Words)['limit']
    const f = need(cx, 'manage', flow(cx, name, { alias: false }))
    const found = subscribersOf(cx.kernel, f.name, who)
    const broker = cx.kernel.brokers.of(f)
    if (limit !== 'none' && !keeps(broker, limit) && found.some(s => (s.status.mode ?? 'fnap') !== 'fnap'))
      throw fnapError(
        'NOTSUPPORTED',
        'a LIMIT of that kind is kept by the agent, and one of them reads at the broker itself: it needs MODE fnap',
      )
    for (const s of found) {
      await cx.kernel.resources.update(
        'Subscriber',
        s.name,
        n => {
          const { limits: _old, ...spec } = n.spec
          return { spec: limit === 'none' ? spec : { ...spec, limits: limit } }
        },
        cx.call,
      )
    }
    return `220 OK ${who}`
  },
}
