import { aboutPairs } from './about.js'
import { describe, type Handler, item, namespace, type Words } from './command.js'

export const describeNamespace: Handler = {
  id: 'DESCRIBE NAMESPACE',
  run: (cx, command) => {
    const n = namespace(cx, (command.args as Words)['namespace'], 'describe')
    const flows = cx.kernel.resources.by('Flow', 'namespace', n.name)
    const visible = flows.filter(f => cx.kernel.authorizer.mayFlow(cx.subject, 'describe', f)).length
    const pairs = [
      ['namespace', n.name],
      ['owner', n.spec.owner],
      ['broker', n.spec.broker],
      ['zone', n.spec.zone],
      ['agent', n.spec.agent ?? cx.kernel.config.host],
      ['flows', visible],
      ...aboutPairs(n.spec.about),
    ] as const
    return describe(item(pairs, { quota: n.spec.quota, about: n.spec.about }), command.options)
  },
}
