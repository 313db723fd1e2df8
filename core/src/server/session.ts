import type { Socket } from 'node:net'
import {
  type Command,
  type FnapError,
  fnapError,
  formatError,
  isHttpLine,
  LIMITS,
  SERVER,
  type ServerState,
  type ServerStimulus,
} from '@fnaa/protocol'
import type { Identity, PeerInfo } from '../contract/auth.js'
import type { Call } from '../contract/common.js'
import type { IssuedAccount } from '../federation/issued.js'
import type { Subject } from '../grants/authorizer.js'
import type { Kernel } from '../kernel.js'
import { Connection } from './connection.js'
import { toFnapError } from './errors.js'
import { parse } from './parse-cache.js'
import type { Slot } from './slots.js'

/**
 * What a command comes to: a reply line, a whole reply ready to be written, data lines between `220 DATA` and `220 OK`, or a use
 * of the connection. `wide`: the lines may hold more than Latin-1.
 */
export type Result =
  | string
  | { readonly reply: string }
  | { readonly lines: readonly string[]; readonly wide?: boolean }
  | { readonly stream: (s: Session) => Promise<void> }

const PRE_LOGIN: ReadonlySet<string> = new Set([
  'CAPABILITIES',
  'HELP',
  'NOOP',
  'QUIT',
  'STARTTLS',
  'AUTHENTICATE',
  'FNAPKEY',
])
/** Commands that have a stimulus of their own before login, or end the session. */
const OWN_STIMULUS: ReadonlySet<string> = new Set(['AUTHENTICATE', 'STARTTLS', 'QUIT'])
const STRIKES = 3

/** The reply of data lines, as it stands on the wire. */
export const dataReply = (lines: readonly string[]): string =>
  lines.length === 0 ? '220 DATA\r\n220 OK\r\n' : `220 DATA\r\n${lines.join('\r\n')}\r\n220 OK\r\n`

/** What ends a line, or steers a terminal. */
const CONTROL = /[\x00-\x1f\x7f]/

/**
 * One client in one TLS state: after STARTTLS a new session begins. It keeps the state of figure 19 and who has logged in, runs
 * one command at a time, and answers in order. What a command does is in commands/.
 */
export class Session extends Connection {
  readonly kernel: Kernel
  readonly slot: Slot
  readonly peer: { -readonly [K in keyof PeerInfo]: PeerInfo[K] }
  readonly opened: number
  readonly call: Call
  state: ServerState = 'waiting'
  identity: Identity | null = null
  /** What the grants know the session as; made at the first command after login. */
  subject: Subject | null = null
  /** Set for a session by a credential that the kernel issued: it may use one endpoint (hardening H3). */
  issued: IssuedAccount | null = null
  authFailures = 0
  #strikes = 0

  constructor(kernel: Kernel, socket: Socket, slot: Slot, peer: PeerInfo, greet: boolean) {
    super(socket, kernel.clock, kernel.log)
    this.kernel = kernel
    this.slot = slot
    this.peer = { ...peer }
    this.opened = this.active
    this.call = { signal: this.gone.signal }
    this.step('sCon')
    if (greet) this.write(`220 ${kernel.config.host} FNAA\r\n`)
  }

  /** Moves the state machine; a stimulus that the table does not have is a bug of ours. */
  step(stimulus: ServerStimulus): void {
    const cell = SERVER[this.state][stimulus]
    if (!cell) throw new Error(`no transition from ${this.state} on ${stimulus}`)
    if (cell.next === this.state) return
    const before = this.lineLimit()
    this.state = cell.next
    if (this.lineLimit() !== before) this.limitChanged()
  }

  /** Before login a line may be an AUTHENTICATE; the parser holds all others to the shorter limit. */
  protected override lineLimit(): number {
    return this.state === 'accepting' || this.state === 'waiting' ? LIMITS.authLine : LIMITS.line
  }

  protected override lineRate(): number {
    return this.kernel.limits.linesPerSecond
  }

  protected override onGone(): void {
    this.kernel.sessions.remove(this)
  }

  protected override onLine(line: string): void | Promise<void> {
    if (this.state !== 'ready') {
      this.active = this.now
      return this.#beforeLogin(line)
    }
    // Empty lines are ignored (they may be the late end of a READ) and do not keep a session alive (hardening H30).
    if (line === '') return
    this.active = this.now
    if (line === 'NOOP') return this.send('220 OK\r\n')
    return this.#dispatch(line)
  }

  #beforeLogin(line: string): void | Promise<void> {
    // A browser, or something that makes one send: its next lines must not run (hardening H25).
    if (isHttpLine(line)) return this.destroy()
    try {
      const command = parse(line, false)
      if (!PRE_LOGIN.has(command.id)) throw fnapError('AUTHREQUIRED')
      return this.#run(command)
    } catch (e) {
      const error = toFnapError(e)
      const malformed = error.symbol === 'UNKNOWNCOMMAND' || error.symbol === 'SYNTAX'
      if (malformed && ++this.#strikes >= STRIKES) return this.end()
      this.#error(error)
    }
  }

  #dispatch(line: string): void | Promise<void> {
    let command: Command
    try {
      command = parse(line, true)
    } catch (e) {
      this.#error(toFnapError(e))
      // What stands behind a WRITE that does not parse are events, not commands (hardening H26).
      if (/^write\b/i.test(line)) this.end()
      return
    }
    return this.#run(command)
  }

  #run(command: Command): void | Promise<void> {
    const ready = this.state === 'ready'
    if (ready) this.step('sCmd')
    else if (!OWN_STIMULUS.has(command.id)) this.step('sPreCmd')
    try {
      const result = this.kernel.run(command, this)
      if (result instanceof Promise) {
        return result.then(
          r => this.#finish(r, ready, command),
          e => this.#finishError(e, ready, command),
        )
      }
      return this.#finish(result, ready, command)
    } catch (e) {
      this.#finishError(e, ready, command)
    }
  }

  #finish(result: Result, ready: boolean, command: Command): void | Promise<void> {
    // Whoever made them forgot to encode what a stranger said: no line of ours may hold another.
    const forged = typeof result === 'object' && 'lines' in result && result.lines.find(l => CONTROL.test(l))
    if (typeof forged === 'string') {
      const cause = new Error(`a data line holds a control character: ${JSON.stringify(forged)}`)
      return this.#finishError(fnapError('INTERNAL', undefined, cause), ready, command)
    }
    if (typeof result === 'object' && 'stream' in result) {
      return result.stream(this).then(
        () => this.#settle(ready, 'sCmdOk'),
        e => {
          this.#settle(ready, 'sCmdError')
          throw e
        },
      )
    }
    this.#settle(ready, 'sCmdOk')
    if (typeof result === 'string') this.send(`${result}\r\n`)
    else if ('reply' in result) this.send(result.reply)
    else this.send(dataReply(result.lines), result.wide)
  }

  #finishError(e: unknown, ready: boolean, command: Command): void {
    this.#settle(ready, 'sCmdError')
    const error = toFnapError(e)
    if (error.code >= 500 && error.symbol !== 'NOTSUPPORTED')
      this.kernel.log.warn({ session: this.id, command: command.id, err: error.detail ?? e }, 'command failed')
    this.#error(error)
    if (command.id === 'WRITE FLOW') this.end()
  }

  #settle(ready: boolean, stimulus: 'sCmdOk' | 'sCmdError'): void {
    if (ready && this.state === 'cmdRecvd') this.step(stimulus)
  }

  #error(error: FnapError): void {
    if (error.closes) this.end(error)
    else this.send(`${formatError(error)}\r\n`)
  }
}
