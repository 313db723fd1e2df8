import { flow, type Handler, item, list, need, type Words } from './command.js'

/** The inbox of an owner: who asks, for what, proved how. */
export const getRequests: Handler = {
  id: 'GET REQUESTS',
  run: (cx, command) => {
    const { authorizer, resources } = cx.kernel
    const name = (command.args as Words)['flow'] as string | undefined
    if (name !== undefined) need(cx, 'manage', flow(cx, name, { alias: false }))
    const open = resources.list('Request').filter(r => {
      if (r.spec.decision !== undefined || (name !== undefined && r.spec.flow !== name)) return false
      const f = resources.get('Flow', r.spec.flow)
      return f !== undefined && authorizer.mayFlow(cx.subject, 'manage', f)
    })
    return list(
      open.map(r =>
        item(
          [
            ['request', r.name],
            ['flow', r.spec.flow],
            ['who', r.spec.for],
            ['level', r.spec.level],
            ['first-contact', r.spec.firstContact],
            ['key', r.spec.key],
            ['reason', r.spec.reason],
            ['since', r.spec.since],
          ],
          { peer: r.spec.peer, direction: r.spec.direction },
        ),
      ),
      command.options,
    )
  },
}
