import { fnapError } from '@fnaa/protocol'
import type { Handler } from './command.js'

/** RFC 3207's lesson: what came behind STARTTLS is not run inside TLS, and nothing learnt before it is kept (hardening H27). */
export const starttls: Handler = {
  id: 'STARTTLS',
  run: cx => {
    const { session, kernel } = cx
    if (session.peer.tls !== null) throw fnapError('BADSTATE', 'this connection is under TLS already')
    if (session.state === 'ready' || session.identity) throw fnapError('BADSTATE', 'STARTTLS comes before login')
    if (!kernel.listener.starttls) throw fnapError('NOTSUPPORTED', 'this agent has no certificate')
    return {
      stream: async () => {
        session.socket.pause()
        const early = session.detach()
        if (early.length > 0) {
          session.socket.end('400 BADLINE nothing may stand behind STARTTLS until it is answered\r\n')
          session.socket.destroySoon()
          return
        }
        kernel.listener.upgrade(session.socket, session.slot, '220 OK\r\n')
      },
    }
  },
}
