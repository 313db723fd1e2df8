import type { Socket } from 'node:net'
import { formatError, isFnapError, LIMITS, LineReader } from '@fnaa/protocol'
import type { Clock, Logger } from '../contract/common.js'
import { isFna } from '../contract/errors.js'
import { Output } from './output.js'

/** Who gets the bytes while a command uses the connection: lines one by one, or chunks as they come. */
export type Intake = { line(line: string): void | Promise<void> } | { bytes(chunk: Buffer): void }

/** Bytes of lines that wait while a command runs; a client that sends more is not read from. */
export const WAITING = 4 * LIMITS.authLine
const RATE_MS = 10_000
/** Milliseconds that one connection's lines may run before others get their turn. */
const TURN_MS = 2
/** Lines between two looks at the clock. */
const LOOK = 8
let lastId = 0

/**
 * The wire of one session: cuts lines, hands them on one at a time, writes replies once per chunk read, and stops reading from
 * who does not read. What a line means is not its business.
 */
export abstract class Connection {
  readonly id = ++lastId
  readonly socket: Socket
  /** Aborts when the connection has gone. */
  readonly gone = new AbortController()
  /** When something was last said, and since when a line has been incomplete (milliseconds of the clock; 0: it is not). */
  active: number
  lineSince = 0
  stalledSince = 0
  protected now: number
  readonly #clock: Clock
  readonly #log: Logger
  readonly #listeners = {
    data: (chunk: Buffer) => this.#onData(chunk),
    end: () => this.#onEnd(),
    close: () => this.#onClose(),
  }
  readonly #output: Output
  readonly #reader = new LineReader(LIMITS.authLine)
  #busy = false
  #queued: string | null = null
  #interrupt: (() => void) | null = null
  #intake: Intake | null = null
  #ending = false
  #paused = false
  #lines = 0
  #windowEnds = 0
  #turnBegan = 0
  /** Lines wait until others had their turn. */
  #yielded = false
  /** The client has said its last byte. */
  #half = false

  constructor(socket: Socket, clock: Clock, log: Logger) {
    this.socket = socket
    this.#output = new Output(socket)
    this.#clock = clock
    this.#log = log
    this.now = this.active = clock.now()
    socket.on('error', () => undefined)
    // A client may end its side when it has asked: it still reads.
    socket.allowHalfOpen = true
    for (const [event, listener] of Object.entries(this.#listeners)) socket.on(event, listener)
  }

  /** One line that no command has claimed. */
  protected abstract onLine(line: string): void | Promise<void>
  /** The longest line now, in bytes with its CRLF. */
  protected abstract lineLimit(): number
  /** Lines a second that are taken, averaged over ten seconds; 0 is no limit. Empty ones count (hardening H30). */
  protected abstract lineRate(): number
  /** The connection has gone, or has been handed over. */
  protected abstract onGone(): void

  get ending(): boolean {
    return this.#ending
  }
  /** A command uses the connection: data or frames may be under way. */
  get streaming(): boolean {
    return this.#busy
  }
  /** Bytes have come that no command has taken. */
  get early(): boolean {
    return this.#queued !== null || this.#reader.buffered > 0
  }

  /** Appends to the reply under way, which is written with the chunk. `wide`: the text may hold more than Latin-1. */
  send(text: string, wide = false): void {
    this.#output.send(text, wide)
  }

  /** Writes at once. */
  write(data: string | Uint8Array): boolean {
    return this.#output.write(data)
  }

  flush(): void {
    this.#output.flush()
  }

  /** Resolves when what was written is below the high-water mark, the connection has gone, or `signal` aborts. */
  drained(signal?: AbortSignal): Promise<void> {
    return this.#output.drained(signal)
  }

  /** Runs `done` when a line arrives after the last byte of the reply was written out (hardening H29). */
  acknowledge(done: () => void): void {
    this.#output.acknowledge(done)
  }

  /** False where the client has read nothing of what waits for it since the last call. */
  progress(): boolean {
    return this.#output.progress()
  }

  /** Gives the connection's input to a command, until it calls `release`. */
  take(intake: Intake, limit?: number): void {
    this.#intake = intake
    if (limit !== undefined) this.#reader.limit = limit
    if ('bytes' in intake) {
      const rest = this.#reader.rest()
      if (rest.length > 0) intake.bytes(rest)
    }
    queueMicrotask(() => this.#pump())
  }

  /** The command is done with the input; `rest` are bytes that it did not want. */
  release(rest?: Buffer): void {
    this.#intake = null
    this.#reader.limit = this.lineLimit()
    if (rest && rest.length > 0) this.#reader.push(rest)
    queueMicrotask(() => this.#pump())
  }

  /** The next line, for an exchange or a body; null when the connection has gone. One at a time. */
  nextLine(limit: number): Promise<string | null> {
    return new Promise(resolve => {
      const gone = () => resolve(null)
      this.gone.signal.addEventListener('abort', gone, { once: true })
      const line = (text: string) => {
        this.gone.signal.removeEventListener('abort', gone)
        this.#intake = null
        this.#reader.limit = this.lineLimit()
        resolve(text)
      }
      this.take({ line }, limit)
    })
  }

  /** Resolves when the client sends a line (which ends a FOLLOW) or goes. */
  interrupted(): Promise<void> {
    return new Promise(resolve => {
      this.#interrupt = resolve
      if (this.#half) resolve()
      else this.#peek()
    })
  }

  /** Writes what is due and closes; with `error` as the last line. */
  end(error?: unknown): void {
    if (this.#ending) return
    this.#ending = true
    if (error !== undefined) this.#output.send(`${formatError(error)}\r\n`)
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

  /** Stops listening without closing: the socket goes into a TLS handshake. @returns bytes that came early */
  detach(): Buffer {
    this.#ending = true
    this.socket.allowHalfOpen = false
    for (const [event, listener] of Object.entries(this.#listeners)) this.socket.off(event, listener)
    this.onGone()
    return this.#reader.rest()
  }

  /** Whether a frame of the command that takes the bytes has begun and is not whole: it has as long as a line has. */
  partial(is: boolean): void {
    this.lineSince = is ? this.lineSince || this.now : 0
  }

  /** The limit of lines has changed with the state. */
  protected limitChanged(): void {
    if (!this.#intake) this.#reader.limit = this.lineLimit()
  }

  #onClose(): void {
    this.#ending = true
    this.gone.abort()
    this.#interrupt?.()
    if (this.#intake && 'line' in this.#intake) this.#intake = null
    this.onGone()
  }

  #onData(chunk: Buffer): void {
    if (this.#ending) return
    if (this.#intake && 'bytes' in this.#intake) {
      this.active = this.now = this.#clock.now()
      this.#intake.bytes(chunk)
      return
    }
    this.#output.heard(chunk)
    this.#reader.push(chunk)
    if (this.#yielded) {
      this.#throttle()
      return
    }
    this.#turnBegan = 0
    // A turn of one line, as most are, is not timed.
    this.#pump(1)
  }

  /** The last byte of a client ends what it follows, like a line would; what it asked before is still answered. */
  #onEnd(): void {
    this.#half = true
    if (this.#intake) {
      this.end()
      return
    }
    const interrupt = this.#interrupt
    this.#interrupt = null
    interrupt?.()
    this.#endIfDone()
  }

  #endIfDone(): void {
    if (this.#half && !this.#busy && !this.#yielded && !this.#paused) this.end()
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

  /**
   * Runs lines until one has to wait, then writes all replies at once.
   * @param look lines until the clock is looked at
   */
  #pump(look = 0): void {
    if (this.#output.holding || this.#yielded) return
    if (this.#busy && !this.#intake) {
      this.#peek()
      this.#throttle()
      return
    }
    this.#output.holding = true
    this.now = this.#clock.now()
    const rate = this.lineRate()
    const before = this.#lines
    this.#output.crowded = this.socket.writableNeedDrain
    try {
      while (!this.#ending && (!this.#busy || this.#intake)) {
        if (this.#intake && 'bytes' in this.#intake) break
        // What is written and not read holds up the rest of the chunk too.
        if (this.#output.crowded) break
        if (rate > 0 && this.#spent(rate)) break
        if (look-- === 0) {
          if (this.#turnOver()) break
          look = LOOK - 1
        }
        const line = this.#queued ?? this.#reader.next()
        this.#queued = null
        if (line === null) break
        this.#lines++
        const wait = this.#intake ? this.#intake.line(line) : this.onLine(line)
        if (wait) this.#wait(wait)
      }
    } catch (e) {
      this.#fail(e)
    }
    this.#output.holding = false
    if (this.#lines !== before) this.lineSince = 0
    this.partial(this.#reader.buffered > 0)
    this.flush()
    this.#throttle()
    this.#endIfDone()
  }

  /**
   * Ends a turn that has lasted too long while lines wait: commands that are done at once never leave the event loop to others,
   * whether they come one by one or whole pipelines at a time.
   */
  #turnOver(): boolean {
    if (!this.early) return false
    const now = performance.now()
    this.#turnBegan ||= now
    if (now - this.#turnBegan < TURN_MS) return false
    this.#yielded = true
    setImmediate(() => {
      this.#yielded = false
      this.#turnBegan = performance.now()
      this.#pump()
    })
    return true
  }

  /** Who says more than the rate allows is not read from until the ten seconds are over. */
  #spent(rate: number): boolean {
    if (this.now >= this.#windowEnds) {
      this.#windowEnds = this.now + RATE_MS
      this.#lines = 0
    }
    if (this.#lines < (rate * RATE_MS) / 1000) return false
    if (this.#paused) return true
    this.#paused = true
    this.socket.pause()
    void this.#clock.timer(this.#windowEnds - this.now, this.gone.signal).then(() => this.#resume())
    return true
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
    const full = this.socket.writableNeedDrain || this.#overfull()
    if (!full || this.#paused) return
    this.#paused = true
    this.socket.pause()
    void this.drained().then(() => this.#resume())
  }

  #overfull(): boolean {
    return (this.#yielded || (this.#busy && !this.#intake)) && this.#reader.buffered > WAITING
  }

  #resume(): void {
    if (!this.#paused) return
    if (this.#overfull()) {
      const timer = setTimeout(() => this.#resume(), 5)
      timer.unref()
      return
    }
    this.#paused = false
    this.socket.resume()
    this.#pump()
  }

  #fail(e: unknown): void {
    if (isFnapError(e)) {
      if (this.#busy && this.#intake && 'bytes' in this.#intake) this.destroy()
      else this.end(e)
      return
    }
    if (!isFna(e, 'FNA_ERR_CLOSED')) this.#log.error({ session: this.id, err: e }, 'session failed')
    this.destroy()
  }
}
