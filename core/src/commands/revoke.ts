import { fnapError, type On } from '@fnaa/protocol'
import type { Right } from '../contract/kinds.js'
import { isBeingCut } from '../federation/wish.js'
import { enforceOn, flowsOf } from '../grants/grant-controller.js'
import { ending, type Handler, patience, type Words } from './command.js'
import { grantTo, managed } from './grant.js'
import { isOf } from './subscriber-of.js'

const WHY = 'the grant was revoked'

/** Answers when all that stood on it is cut. */
export const revoke: Handler = {
  id: 'REVOKE',
  run: async (cx, command) => {
    const a = command.args as Words
    const on = managed(cx, a['on'] as On)
    const taken = a['rights'] as readonly Right[]
    const g = await cx.kernel.authorizer.changing(on, async () => {
      const found = grantTo(cx, on, a['who'])
      if (!found?.spec.rights.some(r => taken.includes(r) || taken.includes('manage'))) return undefined
      const rights = found.spec.rights.filter(r => !taken.includes(r))
      if (rights.length === 0) await cx.kernel.resources.delete('Grant', found.name, ending(cx), found.uid)
      else await cx.kernel.resources.update('Grant', found.name, n => ({ spec: { ...n.spec, rights } }), ending(cx))
      return found
    })
    if (!g) {
      const open = flowsOf(cx.kernel, on)
        .flatMap(f => cx.kernel.resources.by('Subscriber', 'flow', f))
        .filter(s => isBeingCut(s) && isOf(a['who'], s))
      if (open.length === 0) throw fnapError('NOTFOUND', 'nothing of that is granted to exactly this who')
      // Asked once more while the first time is not done yet.
      const cause = { by: cx.subject.principals[0]!, reason: WHY }
      await Promise.all(open.map(s => cx.kernel.provider.revoke(s, cause, patience(cx))))
      return `220 OK ${a['who']}`
    }
    const by = cx.subject.principals[0]!
    await cx.kernel.audit.write({
      what: 'revoke',
      who: by,
      on: `${on.kind} ${on.name}`,
      detail: `${taken.join(',')} from ${a['who']}`,
    })
    await enforceOn(cx.kernel, on, { by, reason: WHY }, { signal: patience(cx) })
    return `220 OK ${g.name}`
  },
}
