import { type On, whoMatches } from '@fnaa/protocol'
import type { Resource } from '../contract/store.js'
import { type Context, type Handler, item, list, type Words } from './command.js'
import { managed } from './grant.js'

/** On a thing, for who manages it, with who is barred from it; without ON, those that are the caller's own. */
export const getGrants: Handler = {
  id: 'GET GRANTS',
  run: (cx, command) => {
    const on = ((command.options as Words)['on'] ?? (command.args as Words)['on']) as On | undefined
    const found: Resource<'Grant'>[] = on
      ? cx.kernel.authorizer.grantsOn(managed(cx, on).kind, on.name)
      : cx.kernel.resources
          .list('Grant')
          .filter(
            g => !g.spec.deny && cx.subject.principals.some(p => whoMatches(g.spec.to, p)) && holds(cx, g.spec.on),
          )
    return list(
      found.map(g => {
        const l = g.spec.limits
        const limit = [
          l?.bytesPerSecond === undefined ? '' : `bytes=${l.bytesPerSecond}`,
          l?.eventsPerSecond === undefined ? '' : `events=${l.eventsPerSecond}`,
        ]
          .filter(Boolean)
          .join(',')
        return item([
          ['grant', g.name],
          ['on', `${g.spec.on.kind.toLowerCase()}:${g.spec.on.name}`],
          ['to', g.spec.to],
          ['rights', g.spec.deny ? 'none' : g.spec.rights.join(',')],
          ['expires', g.spec.expires],
          ['limit', limit],
        ])
      }),
      command.options,
    )
  },
}

/** A grant to all does not hold for who is barred, and shows it nothing. */
function holds(cx: Context, on: On): boolean {
  const { authorizer, resources } = cx.kernel
  if (on.kind === 'Namespace') return authorizer.mayNamespace(cx.subject, 'describe', on.name)
  const f = resources.get('Flow', on.name)
  return f !== undefined && authorizer.mayFlow(cx.subject, 'describe', f)
}
