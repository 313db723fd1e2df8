import { fnapError } from './errors.js'

// Figure 19 of the thesis as data. The rows under "beside the figure" are what it leaves out: commands that work before
// login, a failed login that leaves the state, STARTTLS, and a connection that is lost.

export type ServerState = 'waiting' | 'accepting' | 'ready' | 'cmdRecvd'
export type ServerStimulus =
  | 'sCon'
  | 'sHello'
  | 'sAuthOk'
  | 'sAuthError'
  | 'sCmd'
  | 'sCmdVerify'
  | 'sCmdOk'
  | 'sCmdError'
  | 'sDone'
  | 'sAuthRetry'
  | 'sPreCmd'
  | 'sStartTls'
  | 'sQuit'
  | 'sLost'
export type ServerEffect =
  | 'sConOk'
  | 'sAuthOk'
  | 'sAuthError'
  | 'sFailAuth'
  | 'sCmdVerify'
  | 'sCmdOk'
  | 'sCmdError'
  | 'sPreCmdDone'
  | 'sTls'

export type ClientState = 'idle' | 'conPend' | 'connected' | 'authenticated' | 'cmdPend'
export type ClientStimulus =
  | 'uCon'
  | 'uRetry'
  | 'sConOk'
  | 'sAuthOk'
  | 'sFailAuth'
  | 'uCmd'
  | 'sCmdOk'
  | 'sCmdError'
  | 'uQuit'
  | 'uAuthRetry'
  | 'uPreCmd'
  | 'uStartTls'
  | 'sLost'
export type ClientEffect = 'sCon' | 'sHello' | 'sCmd' | 'sDone' | 'sTls'

/** A cell of the table: the next state, and the effects of which one follows (none: the figure's `-`). */
export interface Step<S extends string, E extends string> {
  readonly next: S
  readonly effect: readonly E[]
}
export type Machine<S extends string, I extends string, E extends string> = Readonly<
  Record<S, Partial<Readonly<Record<I, Step<S, E>>>>>
>

/** The server's machine. */
export const SERVER: Machine<ServerState, ServerStimulus, ServerEffect> = {
  waiting: {
    sCon: { next: 'accepting', effect: ['sConOk'] },
  },
  accepting: {
    sHello: { next: 'accepting', effect: ['sAuthOk', 'sAuthError'] },
    sAuthOk: { next: 'ready', effect: [] },
    // The figure's arrow is the third failure. The first two are sAuthRetry, below.
    sAuthError: { next: 'waiting', effect: ['sFailAuth'] },
    // Beside the figure.
    sAuthRetry: { next: 'accepting', effect: ['sFailAuth'] },
    sPreCmd: { next: 'accepting', effect: ['sPreCmdDone'] },
    sStartTls: { next: 'accepting', effect: ['sTls'] },
    sQuit: { next: 'waiting', effect: [] },
    sLost: { next: 'waiting', effect: [] },
  },
  ready: {
    sCmd: { next: 'cmdRecvd', effect: ['sCmdVerify'] },
    sDone: { next: 'waiting', effect: [] },
    // Beside the figure.
    sLost: { next: 'waiting', effect: [] },
  },
  cmdRecvd: {
    sCmdVerify: { next: 'cmdRecvd', effect: ['sCmdOk', 'sCmdError'] },
    sCmdOk: { next: 'ready', effect: [] },
    sCmdError: { next: 'ready', effect: [] },
    // Beside the figure.
    sLost: { next: 'waiting', effect: [] },
  },
}

/** The client's machine. */
export const CLIENT: Machine<ClientState, ClientStimulus, ClientEffect> = {
  idle: {
    uCon: { next: 'conPend', effect: ['sCon'] },
  },
  conPend: {
    uRetry: { next: 'conPend', effect: ['sCon'] },
    sConOk: { next: 'connected', effect: ['sHello'] },
    // Beside the figure.
    sLost: { next: 'idle', effect: [] },
  },
  connected: {
    sAuthOk: { next: 'authenticated', effect: [] },
    sFailAuth: { next: 'idle', effect: [] },
    // Beside the figure.
    uAuthRetry: { next: 'connected', effect: ['sHello'] },
    uPreCmd: { next: 'connected', effect: ['sCmd'] },
    uStartTls: { next: 'connected', effect: ['sTls'] },
    uQuit: { next: 'idle', effect: ['sDone'] },
    sLost: { next: 'idle', effect: [] },
  },
  authenticated: {
    uCmd: { next: 'cmdPend', effect: ['sCmd'] },
    uQuit: { next: 'idle', effect: ['sDone'] },
    // Beside the figure.
    sLost: { next: 'idle', effect: [] },
  },
  cmdPend: {
    sCmdOk: { next: 'authenticated', effect: [] },
    sCmdError: { next: 'authenticated', effect: [] },
    // Beside the figure.
    sLost: { next: 'idle', effect: [] },
  },
}

const step = <S extends string, I extends string, E extends string>(
  machine: Machine<S, I, E>,
  state: S,
  stimulus: I,
): Step<S, E> | null => {
  const row = Object.hasOwn(machine, state) ? machine[state] : undefined
  return row !== undefined && Object.hasOwn(row, stimulus) ? (row[stimulus] ?? null) : null
}

/** The server's cell for a stimulus in a state, or null: refused, the state stays. */
export const serverNext = (state: ServerState, stimulus: ServerStimulus): Step<ServerState, ServerEffect> | null =>
  step(SERVER, state, stimulus)

/** The client's cell for a stimulus in a state, or null: refused, the state stays. */
export const clientNext = (state: ClientState, stimulus: ClientStimulus): Step<ClientState, ClientEffect> | null =>
  step(CLIENT, state, stimulus)

/** When a verb is allowed: before login only, after login only, or always. */
export type When = 'before' | 'after' | 'any'

/**
 * The stimulus that a known verb is in a state.
 * @throws FnapError AUTHREQUIRED for what needs a login, BADSTATE for what must come before it or came too early.
 */
export function commandStimulus(
  verb: { readonly id: string; readonly when: When },
  state: ServerState,
): ServerStimulus {
  if (state === 'accepting') {
    if (verb.when === 'after') throw fnapError('AUTHREQUIRED')
    if (verb.id === 'AUTHENTICATE') return 'sHello'
    if (verb.id === 'STARTTLS') return 'sStartTls'
    return verb.id === 'QUIT' ? 'sQuit' : 'sPreCmd'
  }
  if (state !== 'ready') throw fnapError('BADSTATE', 'one command at a time')
  if (verb.when === 'before') throw fnapError('BADSTATE', `${verb.id} comes before the login`)
  return verb.id === 'QUIT' ? 'sDone' : 'sCmd'
}
