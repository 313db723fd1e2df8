import { fnapError } from '@fnaa/protocol'
import { flow, type Handler, item, list, need, type Words } from './command.js'

/** The way in at the broker itself, for a user's own application. A broker that only this agent can open has none. */
export const accessFlow: Handler = {
  id: 'ACCESS FLOW',
  run: (cx, command) => {
    const args = command.args as Words
    const right = args['right'] as 'read' | 'write'
    const f = need(cx, right, flow(cx, args['flow']))
    const broker = cx.kernel.brokers.of(f)
    if (!broker.supports.access.includes('issued')) {
      throw fnapError('NOTSUPPORTED', 'the broker of the flow lets nobody in: use READ and WRITE')
    }
    throw fnapError('NOTSUPPORTED', 'this agent does not issue credentials at that broker yet')
  },
}

export const getAccess: Handler = {
  id: 'GET ACCESS',
  run: (cx, command) => {
    const me = cx.subject.principals[0]!
    const name = (command.args as Words)['flow'] as string | undefined
    const mine = cx.kernel.resources.by('Access', 'who', me).filter(a => name === undefined || a.spec.flow === name)
    return list(
      mine.map(a =>
        item([
          ['access', a.spec.label],
          ['flow', a.spec.flow],
          ['right', a.spec.right],
        ]),
      ),
      command.options,
    )
  },
}

export const removeAccess: Handler = {
  id: 'REMOVE ACCESS',
  run: async (cx, command) => {
    const { flow: name, label } = command.args as Words
    const mine = cx.kernel.resources
      .by('Access', 'who', cx.subject.principals[0]!)
      .find(a => a.spec.flow === name && a.spec.label === label)
    if (!mine) throw fnapError('NOTFOUND', 'you have no access of that label to the flow')
    await cx.kernel.resources.delete('Access', mine.name, cx.call, mine.uid)
    return `220 OK ${label}`
  },
}
