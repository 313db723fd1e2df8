import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import {
  type Capabilities,
  type ClientState,
  type ClientStimulus,
  capabilitiesBytes,
  clientNext,
  parseCapabilities,
} from '@fnaa/protocol'
import { type Addresses, addressesOf } from './addresses.js'
import { authenticate } from './authenticate.js'
import type { CommandOptions, ConnectOptions } from './connection-options.js'
import { checkCommand, Dialogue } from './dialogue.js'
import { ClientError } from './errors.js'
import { FrameStream, type FrameStreamOptions } from './frame-stream.js'
import { LineSink } from './line-sink.js'
import { LineStream } from './line-stream.js'
import { abandon, expectSuccess, type Reply, ReplyError } from './reply.js'
import { describeTls, type SecureOptions, secure } from './secure.js'
import { Transport } from './transport.js'
import { Turns, timed } from './turns.js'
import type { Call, Exchange, Identity, PeerInfo, PeerTls } from './types.js'

const MOST_PIPELINED = 64

/**
 * The client's side of one FNAP connection. One command at a time: calls wait for each other. A reply that does not end
 * in time, breaks a limit or is called off closes the connection, because where the next one would begin is unknown.
 */
export class FnapConnection {
  readonly #transport: Transport
  readonly #dialogue: Dialogue
  readonly #opt: ConnectOptions
  readonly #addresses: Addresses
  readonly #turns = new Turns()
  #tls: PeerTls | null
  #capabilities = ''
  #greeting = ''
  #state: ClientState = 'conPend'
  /** Ends the turn of a stream that is under way. */
  #held: (() => void) | null = null

  private constructor(stream: Duplex, addresses: Addresses, opt: ConnectOptions) {
    this.#addresses = addresses
    this.#tls = stream instanceof TLSSocket ? describeTls(stream) : null
    this.#transport = new Transport(stream)
    this.#dialogue = new Dialogue(this.#transport, opt.trace)
    this.#opt = opt
    // Whatever ends the connection also frees the place in the queue.
    void this.#transport.closed.then(() => this.#held?.())
  }

