import { fnapError } from '@fnaa/protocol'
import { namespaceOf } from '../names/names.js'
import { condition } from '../resources/conditions.js'
import { administrator, ending, type Handler, namespace, patience, timeout, type Words } from './command.js'

/** Takes back all that CREATE NAMESPACE made, the delegation included. */
export const deleteNamespace: Handler = {
  id: 'DELETE NAMESPACE',
  run: async (cx, command) => {
    const { resources, quotas } = cx.kernel
    const name = (command.args as Words)['namespace'] as string
    const n = namespace(cx, name, 'describe')
    const parent = namespaceOf(resources, name)
    if (parent) namespace(cx, parent.name, 'manage')
    else administrator(cx)
    const before = condition(n.status, 'Ready')?.since
    await quotas.endNamespace(name, () => resources.delete('Namespace', name, ending(cx)))
    const outcome = await resources.until(
      'Namespace',
      name,
      now => {
        if (!now) return { gone: true }
        const c = condition(now.status, 'Ready')
        return c?.status === 'False' && c.since !== before ? { gone: false, reason: c.reason } : undefined
      },
      patience(cx),
    )
    if (!outcome) throw timeout(name)
    if (!outcome.gone) throw fnapError(...refusal(outcome.reason))
    return `220 OK ${name}`
  },
}

function refusal(reason: string | undefined): [Parameters<typeof fnapError>[0], string] {
  if (reason === 'NameExists')
    return [
      'CONFLICT',
      'its delegation was changed by other hands: remove NS, DS and glue there; the rest is done then',
    ]
  return ['UNAVAILABLE', 'the name server does not take the delegation back now; it is tried again until it does']
}
