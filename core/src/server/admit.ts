import { fnapError } from '@fnaa/protocol'
import type { Identity } from '../contract/auth.js'
import type { IssuedAccount } from '../federation/issued.js'
import type { Kernel } from '../kernel.js'
import type { Session } from './session.js'
import { CROWDED } from './slots.js'

/**
 * The kernel's word on an identity that a mechanism has proved: a user must be of one of our domains, a domain must not be
 * (hardening H4), a stranger's level must suffice, a blocked peer stays out.
 * @returns null, or why not (for the log)
 * @throws FnapError CLOSING beyond the limits on connections
 */
export async function admit(session: Session, proved: Identity): Promise<string | null> {
  const { kernel } = session
  const { who, refused } = await judged(kernel, session, proved)
  if (refused !== null) return refused
  const processor = session.issued !== null && isOurs(kernel, session.issued)
  // The reserve beyond the limits is for processors of our own: everybody else learns here what the greeting did not say.
  if (session.slot.reserved && !processor) throw fnapError('CLOSING', CROWDED)
  session.slot.loggedIn(processor)
  session.identity = who
  if (who.expiresIn !== undefined) expire(kernel, session, who.expiresIn)
  // Strangers can log in as often as they like: where room gets scarce, their logins stand in the log only (hardening H9).
  if (who.type !== 'user' && !(await kernel.room.for('strangers'))) return null
  void kernel.audit.write({
    what: 'login',
    who: who.principal,
    ...(who.level ? { level: who.level } : {}),
    ...(who.key ? { key: `${who.key.selector}:${who.key.fingerprint}` } : {}),
  })
  return null
}

/** Of a domain the pins have the last word, when everything else speaks for it. */
async function judged(kernel: Kernel, session: Session, proved: Identity) {
  const refused = refusal(kernel, session, proved)
  if (refused !== null || proved.type !== 'domain') return { who: proved, refused }
  const who = await kernel.pins.raised(proved, session.peer.address)
  return { who, refused: await kernel.pins.admit(who, session.peer.address) }
}

function refusal(kernel: Kernel, session: Session, who: Identity): string | null {
  const own = kernel.config.domains
  switch (who.type) {
    case 'user': {
      const at = who.principal.lastIndexOf('@')
      return at > 0 && own.includes(who.principal.slice(at + 1))
        ? null
        : `user ${who.principal} is of no domain of ours`
    }
    case 'domain':
      return own.includes(who.principal) ? `domain ${who.principal} is our own` : null
    case 'issued': {
      const account = kernel.issued.get(who.principal)
      if (!account) return 'an issued credential that is not known'
      // Always TLS, but for an agent that has no certificate and therefore serves this machine only (hardening H3).
      if (session.peer.tls === null && (kernel.certificates || !session.peer.loopback))
        return 'an issued credential outside TLS'
      session.issued = account
      return null
    }
    default:
      return null
  }
}

/** Was the credential issued to a processor of this agent, or to a subscription of its own users, which such a one reads? */
function isOurs(kernel: Kernel, { scope }: IssuedAccount): boolean {
  if (scope.kind === 'processor') return true
  if (scope.kind !== 'subscriber') return false
  const subscriber = kernel.resources.get('Subscriber', scope.name.slice(0, scope.name.indexOf('.')))
  return subscriber?.uid === scope.key && kernel.config.domains.includes(subscriber.spec.peer)
}

function expire(kernel: Kernel, session: Session, seconds: number): void {
  void kernel.clock.timer(seconds * 1000, session.gone.signal).then(() => {
    if (!session.gone.signal.aborted) kernel.sessions.cut(s => s === session, 'the login has expired')
  })
}