  /**
   * Takes over an open stream (as `dial` returns it), makes TLS where asked, and reads the greeting.
   * @throws ReplyError where the agent greets with an error, FNA_ERR_DENIED where it is no agent, FNA_ERR_TIMEOUT
   */
  static async connect(stream: NodeJS.ReadWriteStream, opt: ConnectOptions = {}, c?: Call): Promise<FnapConnection> {
    const addresses = addressesOf(stream)
    const base = opt.tls ? (await secure(stream as Duplex, opt.tls, c)).socket : (stream as Duplex)
    const connection = new FnapConnection(base, addresses, opt)
    await connection.#timed({ timeoutMs: opt.greetingMs ?? 10_000, ...(c ? { signal: c.signal } : {}) }, () =>
      connection.#greet(),
    )
    return connection
  }

  /** The name in the greeting. It proves nothing. */
  get greeting(): string {
    return this.#greeting
  }
  /** Of figure 19. */
  get state(): ClientState {
    return this.open ? this.#state : 'idle'
  }
  get open(): boolean {
    return this.#transport.open
  }
  get closed(): Promise<void> {
    return this.#transport.closed
  }

  /** What a mechanism gets to know of the other side. */
  peerInfo(): PeerInfo {
    return { ...this.#addresses, tls: this.#tls, capabilities: this.#capabilities }
  }

  /**
   * STARTTLS and the handshake. What the agent said before it is forgotten, and anything that came behind its `220 OK`
   * in clear ends the connection: it could not be told from what comes inside TLS.
   * @throws ReplyError where the agent refuses
   */
  async starttls(opt: SecureOptions, c?: Call): Promise<void> {
    await this.#turns.run(async () => {
      this.#advance('uStartTls')
      await this.#timed(c ? { signal: c.signal } : {}, async () => {
        await this.#dialogue.send('STARTTLS')
        expectSuccess(await this.#dialogue.reply({}))
        if (this.#transport.buffered > 0) {
          throw abandon(this.#transport, 'FNA_ERR_DENIED', 'the agent sent something behind its answer to STARTTLS')
        }
        this.#capabilities = ''
        const { socket, tls } = await secure(this.#transport.detach(), opt, c)
        this.#transport.replace(socket)
        this.#tls = tls
      })
    })
  }

  /** CAPABILITIES, as it stands now. Its raw text is kept: DOMAINKEY signs it. */
  async capabilities(opt: CommandOptions = {}): Promise<Capabilities> {
    const reply = expectSuccess(await this.command('CAPABILITIES', opt))
    try {
      return parseCapabilities(reply.lines)
    } catch (cause) {
      throw new ClientError('FNA_ERR_CORRUPT', 'the capabilities of the agent cannot be read', { cause })
    }
  }

  /**
   * Logs in. `initial` sends the first message in the AUTHENTICATE line; if absent that is done but for PLAIN, whose
   * dialogue is the thesis's then (transcript T6).
   * @returns whom the exchange spoke to, or as whom
   * @throws ReplyError where the agent refuses, FNA_ERR_DENIED where the exchange does
   */
  async authenticate(
    mechanism: string,
    exchange: Exchange,
    opt: CommandOptions & { readonly initial?: boolean } = {},
  ): Promise<Identity> {
    return this.#turns.run(async () => {
      this.#advance('uAuthRetry')
      this.#dialogue.exchanging = true
      try {
        return await this.#timed(opt, async signal => {
          await this.#quiet()
          const initial = opt.initial ?? mechanism !== 'PLAIN'
          const identity = await authenticate(this.#dialogue, { mechanism, exchange, initial }, { signal })
          this.#advance('sAuthOk')
          return identity
        })
      } finally {
        this.#dialogue.exchanging = false
      }
    })
  }

  /**
   * Sends one command and reads its whole reply. An error reply is returned, not thrown ({@link expectSuccess} does).
   * READ, WRITE and streams have methods of their own.
   * @param line without CRLF; build it with protocol's formatCommand
   * @throws FNA_ERR_INVALID for a line that is none, FNA_ERR_TIMEOUT, FNA_ERR_TOO_LARGE, FNA_ERR_CORRUPT,
   * FNA_ERR_UNAVAILABLE: after any but the first the connection is closed and the outcome unknown
   */
  command(line: string, opt: CommandOptions = {}): Promise<Reply> {
    return this.#turns.run(() =>
      this.#timed(opt, async () => {
        await this.#begin(line)
        const reply = await this.#dialogue.reply(opt)
        if (reply.kind === 'send' || reply.kind === 'stream' || reply.kind === 'challenge') {
          throw abandon(this.#transport, 'FNA_ERR_CORRUPT', 'the agent waits for more than this command sends')
        }
        if (/^CAPABILITIES *$/i.test(line)) this.#capabilities = capabilitiesBytes(reply.lines).toString('utf8')
        this.#settle(reply.kind)
        return reply
      }),
    )
  }

  /** Sends up to 64 commands at once, after the log-in only; the replies come in order. */
  pipeline(lines: readonly string[], opt: CommandOptions = {}): Promise<Reply[]> {
    return this.#turns.run(() =>
      this.#timed(opt, async () => {
        const fits = this.#state === 'authenticated' && lines.length <= MOST_PIPELINED
        if (!fits)
          throw new ClientError('FNA_ERR_INVALID', `${MOST_PIPELINED} commands are pipelined at most, after the log-in`)
        for (const line of lines) checkCommand(line)
        await this.#quiet()
        const replies: Reply[] = []
        for (const line of lines) await this.#dialogue.send(line)
        for (const _ of lines) replies.push(await this.#dialogue.reply(opt))
        return replies
      }),
    )
  }

  /** A command whose data lines are pulled one by one (READ). `timeoutMs` is for the beginning of the reply alone. @throws ReplyError */
  readLines(line: string, opt: CommandOptions = {}): Promise<LineStream> {
    return this.#begun(line, 'data', opt, release => new LineStream(this.#dialogue, release, opt.lineBytes))
  }

  /** WRITE: resolves when the agent awaits the events. A refusal closes the connection. @throws ReplyError */
  write(line: string, opt: CommandOptions = {}): Promise<LineSink> {
    return this.#begun(line, 'send', opt, release => {
      return new LineSink(this.#dialogue, () => this.#timed(opt, () => this.#dialogue.reply(opt)), release)
    })
  }

  /** READ or WRITE with FORMAT BATCH: resolves at `220 STREAM`. A refusal of WRITE closes the connection. @throws ReplyError */
  stream(line: string, opt: CommandOptions & FrameStreamOptions = {}): Promise<FrameStream> {
    return this.#begun(line, 'stream', opt, release => new FrameStream(this.#transport, release, opt))
  }

  /** Says good-bye and closes. Never throws: the connection is gone afterwards either way. */
  async quit(): Promise<void> {
    try {
      await this.#turns.run(() =>
        this.#timed({ timeoutMs: 5000 }, async () => {
          await this.#dialogue.send('QUIT')
          await this.#dialogue.reply({})
        }),
      )
      this.#transport.end()
    } catch {
      // Closed already, or deaf: the end is the same.
    } finally {
      this.#transport.destroy()
    }
  }

  destroy(error?: Error): void {
    this.#transport.destroy(error)
  }

  async #greet(): Promise<void> {
    const reply = await this.#dialogue.first()
    if (reply.kind === 'error') {
      const error = new ReplyError({ ...reply, lines: [] })
      this.#transport.destroy(error)
      throw error
    }
    const tolerated = this.#opt.greeting === 'any' && reply.code === 220
    if (reply.kind !== 'greeting' && !tolerated) throw abandon(this.#transport, 'FNA_ERR_DENIED', 'this is no FNAA')
    this.#greeting = reply.kind === 'greeting' ? reply.text : ''
    this.#advance('sConOk')
  }

  async #begun<T>(
    line: string,
    kind: Reply['kind'],
    opt: CommandOptions,
    make: (release: () => void) => T,
  ): Promise<T> {
    const release = await this.#turns.take()
    this.#held = release
    const done = () => {
      this.#held = null
      this.#settle('ok')
      release()
    }
    try {
      return await this.#timed(opt, async () => {
        await this.#begin(line)
        const reply = await this.#dialogue.first()
        if (reply.kind === kind) return make(done)
        if (reply.kind === 'error') {
          this.#settle('error')
          throw new ReplyError({ ...reply, lines: [] })
        }
        throw abandon(this.#transport, 'FNA_ERR_CORRUPT', 'the agent answered this command in another manner')
      })
    } catch (e) {
      this.#held = null
      release()
      throw e
    }
  }

  async #begin(line: string): Promise<void> {
    checkCommand(line)
    await this.#quiet()
    this.#advance(this.#state === 'authenticated' ? 'uCmd' : 'uPreCmd')
    await this.#dialogue.send(line)
  }

  /** An agent that is not asked says nothing but `421`, and closes: any other line would be taken for a later reply. */
  async #quiet(): Promise<void> {
    if (this.#transport.buffered === 0) return
    const reply = await this.#dialogue.first()
    if (reply.code !== 421) throw abandon(this.#transport, 'FNA_ERR_CORRUPT', 'the agent spoke without being asked')
    const error = new ReplyError({ ...reply, lines: [] })
    this.#transport.destroy(error)
    throw error
  }

  #settle(kind: Reply['kind']): void {
    if (this.#state === 'cmdPend') this.#advance(kind === 'error' ? 'sCmdError' : 'sCmdOk')
  }

  #advance(stimulus: ClientStimulus): void {
    const step = clientNext(this.#state, stimulus)
    if (!step)
      throw new ClientError('FNA_ERR_INVALID', `this does not fit the state of the connection (${this.#state})`)
    this.#state = step.next
  }

  #timed<T>(opt: CommandOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return timed(this.#transport, { ...opt, timeoutMs: opt.timeoutMs ?? this.#opt.replyMs ?? 45_000 }, work)
  }
}
