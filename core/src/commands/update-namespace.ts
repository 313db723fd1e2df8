import { fnapError } from '@fnaa/protocol'
import { enforceOn } from '../grants/grant-controller.js'
import { about } from './about.js'
import { type Handler, namespace, type Words } from './command.js'
import { newOwner } from './names.js'

export const updateNamespace: Handler = {
  id: 'UPDATE NAMESPACE',
  run: async (cx, command) => {
    const { kernel } = cx
    const name = (command.args as Words)['namespace'] as string
    const o = command.options as Words
    namespace(cx, name, 'manage')
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
        },
      }),
      cx.call,
    )
    // Another owner: what stood on the old one's right ends (hardening H7).
    await enforceOn(kernel, { kind: 'Namespace', name }, 'the owner of the namespace changed', cx.call)
    return `220 OK ${name}`
  },
}
