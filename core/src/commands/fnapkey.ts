import { fnapError } from '@fnaa/protocol'
import type { AuthService } from '../contract/auth.js'
import type { Handler, Words } from './command.js'

/** The TXT of a key of ours, for who confirms it over a verified channel (hardening H21). */
export const fnapkey: Handler = {
  id: 'FNAPKEY',
  run: async (cx, command) => {
    const { selector, domain } = command.args as Words
    if (cx.session.peer.tls === null) throw fnapError('TLSREQUIRED', 'FNAPKEY is answered inside TLS only')
    const owner = `${selector}._fnapkey.${domain}`
    for (const { plugin, service } of cx.kernel.loaded) {
      if (plugin.manifest.kind !== 'auth') continue
      for (const set of await (service as AuthService).records(cx.call)) {
        const txt = set.records.find(r => r.type === 'TXT')
        if (set.owner === owner && txt?.type === 'TXT') return { lines: [txt.strings.join('')] }
      }
    }
    throw fnapError('NOTFOUND', 'this agent has no such key')
  },
}
