import type { Socket } from 'node:net'
import {
  type Command,
  type FnapError,
  fnapError,
  formatError,
  isFnapError,
  LIMITS,
  LineReader,
  type ServerState,
  type ServerStimulus,
  serverNext,
} from '@fnaa/protocol'
import type { Identity, PeerInfo } from '../contract/auth.js'
import { isFna } from '../contract/errors.js'
import type { IssuedAccount } from '../federation/issued.js'
import type { Kernel } from '../kernel.js'
import { toFnapError } from './errors.js'
import { parse } from './parse-cache.js'

/** What a command comes to: a whole reply line, data lines between `220 DATA` and `220 OK`, or a use of the connection. */
export type Result = string | { readonly lines: readonly string[] } | { readonly stream: (s: Session) => Promise<void> }

/** Who gets the bytes while a command uses the connection: lines one by one, or chunks as they come. */
export type Intake = { line(line: string): void | Promise<void> } | { bytes(chunk: Buffer): void }

const PRE_LOGIN: ReadonlySet<string> = new Set([
  'CAPABILITIES',
  'HELP',
  'NOOP',
  'QUIT',
  'STARTTLS',
  'AUTHENTICATE',
  'FNAPKEY',
])
const OUT_HIGH = 1 << 20
const STRIKES = 3
let lastId = 0

/**
 * One connection in one TLS state: after STARTTLS a new session begins. It owns the wire: cuts lines, runs one command at
 * a time, answers in order, writes once per chunk read. What a command does is in commands/.
 */
export class Session {
  readonly id = ++lastId
  readonly kernel: Kernel
  readonly socket: Socket
  readonly peer: { -readonly [K in keyof PeerInfo]: PeerInfo[K] }
  readonly opened: number
  state: ServerState = 'waiting'
  identity: Identity | null = null
  /** Set for a session by a credential that the kernel issued: it may use one endpoint (hardening H3). */
  issued: IssuedAccount | null = null
  authFailures = 0
  /** Aborts when the connection has gone. */
  readonly gone = new AbortController()
  /** Runs when a line arrives after the last reply was written out: a cursor moves then (hardening H29). */
  #acknowledge: (() => void) | null = null
  #armed = false
  #strikes = 0
  readonly #reader = new LineReader(LIMITS.authLine)
  #out = ''
  #busy = false
  #queued: string | null = null
  #interrupt: (() => void) | null = null
  #intake: Intake | null = null
  #ending = false
  #inPump = false
  active: number
  lineSince = 0
  #paused = false
  #written = 0
  stalledSince = 0

