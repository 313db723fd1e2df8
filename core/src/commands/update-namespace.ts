import { fnapError } from '@fnaa/protocol'
import { enforceOn } from '../grants/grant-controller.js'
import { about } from './about.js'
import { type Handler, namespace, patience, type Words } from './command.js'
import { mayCreate } from './create-namespace.js'
import { newOwner } from './names.js'
import { namesStand } from './namespace-names.js'

export const updateNamespace: Handler = {
  id: 'UPDATE NAMESPACE',
  run: async (cx, command) => {
    const { kernel } = cx
    const name = (command.args as Words)['namespace'] as string
    const o = command.options as Words
    const before = namespace(cx, name, 'manage')
    // A quota that who it binds could lift would be none.
    if (o['quota'] !== undefined) mayCreate(cx, name)
    // Without options: its keys may be others by now, and are read anew.
    const reads = before.spec.delegated === true && Object.values(o).every(value => value === undefined)
    const owner = newOwner(cx, o['owner'])
    if (o['broker'] !== undefined && !kernel.brokers.operated.has(o['broker'])) {
      throw fnapError('BADVALUE', 'BROKER must name one of GET BROKERS')
    }
    await kernel.resources.update(
      'Namespace',
      name,
      n => ({
        spec: {
          ...n.spec,
          owner: owner ?? n.spec.owner,
          broker: o['broker'] ?? n.spec.broker,
          ...(o['quota'] === undefined ? {} : { quota: { ...n.spec.quota, ...o['quota'] } }),
          about: about(o, n.spec.about),
          ...(reads ? { readings: (n.spec.readings ?? 0) + 1 } : {}),
        },
      }),
      cx.call,
    )
    // Another owner: what stood on the old one's right ends (hardening H7).
    const cause = { by: cx.subject.principals[0]!, reason: 'the owner of the namespace changed' }
    await enforceOn(kernel, { kind: 'Namespace', name }, cause, { signal: patience(cx) })
    if (reads) await namesStand(cx, name)
    return `220 OK ${name}`
  },
}
