import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { AddressGuard, FnapConnection, hasCode, makeDial, ReplyError, type SecureOptions } from '@fnaa/client'
import type { Context } from './context.js'
import { CliError, EXIT } from './errors.js'
import type { Located } from './locate-agent.js'

/** The user's own client may go wherever its user sends it. */
const EVERYWHERE = new AddressGuard({ allow: ['0.0.0.0/0', '::/0'] })

/** Milliseconds without a greeting: who says nothing may be waiting for TLS, which is then tried beside. */
const SILENCE_MS = 1500

/** A connection to the first of the agent's addresses that takes one, with its greeting read. @throws CliError, ReplyError */
export async function connectTo(cx: Context, located: Located): Promise<FnapConnection> {
  let failure: unknown
  for (const host of located.addresses) {
    cx.debug.say(`C: Connecting to ${host.includes(':') ? `[${host}]` : host}:${located.port}`)
    try {
      const connection = await greeted(cx, located, host)
      cx.debug.say('Connected to FNAA')
      return connection
    } catch (e) {
      failure = e
      // An agent that answered, or whose certificate does not hold, is not passed over in silence.
      if (e instanceof ReplyError || hasCode(e, 'FNA_ERR_DENIED') || cx.interrupt.aborted) break
    }
  }
  if (failure instanceof ReplyError) throw failure
  const cause = certificate(failure, located)
  if (cause instanceof CliError) throw cause
  throw unreached(located, failure)
}

/** The agent at one address, with its greeting read: in clear, or by TLS from the first byte where it speaks that. */
async function greeted(cx: Context, located: Located, host: string): Promise<FnapConnection> {
  const call = { signal: cx.interrupt }
  const dial = makeDial({ resolve: () => Promise.reject(new Error('resolved already')), guard: EVERYWHERE })
  const at = async (implicit: boolean) => {
    const socket = await dial({ host, port: located.port }, call)
    const tls = implicit ? { tls: secureOptions(cx, located) } : {}
    return FnapConnection.connect(socket, { trace: cx.debug.trace, ...tls }, call)
  }
  if (located.implicit) return at(true)
  const clear = at(false)
  const over = clear.then(
    () => true,
    () => true,
  )
  // A timer that is left would keep the process for its whole time, when all has long been done.
  const waiting = new AbortController()
  const silence = pause(SILENCE_MS, false, { signal: waiting.signal }).catch(() => false)
  const spoke = await Promise.race([over, silence]).finally(() => waiting.abort())
  if (spoke) return clear
  cx.debug.say('It says nothing: trying TLS from the first byte')
  const secure = at(true)
  const first = await Promise.any([clear, secure]).catch(() => null)
  for (const other of [clear, secure]) other.then(c => c !== first && c.destroy()).catch(() => undefined)
  if (first) return first
  // A certificate that does not hold says more than silence.
  const denied = await secure.catch(e => e)
  if (hasCode(denied, 'FNA_ERR_DENIED')) throw denied
  return clear
}

/** Why nobody answered, in words: nobody there, no way there, or silence. */
function unreached(located: Located, failure: unknown): CliError {
  const [host = ''] = located.addresses
  const at = `${host.includes(':') ? `[${host}]` : host}:${located.port}`
  const why = (failure as { cause?: { code?: string } } | undefined)?.cause?.code
  const told: Readonly<Record<string, string>> = {
    ECONNREFUSED: `no agent is running there: nothing listens at ${at}`,
    EHOSTUNREACH: `there is no way to ${at}`,
    ENETUNREACH: `there is no way to ${at}`,
  }
  const message = told[why ?? ''] ?? `${at}: ${(failure as Error).message}`
  return new CliError(`${located.name} cannot be reached: ${message}`, EXIT.unreachable, {
    hint:
      why === 'ECONNREFUSED'
        ? 'start the agent, or the same command with --agent HOST:PORT of one that runs'
        : 'the same command with -d, which shows every step',
    cause: failure,
  })
}

/** What a certificate that does not hold means to the user; any other error as it is. */
export function certificate(e: unknown, located: Located): unknown {
  if (!hasCode(e, 'FNA_ERR_DENIED') || !/certificate/.test((e as Error).message)) return e
  return new CliError(
    `${located.name} does not prove to be ${located.fqdn}: ${(e as Error).message}`,
    EXIT.unreachable,
    {
      hint: 'the same command with --ca FILE, where the agent has a CA of its own',
      cause: e,
    },
  )
}

export function secureOptions(cx: Context, located: Located): SecureOptions {
  const { insecure } = cx.settings
  const file = caFile(cx, located)
  if (insecure) cx.note(`warning: --insecure: whoever answers may not be ${located.fqdn}`)
  return {
    servername: located.fqdn,
    alpn: 'offered',
    ...(file === undefined ? {} : { ca: readCa(file) }),
    ...(insecure ? { certificate: 'recorded' as const } : {}),
  }
}

/** The CA that is trusted beside the system's: absolute. */
export const caFile = (cx: Context, located: Pick<Located, 'entry'>): string | undefined => {
  const { ca, caGiven } = cx.settings
  const file = caGiven ? ca : (located.entry?.ca ?? ca)
  return file === undefined ? undefined : resolve(cx.cwd, file)
}

/** @throws CliError of usage */
export function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (e) {
    throw new CliError(`--ca ${file}: ${(e as Error).message}`, EXIT.usage)
  }
}
