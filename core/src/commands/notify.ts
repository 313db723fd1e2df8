import { fnapError } from '@fnaa/protocol'
import type { Handler, Words } from './command.js'

/** A hint: heeded only from the domain that owns the ID's source; answered the same whatever the id (hardening H23). */
export const notify: Handler = {
  id: 'NOTIFY',
  run: (cx, command) => {
    const who = cx.session.identity
    if (who?.type !== 'domain') throw fnapError('DENIED', 'NOTIFY is for agents')
    const id = (command.args as Words)['id'] as string
    const s = cx.kernel.resources.get('Subscription', id)
    if (s?.status.peer === who.principal) cx.kernel.subscriptions.poke(id)
    return '220 OK'
  },
}
