import type { Delegation } from '../contract/kinds.js'
import { aboutPairs } from './about.js'
import { describe, type Handler, item, namespace, type Words } from './command.js'

/** What the zone above says of it. DS that nothing has proved are for the operator to compare. */
const delegationPairs = (d: Delegation | undefined) =>
  [
    ['nameservers', d?.servers.join(',')],
    ['ds', d && (d.ds.length > 0 ? d.ds.join(',') : 'none')],
    ['ds-unproved', d?.unproved],
  ] as const

export const describeNamespace: Handler = {
  id: 'DESCRIBE NAMESPACE',
  run: (cx, command) => {
    const n = namespace(cx, (command.args as Words)['namespace'], 'describe')
    const flows = cx.kernel.resources.by('Flow', 'namespace', n.name)
    const visible = flows.filter(f => cx.kernel.authorizer.mayFlow(cx.subject, 'describe', f)).length
    const pairs = [
      ['namespace', n.name],
      ['owner', n.spec.owner],
      ['broker', n.spec.agent === undefined ? n.spec.broker : undefined],
      ['zone', n.spec.zone],
      ['agent', n.spec.agent ?? cx.kernel.config.host],
      ['flows', n.spec.agent === undefined ? visible : undefined],
      ...delegationPairs(n.status.delegation),
      ...aboutPairs(n.spec.about),
    ] as const
    return describe(
      item(pairs, { quota: n.spec.quota, about: n.spec.about, delegation: n.status.delegation }),
      command.options,
    )
  },
}
