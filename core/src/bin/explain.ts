import { FnaError, isFna } from '../contract/errors.js'
import { portHolder } from './port-holder.js'

/** What an operator can do about it, in the words of the command that was given. */
export interface Advice {
  /** An agent of this state runs already. */
  readonly running: string
  /** A port is in use. */
  readonly port: string
}

/** Why an agent did not start, where it is one of the things that happen to everybody; any other error as it is. */
export async function explain(e: unknown, advice: Advice): Promise<unknown> {
  if (isFna(e, 'FNA_ERR_LOCKED')) {
    return new FnaError('FNA_ERR_LOCKED', `already running: ${e.message}\n${advice.running}`, { cause: e })
  }
  const system = systemError(e)
  if (system?.code !== 'EADDRINUSE' && system?.code !== 'EACCES') return e
  if (system.port === undefined) return e
  const at = `${system.address?.includes(':') ? `[${system.address}]` : system.address}:${system.port}`
  if (system.code === 'EACCES') {
    const why = 'this user may not listen there (ports below 1024 need a right of their own)'
    return new FnaError('FNA_ERR_UNAVAILABLE', `${at}: ${why}\n${advice.port}`, { cause: e })
  }
  const holder = await portHolder(system.port)
  const who = holder ? `process ${holder.pid} (${holder.command})` : 'another process'
  return new FnaError('FNA_ERR_UNAVAILABLE', `${at}: the port is in use by ${who}\n${advice.port}`, { cause: e })
}

interface SystemError {
  readonly code?: string
  readonly address?: string
  readonly port?: number
}

/** The error of the operating system below ours. */
function systemError(e: unknown): SystemError | undefined {
  for (let at = e; at instanceof Error; at = at.cause) {
    if ('syscall' in at) return at as SystemError
  }
  return undefined
}
