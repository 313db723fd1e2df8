import { fnapError } from '@fnaa/protocol'
import { domainOf, namespaceOf } from '../names/names.js'
import { about } from './about.js'
import { type Handler, patience, timeout, user, type Words } from './command.js'

/** A namespace hosted here. One of its own agent (figure 20) comes with delegation. */
export const createNamespace: Handler = {
  id: 'CREATE NAMESPACE',
  run: async (cx, command) => {
    const { kernel } = cx
    const name = (command.args as Words)['namespace'] as string
    const o = command.options as Words
    const owner = user(cx)
    const above = namespaceOf(kernel.resources, name)
    const manages = above && kernel.authorizer.mayNamespace(cx.subject, 'manage', above.name)
    // One sentence, so that a namespace above that is not shown cannot be told from none.
    if (!manages && !kernel.authorizer.isAdministrator(cx.subject))
      throw fnapError('DENIED', 'this needs manage on the namespace above the name, or an administrator')
    const zone = domainOf(kernel.config.domains, name)
    if (zone === undefined) throw fnapError('BADVALUE', 'the namespace must lie in a domain of this agent')
    if (o['agent'] !== undefined) throw fnapError('NOTSUPPORTED', 'AGENT needs a dns plugin that delegates')
    if (name === kernel.config.host) throw fnapError('CONFLICT', 'that is the name of the agent itself')
    if (kernel.resources.get('Flow', name)) throw fnapError('CONFLICT', 'a flow has that name')
    const broker = (o['broker'] as string | undefined) ?? kernel.brokers.default?.id
    if (broker === undefined) throw fnapError('NOTSUPPORTED', 'this agent operates no broker')
    if (!kernel.brokers.operated.has(broker)) throw fnapError('BADVALUE', 'BROKER must name one of GET BROKERS')
    const existing = kernel.resources.get('Namespace', name)
    if (existing) throw fnapError('EXISTS', 'there is a namespace of that name')
    const quota = o['quota'] === undefined ? {} : { quota: o['quota'] }
    await kernel.resources.create(
      {
        kind: 'Namespace',
        name,
        spec: { owner, broker, zone, ...quota, about: about(o) },
        finalizers: ['fnaad/names'],
        status: { conditions: [] },
      },
      cx.call,
    )
    const done = await kernel.resources.until(
      'Namespace',
      name,
      n => (n?.status.conditions.some(c => c.type === 'Ready' && c.status === 'True') ? true : undefined),
      patience(cx),
    )
    if (!done) throw timeout(name)
    return `220 OK ${name}`
  },
}
