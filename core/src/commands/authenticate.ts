import { signalAfter } from '@fnaa/client'
import { decodeBase64, fnapError, formatError, LIMITS, slowDown } from '@fnaa/protocol'
import type { AuthStep, Exchange, Identity } from '../contract/auth.js'
import { isFna } from '../contract/errors.js'
import { deadline } from '../host/guard.js'
import { hashQueue } from '../host/hash-queue.js'
import { admit } from '../server/admit.js'
import { toFnapError } from '../server/errors.js'
import { allowed } from '../server/mechanisms.js'
import type { Session } from '../server/session.js'
import type { Handler, Words } from './command.js'

/** Seconds that a login is asked to wait where too many are being checked. */
const CROWDED_S = 5
const STEP_MS = 10_000
const MOST_STEPS = 8
const FAILURES = 3

/** RFC 4422 on FNAP's wire. The mechanism is a step function; base64, `334`, `*` and the deadlines are here. */
export const authenticate: Handler = {
  id: 'AUTHENTICATE',
  run: (cx, command) => {
    const { session, kernel } = cx
    const { mechanism: name, initial } = command.args as Words
    if (session.state === 'ready' || session.identity) throw fnapError('BADSTATE', 'this session has logged in already')
    const mechanism = kernel.mechanisms.get((name as string).toUpperCase())
    if (!mechanism) throw fnapError('UNKNOWNMECHANISM', 'CAPABILITIES lists the mechanisms of this agent')
    if (!allowed(mechanism, session.peer)) throw fnapError('TLSREQUIRED', 'this mechanism needs TLS')
    const exchange = mechanism.accept(session.peer, kernel.issued)
    // What stands behind the line was sent before we asked for it: a browser's, or an attacker's (hardening H25).
    if (session.early) session.destroy()
    return { stream: s => converse(s, exchange, initial as string | Uint8Array | undefined) }
  },
}

async function converse(session: Session, exchange: Exchange, initial: string | Uint8Array | undefined): Promise<void> {
  try {
    let input = initial === undefined ? null : typeof initial === 'string' ? decodeBase64(initial) : initial
    for (let i = 0; i < MOST_STEPS; i++) {
      const step = await run(session, exchange, input)
      if (step.type === 'accept') return await accept(session, step.identity, step.data)
      if (step.type === 'reject') return reject(session, step.log)
      const challenge = Buffer.from(step.data).toString('base64')
      session.send(challenge === '' ? '220 OK\r\n' : `334 ${challenge}\r\n`)
      input = await answer(session)
    }
    throw fnapError('AUTHFAILED', 'the exchange took too many steps')
  } catch (e) {
    exchange.abort()
    // A login that fails, or is called off, leaves the state: only a broken line and the third failure close.
    const error = toFnapError(e)
    if (error.closes || session.gone.signal.aborted) throw e
    session.send(`${formatError(error)}\r\n`)
  }
}

/** A step that throws or takes too long is a temporary failure: never an accept. */
async function run(session: Session, exchange: Exchange, input: Uint8Array | null): Promise<AuthStep> {
  const began = performance.now()
  try {
    const call = { signal: signalAfter(STEP_MS, session.gone.signal) }
    return await deadline(exchange.step(input, call), STEP_MS, () => new Error('the mechanism took too long'))
  } catch (e) {
    // Whose hash did not get its turn in time came too many, like who found no place in the queue.
    // In a flood of logins a line a refusal would be a flood of the log.
    const outwaited = hashQueue.waiting > 0 && performance.now() - began > STEP_MS - 100
    if (isFna(e, 'FNA_ERR_FULL') || outwaited)
      throw slowDown('RATE', CROWDED_S, 'too many logins wait, try again later', e)
    if (!session.gone.signal.aborted)
      session.kernel.log.warn({ session: session.id, err: e }, 'authentication: temporary failure')
    throw fnapError('UNAVAILABLE', 'authentication is not possible now, try again later', e)
  }
}

/** The client's next line: base64, or `*` to give up. */
async function answer(session: Session): Promise<Uint8Array> {
  const line = await session.nextLine(LIMITS.authLine)
  if (session.early) session.destroy()
  if (line === null) throw fnapError('CANCELLED', 'the connection closed')
  if (line === '*') throw fnapError('CANCELLED', 'the exchange was cancelled')
  try {
    return decodeBase64(line)
  } catch {
    throw fnapError('SYNTAX', 'an answer is one line of base64')
  }
}

async function accept(session: Session, identity: Identity, data: Uint8Array | undefined): Promise<void> {
  const refused = await admit(session, identity)
  if (refused !== null) return reject(session, refused)
  session.step('sHello')
  session.step('sAuthOk')
  session.send(
    data === undefined || data.length === 0
      ? '220 Authenticated\r\n'
      : `220 Authenticated ${Buffer.from(data).toString('base64')}\r\n`,
  )
}

function reject(session: Session, why: string): void {
  session.kernel.log.info({ session: session.id, address: session.peer.address, why }, 'authentication failed')
  session.authFailures++
  const error = fnapError('AUTHFAILED', 'authentication failed')
  if (session.authFailures >= FAILURES) {
    session.step('sAuthError')
    session.end(error)
    return
  }
  session.step('sAuthRetry')
  throw error
}
