import { fnapError, type On } from '@fnaa/protocol'
import type { Right } from '../contract/kinds.js'
import { enforceOn } from '../grants/grant-controller.js'
import { ending, type Handler, patience, type Words } from './command.js'
import { grantTo, managed } from './grant.js'

/** Answers when all that stood on it is cut. */
export const revoke: Handler = {
  id: 'REVOKE',
  run: async (cx, command) => {
    const a = command.args as Words
    const on = managed(cx, a['on'] as On)
    const taken = a['rights'] as readonly Right[]
    const g = grantTo(cx, on, a['who'])
    if (!g?.spec.rights.some(r => taken.includes(r) || taken.includes('manage'))) {
      throw fnapError('NOTFOUND', 'nothing of that is granted to exactly this who')
    }
    const left = g.spec.rights.filter(r => !taken.includes(r))
    if (left.length === 0) await cx.kernel.resources.delete('Grant', g.name, ending(cx), g.uid)
    else await cx.kernel.resources.update('Grant', g.name, n => ({ spec: { ...n.spec, rights: left } }), ending(cx))
    const by = cx.subject.principals[0]!
    await cx.kernel.audit.write({
      what: 'revoke',
      who: by,
      on: `${on.kind} ${on.name}`,
      detail: `${taken.join(',')} from ${a['who']}`,
    })
    await enforceOn(cx.kernel, on, 'the grant was revoked', { signal: patience(cx) })
    return `220 OK ${g.name}`
  },
}
