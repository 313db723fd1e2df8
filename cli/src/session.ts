import {
  anonymous,
  type CommandOptions,
  choosePasswordMechanism,
  expectSuccess,
  type FnapConnection,
  plain,
  type Reply,
  ReplyError,
  scram,
} from '@fnaa/client'
import { certificate, connectTo, secureOptions } from './connect.js'
import type { Context } from './context.js'
import { type Credentials, credentialsFor } from './credentials.js'
import { CliError, EXIT } from './errors.js'
import { type Located, Locator } from './locate-agent.js'
import { type Names, selectAgent } from './select-agent.js'

/** One JSON document of a long list is one line. */
const JSON_LINE = 64 * 1024 * 1024
const LIST_LINES = 1_000_000

/** A connection to one agent, logged in. */
export class Session {
  readonly connection: FnapConnection
  readonly located: Located
  /** It speaks TLS from the first byte. */
  readonly implicit: boolean
  readonly #cx: Context
  readonly #credentials: Credentials | null

  private constructor(cx: Context, connection: FnapConnection, located: Located, credentials: Credentials | null) {
    this.#cx = cx
    this.connection = connection
    this.located = located
    this.implicit = Boolean(connection.peerInfo().tls)
    this.#credentials = credentials
  }

  /** How the agent is named on the command line, for hints. */
  get flag(): string {
    const { config } = this.#cx
    return config.agents.length === 1 && this.located.entry ? '' : ` --agent ${this.located.name}`
  }

  /** Finds the agent, connects, and logs in. `login: false` for what may be asked before. */
  static async open(cx: Context, names: Names, opt: { login?: boolean } = {}): Promise<Session> {
    const call = { signal: cx.interrupt }
    const selection = selectAgent(cx.settings, cx.config, names)
    const located = await new Locator(cx.settings, cx.config, cx.debug, call).locate(selection)
    const credentials = opt.login === false ? null : await credentialsFor(cx, located)
    return Session.at(cx, located, credentials, opt)
  }

  /** Connects to an agent that has been found. */
  static async at(
    cx: Context,
    located: Located,
    credentials: Credentials | null,
    opt: { login?: boolean } = {},
  ): Promise<Session> {
    const connection = await connectTo(cx, located)
    try {
      const session = new Session(cx, connection, located, credentials)
      await session.#protect()
      if (opt.login !== false) await session.#login(credentials)
      return session
    } catch (e) {
      connection.destroy()
      throw e
    }
  }

  /** A new session at the same agent, by the same user. */
  again(): Promise<Session> {
    return Session.at(this.#cx, this.located, this.#credentials)
  }

  /** Sends a command and reads its reply. @throws ReplyError */
  async command(line: string, opt: CommandOptions = {}): Promise<Reply> {
    this.#cx.debug.say(`Executing command ${line}`)
    const limits = { lineBytes: JSON_LINE, maxLines: LIST_LINES, signal: this.#cx.interrupt }
    return expectSuccess(await this.connection.command(line, { ...limits, ...opt }))
  }

  /** The reply of a command that may be refused without harm: to look is not what the user asked for. */
  async look(line: string): Promise<Reply | undefined> {
    try {
      return await this.command(line)
    } catch (e) {
      if (e instanceof ReplyError) return undefined
      throw e
    }
  }

  async close(): Promise<void> {
    if (this.connection.open) {
      this.#cx.debug.say('Quitting')
      await this.connection.quit()
    }
    this.#cx.debug.say('Connection closed')
  }

  /** TLS: always off loopback, where it was asked for on it. */
  async #protect(): Promise<void> {
    const { tls, loopback } = this.connection.peerInfo()
    const { entry } = this.located
    if (tls || (loopback && !this.#cx.settings.tls && entry?.tls !== 'required')) return
    await this.#starttls()
  }

  async #starttls(): Promise<void> {
    try {
      await this.connection.starttls(secureOptions(this.#cx, this.located), { signal: this.#cx.interrupt })
    } catch (e) {
      if (!(e instanceof ReplyError)) throw certificate(e, this.located)
      throw new CliError('the agent offers no TLS, and nothing secret goes out without it', EXIT.unreachable, {
        cause: e,
      })
    }
    const { tls } = this.connection.peerInfo()
    this.#cx.debug.say(
      `TLS ${tls?.version}, certificate of ${this.located.fqdn} ${tls?.verified ? 'verified' : 'NOT verified'}`,
    )
  }

  async #login(credentials: Credentials | null): Promise<void> {
    const { debug } = this.#cx
    if (!credentials) {
      await this.#anonymous()
    } else if (this.connection.peerInfo().tls) {
      await this.#byPassword(credentials)
    } else {
      await this.#inClear(credentials)
    }
    debug.say('Authenticated')
  }

  /** On loopback: the thesis's dialogue, without asking what the agent can do. */
  async #inClear(credentials: Credentials): Promise<void> {
    try {
      await this.#run('PLAIN', credentials, [])
    } catch (e) {
      const symbol = e instanceof ReplyError ? e.reply.symbol : undefined
      if (symbol !== 'TLSREQUIRED' && symbol !== 'UNKNOWNMECHANISM') throw e
      const { starttls } = await this.connection.capabilities()
      if (starttls) await this.#starttls()
      await this.#byPassword(credentials)
    }
  }

  async #byPassword(credentials: Credentials): Promise<void> {
    const { auth } = await this.connection.capabilities()
    const mechanism = choosePasswordMechanism(auth, this.connection.peerInfo())
    if (!mechanism) {
      throw new CliError('the agent takes no password here', EXIT.authentication, { hint: 'fnua capabilities' })
    }
    await this.#run(mechanism, credentials, auth)
  }

  async #run(
    mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-256-PLUS',
    { user, password }: Credentials,
    offered: readonly string[],
  ): Promise<void> {
    this.#cx.debug.say(`Authenticating with ${mechanism} mechanism`)
    const login = { user, password, peer: this.connection.peerInfo() }
    const exchange = mechanism === 'PLAIN' ? plain(login) : scram({ ...login, mechanism, offered })
    await this.connection.authenticate(mechanism, exchange, { signal: this.#cx.interrupt })
  }

  async #anonymous(): Promise<void> {
    this.#cx.debug.say('Authenticating with ANONYMOUS mechanism')
    try {
      await this.connection.authenticate('ANONYMOUS', anonymous(), { signal: this.#cx.interrupt })
    } catch (e) {
      if (!(e instanceof ReplyError)) throw e
      throw new CliError(
        `no user is known for ${this.located.name}, and it lets nobody in without`,
        EXIT.authentication,
        {
          hint: `fnua --agent ${this.located.name} login`,
          cause: e,
        },
      )
    }
  }
}
