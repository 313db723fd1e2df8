import { fnapError } from '@fnaa/protocol'
import { namespaceOf } from '../names/names.js'
import { administrator, type Handler, namespace, patience, timeout, type Words } from './command.js'

export const deleteNamespace: Handler = {
  id: 'DELETE NAMESPACE',
  run: async (cx, command) => {
    const { resources } = cx.kernel
    const name = (command.args as Words)['namespace'] as string
    namespace(cx, name, 'describe')
    const parent = namespaceOf(resources, name)
    if (parent) namespace(cx, parent.name, 'manage')
    else administrator(cx)
    if (resources.by('Flow', 'namespace', name).length > 0) throw fnapError('NOTEMPTY', 'the namespace holds flows')
    await resources.delete('Namespace', name, cx.call)
    const gone = await resources.until('Namespace', name, n => (n ? undefined : true), patience(cx))
    if (!gone) throw timeout(name)
    return `220 OK ${name}`
  },
}
