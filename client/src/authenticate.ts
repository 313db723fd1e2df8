import { decodeBase64, isFnapError, type ReplyLine } from '@fnaa/protocol'
import type { Dialogue } from './dialogue.js'
import { ClientError } from './errors.js'
import { ReplyError } from './reply.js'
import type { AuthStep, Call, Exchange, Identity } from './types.js'

export interface AuthDialogue {
  readonly mechanism: string
  readonly exchange: Exchange
  /** Sends the first message in the AUTHENTICATE line. The author's prototype does not take it there. */
  readonly initial: boolean
}

const MOST_STEPS = 16

/**
 * Runs one exchange: `AUTHENTICATE mech [initial]`, challenges (`334 <base64>`, an empty one as `220 OK`), and
 * `220 Authenticated [<base64>]`. What the last line carries is given to the exchange, which must accept it: an agent's
 * word alone is no proof. A failed or broken exchange is aborted, on the wire with `*`.
 * @returns whom the exchange spoke to, or as whom
 * @throws ReplyError where the agent refuses; FNA_ERR_DENIED where this side does
 */
export async function authenticate(wire: Dialogue, d: AuthDialogue, c: Call): Promise<Identity> {
  try {
    return await dialogue(wire, d, c)
  } catch (e) {
    d.exchange.abort()
    throw e
  }
}

async function dialogue(wire: Dialogue, d: AuthDialogue, c: Call): Promise<Identity> {
  let mine: AuthStep | null = null
  if (d.initial) {
    mine = await d.exchange.step(null, c)
    if (mine.type === 'reject') throw refused(mine.log)
    const data = payload(mine)
    await wire.send(`AUTHENTICATE ${d.mechanism}${data === null ? '' : ` ${encode(data)}`}`)
  } else {
    await wire.send(`AUTHENTICATE ${d.mechanism}`)
  }
  let answered = false
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    const reply = await wire.reply()
    if (reply.kind === 'error') throw new ReplyError({ ...reply, lines: [] })
    if (reply.kind === 'authenticated') return finish(wire, d, mine, reply, c)
    const challenge = challengeOf(wire, reply)
    // An empty challenge to what has been said already asks for it again: the agent ignored the initial response.
    const again = mine !== null && !answered && challenge.length === 0
    if (!again) mine = await next(wire, d, mine, challenge, c)
    answered = true
    await wire.send(encodeLine(payload(mine as AuthStep)))
  }
  throw broken(wire, 'the exchange has no end')
}

/** The exchange's answer to a challenge; where it has none, the agent is told so and the exchange is over. */
async function next(
  wire: Dialogue,
  d: AuthDialogue,
  before: AuthStep | null,
  challenge: Buffer,
  c: Call,
): Promise<AuthStep> {
  if (before?.type === 'accept') throw await cancel(wire, refused('the agent goes on after the last message'))
  let step: AuthStep
  try {
    // Before our first message the challenge is only the sign to begin.
    step = await d.exchange.step(before === null ? null : challenge, c)
  } catch (e) {
    throw await cancel(wire, e)
  }
  if (step.type === 'reject') throw await cancel(wire, refused(step.log))
  return step
}

async function finish(
  wire: Dialogue,
  d: AuthDialogue,
  mine: AuthStep | null,
  reply: ReplyLine,
  c: Call,
): Promise<Identity> {
  if (mine?.type === 'accept') return mine.identity
  if (mine === null) throw broken(wire, 'the agent claims a log-in that did not take place')
  let step: AuthStep
  try {
    step = await d.exchange.step(reply.text === '' ? new Uint8Array() : decodeBase64(reply.text), c)
  } catch (e) {
    throw broken(wire, 'the proof of the agent could not be checked', e)
  }
  if (step.type === 'accept' && step.data === undefined) return step.identity
  throw broken(wire, step.type === 'reject' ? step.log : 'the agent ended the exchange before its time')
}

function challengeOf(wire: Dialogue, reply: ReplyLine): Buffer {
  if (reply.kind === 'ok' && reply.text === '') return Buffer.alloc(0)
  if (reply.kind !== 'challenge') throw broken(wire, 'the agent sent something else than a challenge')
  try {
    return decodeBase64(reply.text)
  } catch (e) {
    throw broken(wire, 'the agent sent a challenge that is not base64', isFnapError(e) ? undefined : e)
  }
}

async function cancel(wire: Dialogue, e: unknown): Promise<unknown> {
  await wire.send('*')
  await wire.reply()
  return e
}

function broken(wire: Dialogue, why: string, cause?: unknown): ClientError {
  const error = new ClientError('FNA_ERR_DENIED', why, cause === undefined ? {} : { cause })
  wire.destroy(error)
  return error
}

const refused = (why: string): ClientError => new ClientError('FNA_ERR_DENIED', why)
const payload = (step: AuthStep): Uint8Array | null => (step.type === 'reject' ? null : (step.data ?? null))
const encodeLine = (data: Uint8Array | null): string => Buffer.from(data ?? []).toString('base64')
/** An empty initial response is `=` (RFC 4422 §4). */
const encode = (data: Uint8Array): string => encodeLine(data) || '='