  constructor(kernel: Kernel, socket: Socket, peer: PeerInfo, greet: boolean) {
    this.kernel = kernel
    this.socket = socket
    this.peer = { ...peer }
    this.opened = this.active = kernel.clock.now()
    this.step('sCon')
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('error', () => undefined)
    socket.on('end', () => this.end())
    socket.on('close', () => this.#onClose())
    if (greet) this.write(`220 ${kernel.config.host} FNAA\r\n`)
  }

  /** Moves the state machine; a stimulus that the table does not have is a bug of ours. */
  step(stimulus: ServerStimulus): void {
    const next = serverNext(this.state, stimulus)
    if (!next) throw new Error(`no transition from ${this.state} on ${stimulus}`)
    this.state = next.next
    if (!this.#intake) this.#reader.limit = this.#lineLimit()
  }

  /** Before login a line may be an AUTHENTICATE; the parser holds all others to the shorter limit. */
  #lineLimit(): number {
    return this.state === 'accepting' || this.state === 'waiting' ? LIMITS.authLine : LIMITS.line
  }

  /** Appends to the reply under way: written with the chunk, once. */
  send(text: string): void {
    this.#out += text
    if (!this.#inPump) this.flush()
    else if (this.#out.length > OUT_HIGH) this.flush()
  }

  /** Writes at once. */
  write(data: string | Uint8Array): boolean {
    this.flush()
    if (this.socket.destroyed) return false
    return typeof data === 'string' ? this.socket.write(data, 'utf8') : this.socket.write(data)
  }

  flush(): void {
    if (this.#out === '' || this.socket.destroyed) return
    const out = this.#out
    this.#out = ''
    this.#armed = false
    const ack = this.#acknowledge
    this.socket.write(out, 'utf8', () => {
      if (ack !== null && ack === this.#acknowledge) this.#armed = true
    })
  }

  /** Resolves when what was written is below the high-water mark, or the connection has gone. */
  drained(): Promise<void> {
    this.flush()
    if (!this.socket.writableNeedDrain || this.socket.destroyed) return Promise.resolve()
    return new Promise(resolve => {
      const done = () => {
        this.socket.off('drain', done)
        this.socket.off('close', done)
        resolve()
      }
      this.socket.on('drain', done)
      this.socket.on('close', done)
    })
  }

  /** Calls `done` once the last byte of the reply is out and the client has said something after it. */
  acknowledge(done: () => void): void {
    this.#acknowledge = done
    this.#armed = false
  }

  /** Gives the connection's input to a command, until it calls `release`. */
  take(intake: Intake, limit?: number): void {
    this.#intake = intake
    if (limit !== undefined) this.#reader.limit = limit
    if ('bytes' in intake) {
      const rest = this.#reader.rest()
      if (rest.length > 0) intake.bytes(rest)
    }
    this.#schedule()
  }

  /** The command is done with the input; `rest` are bytes that it did not want. */
  release(rest?: Buffer): void {
    this.#intake = null
    this.#reader.limit = this.#lineLimit()
    if (rest && rest.length > 0) this.#reader.push(rest)
    this.#schedule()
  }

  /** The next line, for an exchange or a body; null when the connection has gone. One at a time. */
  nextLine(limit: number): Promise<string | null> {
    return new Promise(resolve => {
      const gone = () => resolve(null)
      this.gone.signal.addEventListener('abort', gone, { once: true })
      this.take(
        {
          line: line => {
            this.gone.signal.removeEventListener('abort', gone)
            this.#intake = null
            this.#reader.limit = this.#lineLimit()
            resolve(line)
          },
        },
        limit,
      )
    })
  }

  /** Resolves when the client sends a line (which ends a FOLLOW) or goes. */
  interrupted(): Promise<void> {
    return new Promise(resolve => {
      this.#interrupt = resolve
      this.#peek()
    })
  }

  /** Writes what is due and closes; with `error` as the last line. */
  end(error?: unknown): void {
    if (this.#ending) return
    this.#ending = true
    if (error !== undefined) this.#out += `${formatError(error)}\r\n`
    this.flush()
    this.socket.end()
    const timer = setTimeout(() => this.socket.destroy(), 1000)
    timer.unref()
    this.socket.once('close', () => clearTimeout(timer))
  }

  /** Closes without a word: inside data or frames nothing may be said (hardening H28). */
  destroy(): void {
    this.#ending = true
    this.socket.destroy()
  }

  /** Bytes have come that no command has taken. */
  get early(): boolean {
    return this.#queued !== null || this.#reader.buffered > 0
  }
  get ending(): boolean {
    return this.#ending
  }
  /** A command uses the connection: data or frames may be under way. */
  get streaming(): boolean {
    return this.#busy
  }
  /** Bytes that the client has not read for a while: see the sweep. */
  progress(): number {
    const written = this.socket.bytesWritten - this.socket.writableLength
    const moved = written !== this.#written
    this.#written = written
    return this.socket.writableLength > 0 && !moved ? 0 : 1
  }

  /** Stops listening without closing: the socket goes into a TLS handshake. @returns bytes that came early */
  detach(): Buffer {
    this.#ending = true
    this.socket.removeAllListeners('data')
    this.socket.removeAllListeners('end')
    this.socket.removeAllListeners('close')
    this.kernel.sessions.remove(this)
    return this.#reader.rest()
  }

  #onClose(): void {
    this.#ending = true
    this.gone.abort()
    this.#interrupt?.()
    if (this.#intake && 'line' in this.#intake) this.#intake = null
    this.kernel.sessions.remove(this)
  }

  #onData(chunk: Buffer): void {
    if (this.#ending) return
    if (this.#intake && 'bytes' in this.#intake) {
      this.active = this.kernel.clock.now()
      this.#intake.bytes(chunk)
      return
    }
    if (this.#armed && chunk.includes(10)) {
      const done = this.#acknowledge
      this.#acknowledge = null
      this.#armed = false
      done?.()
    }
    this.#reader.push(chunk)
    this.#pump()
  }

  #schedule(): void {
    if (!this.#busy && !this.#inPump) queueMicrotask(() => this.#pump())
    else if (this.#intake) queueMicrotask(() => this.#pump())
  }

  #peek(): void {
    if (!this.#interrupt || this.#queued !== null) return
    try {
      this.#queued = this.#reader.next()
    } catch (e) {
      this.#fail(e)
    }
    if (this.#queued !== null || this.#ending) {
      const interrupt = this.#interrupt
      this.#interrupt = null
      interrupt()
    }
  }

  /** Runs lines until one has to wait, then writes all replies at once. */
  #pump(): void {
    if (this.#inPump) return
    if (this.#busy && !this.#intake) {
      this.#peek()
      this.#throttle()
      return
    }
    this.#inPump = true
    try {
      while (!this.#ending && (!this.#busy || this.#intake) && !this.socket.writableNeedDrain) {
        if (this.#intake && 'bytes' in this.#intake) break
        const line = this.#queued ?? this.#reader.next()
        this.#queued = null
        if (line === null) break
        this.lineSince = 0
        const wait = this.#intake ? this.#intake.line(line) : this.#line(line)
        if (wait) this.#wait(wait)
      }
    } catch (e) {
      this.#fail(e)
    }
    this.#inPump = false
    if (this.#reader.buffered > 0 && this.lineSince === 0) this.lineSince = this.kernel.clock.now()
    this.flush()
    this.#throttle()
  }

  #wait(work: Promise<void>): void {
    this.#busy = true
    work
      .catch(e => this.#fail(e))
      .finally(() => {
        this.#busy = false
        this.#interrupt = null
        this.#pump()
      })
  }

  /** A client that pipelines without reading, or faster than commands run, is not read from. */
  #throttle(): void {
    const full = this.socket.writableNeedDrain || (this.#busy && this.#reader.buffered > 4 * LIMITS.authLine)
    if (full && !this.#paused) {
      this.#paused = true
      this.socket.pause()
      void this.drained().then(() => this.#resumeWhenIdle())
    }
  }

  #resumeWhenIdle(): void {
    if (!this.#paused) return
    if (this.#busy && !this.#intake && this.#reader.buffered > 4 * LIMITS.authLine) {
      const timer = setTimeout(() => this.#resumeWhenIdle(), 5)
      timer.unref()
      return
    }
    this.#paused = false
    this.socket.resume()
    this.#pump()
  }

  #line(line: string): void | Promise<void> {
    if (line === '' && this.state === 'ready') return
    const now = this.kernel.clock.now()
    if (line !== '') this.active = now
    if (this.state === 'ready') {
      if (line === 'NOOP') {
        this.#out += '220 OK\r\n'
        return
      }
      return this.#dispatch(line)
    }
    return this.#beforeLogin(line)
  }

  #beforeLogin(line: string): void | Promise<void> {
    // A browser, or something that makes one send: its next lines must not run (hardening H25).
    const last = line.slice(line.lastIndexOf(' ') + 1)
    if (last.toUpperCase().startsWith('HTTP/')) return this.destroy()
    if (line.length + 2 > LIMITS.line && !/^authenticate /i.test(line)) throw fnapError('LINETOOLONG')
    try {
      const command = parse(line, false)
      if (!PRE_LOGIN.has(command.id)) throw fnapError('AUTHREQUIRED')
      return this.#run(command)
    } catch (e) {
      const error = toFnapError(e)
      const malformed = error.symbol === 'UNKNOWNCOMMAND' || error.symbol === 'SYNTAX'
      if (malformed && ++this.#strikes >= STRIKES) return this.destroy()
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
    else if (command.id !== 'AUTHENTICATE' && command.id !== 'STARTTLS' && command.id !== 'QUIT') this.step('sPreCmd')
    try {
      const result = this.kernel.run(command, this)
      if (result instanceof Promise) {
        return result.then(
          r => this.#finish(r, ready),
          e => this.#finishError(e, ready, command),
        )
      }
      return this.#finish(result, ready)
    } catch (e) {
      this.#finishError(e, ready, command)
    }
  }

  #finish(result: Result, ready: boolean): void | Promise<void> {
    if (typeof result === 'string') {
      this.#settle(ready, 'sCmdOk')
      this.send(`${result}\r\n`)
      return
    }
    if ('stream' in result) {
      return result.stream(this).then(
        () => this.#settle(ready, 'sCmdOk'),
        e => {
          this.#settle(ready, 'sCmdError')
          throw e
        },
      )
    }
    this.#settle(ready, 'sCmdOk')
    this.send(
      result.lines.length === 0 ? '220 DATA\r\n220 OK\r\n' : `220 DATA\r\n${result.lines.join('\r\n')}\r\n220 OK\r\n`,
    )
  }

  #finishError(e: unknown, ready: boolean, command: Command): void {
    this.#settle(ready, 'sCmdError')
    const error = toFnapError(e)
    if (error.code >= 500) this.kernel.log.warn({ session: this.id, command: command.id, err: e }, 'command failed')
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

  #fail(e: unknown): void {
    if (isFnapError(e)) {
      if (this.#busy && this.#intake && 'bytes' in this.#intake) this.destroy()
      else this.end(e)
      return
    }
    if (!isFna(e, 'FNA_ERR_CLOSED')) this.kernel.log.error({ session: this.id, err: e }, 'session failed')
    this.destroy()
  }
}
