import { elsewhere, isAlias, shown } from '../names/names.js'
import { type Handler, item, list, type Words } from './command.js'

/** What the caller may see here. A namespace that is foreign, or not shown, is asked for by its name (hardening H10). */
export const getFlows: Handler = {
  id: 'GET FLOWS',
  run: (cx, command) => {
    const { authorizer, resources } = cx.kernel
    const ns = ((command.args as Words)['ns'] ?? (command.args as Words)['namespace']) as string | undefined
    const scope = (command.options as Words)['scope'] as 'mine' | 'shared' | 'subscribed' | undefined
    const hosted = ns !== undefined && elsewhere(resources, ns) === undefined && resources.get('Namespace', ns)
    const away = ns !== undefined && !(hosted && authorizer.knowsNamespace(cx.subject, ns))
    if (away && cx.subject.type === 'user') {
      return cx.kernel.peers.relayList(cx.subject.principals[0]!, ns, command.options as Words, cx.call)
    }
    const me = cx.subject.principals[0]!
    const fed = new Set(resources.by('Subscription', 'for', me).map(s => s.spec.local))
    const found = resources.list('Flow').filter(f => {
      if (f.deleting !== undefined || !authorizer.mayFlow(cx.subject, 'describe', f)) return false
      // A private alias is its user's alone: an administrator could not use the name, nor tell two of them apart.
      if (isAlias(f.name) && f.spec.owner !== me) return false
      if (ns !== undefined && f.spec.namespace !== ns) return false
      if (scope === 'mine') return f.spec.owner === me
      if (scope === 'shared') return authorizer.shared(cx.subject, f)
      return scope !== 'subscribed' || fed.has(f.name)
    })
    return list(
      found.map(f =>
        item([['flow', shown(f.name)]], {
          namespace: f.spec.namespace,
          visibility: f.spec.visibility,
          about: f.spec.about,
        }),
      ),
      command.options,
    )
  },
}
