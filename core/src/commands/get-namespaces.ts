import { type Handler, item, list, type Words } from './command.js'

export const getNamespaces: Handler = {
  id: 'GET NAMESPACES',
  run: (cx, command) => {
    const { authorizer, resources } = cx.kernel
    const parent = (command.args as Words)['parent'] as string | undefined
    const found = resources
      .list('Namespace')
      .filter(n => authorizer.mayNamespace(cx.subject, 'describe', n.name))
      .filter(n => parent === undefined || n.name.endsWith(`.${parent}`))
    return list(
      found.map(n => item([['namespace', n.name]], { owner: n.spec.owner, broker: n.spec.broker, zone: n.spec.zone })),
      command.options,
    )
  },
}
