import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import {
  AddressGuard,
  anonymous,
  type CommandOptions,
  choosePasswordMechanism,
  expectSuccess,
  FnapConnection,
  hasCode,
  makeDial,
  plain,
  type Reply,
  ReplyError,
  type SecureOptions,
  scram,
} from '@fnaa/client'
import type { Context } from './context.js'
import { type Credentials, credentialsFor } from './credentials.js'
import { CliError, EXIT } from './errors.js'
import { type Located, Locator } from './locate-agent.js'
import { type Names, selectAgent } from './select-agent.js'

/** One JSON document of a long list is one line. */
const JSON_LINE = 64 * 1024 * 1024
const LIST_LINES = 1_000_000
/** The user's own client may go wherever its user sends it. */
const EVERYWHERE = new AddressGuard({ allow: ['0.0.0.0/0', '::/0'] })

/** A connection to one agent, logged in. */
export class Session {
  readonly connection: FnapConnection
  readonly located: Located
  readonly #cx: Context

  private constructor(cx: Context, connection: FnapConnection, located: Located) {
    this.#cx = cx
    this.connection = connection
    this.located = located
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
      const session = new Session(cx, connection, located)
      await session.#protect()
      if (opt.login !== false) await session.#login(credentials)
      return session
    } catch (e) {
      connection.destroy()
      throw e
    }
  }

  /** Sends a command and reads its reply. @throws ReplyError */
  async command(line: string, opt: CommandOptions = {}): Promise<Reply> {
    this.#cx.debug.say(`Executing command ${line}`)
    const limits = { lineBytes: JSON_LINE, maxLines: LIST_LINES, signal: this.#cx.interrupt }
    return expectSuccess(await this.connection.command(line, { ...limits, ...opt }))
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

async function connectTo(cx: Context, located: Located): Promise<FnapConnection> {
  const call = { signal: cx.interrupt }
  const dial = makeDial({ resolve: () => Promise.reject(new Error('resolved already')), guard: EVERYWHERE })
  let failure: unknown
  for (const host of located.addresses) {
    cx.debug.say(`C: Connecting to ${host.includes(':') ? `[${host}]` : host}:${located.port}`)
    try {
      const socket = await dial({ host, port: located.port }, call)
      const tls = located.implicit ? { tls: secureOptions(cx, located) } : {}
      const connection = await FnapConnection.connect(socket, { trace: cx.debug.trace, ...tls }, call)
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

function certificate(e: unknown, located: Located): unknown {
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

function secureOptions(cx: Context, located: Located): SecureOptions {
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
export const caFile = (cx: Context, located: Located): string | undefined => {
  const { ca, caGiven } = cx.settings
  const file = caGiven ? ca : (located.entry?.ca ?? ca)
  return file === undefined ? undefined : resolve(cx.cwd, file)
}

function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (e) {
    throw new CliError(`--ca ${file}: ${(e as Error).message}`, EXIT.usage)
  }
}
