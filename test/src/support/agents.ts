import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { anonymous, FnapConnection, plain, type Reply } from '@fnaa/client'
import { Agent, type AuthService, type Clock, type Config, loadConfig, validate } from '@fnaa/core'
import { formatCommand } from '@fnaa/protocol'
import { freePort } from '@fnaa/services'

export { freePort }

export const CONFIG = fileURLToPath(new URL('../../../fnaad.config.ts', import.meta.url))
export const USER = 'test'
// Processor hosts inherit it.
process.env['FNAAD_LOG_LEVEL'] ??= process.env['TEST_LOG'] ?? 'silent'
export const PASSWORD = 'test'

/** What a test needs to clean up after itself: tap's `t` has it. */
export interface Teardown {
  teardown(fn: () => unknown): void
}

export interface Where {
  readonly domain: string
  readonly data: string
  readonly port: number
  readonly dnsPort: number
  readonly ca: string
  readonly neighbours: Readonly<Record<string, string>>
}
export interface StartOptions {
  readonly clock?: Clock
  readonly change?: (config: Config) => Config
}

/** A user's folder for one test, gone with it. */
export async function folder(t: Teardown): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'fnaad-test-'))
  t.teardown(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }))
  return directory
}

/** Where two (or more) participants live: each knows the names of the others. */
export async function places(t: Teardown, domains: readonly string[]): Promise<Where[]> {
  const data = await folder(t)
  const dns = await Promise.all(domains.map(() => freePort()))
  return domains.map((domain, i) => ({
    domain,
    data: join(data, domain),
    port: 0,
    dnsPort: dns[i]!,
    ca: join(data, 'ca'),
    neighbours: Object.fromEntries(domains.flatMap((d, j) => (j === i ? [] : [[d, `127.0.0.1:${dns[j]}`]]))),
  }))
}

/** An agent in this process, from the project's own config; with the user test/test. */
export class TestAgent {
  readonly where: Where
  agent!: Agent
  readonly #options: StartOptions

  constructor(where: Where, options: StartOptions = {}) {
    this.where = where
    this.#options = options
  }

  get kernel(): Agent['kernel'] {
    return this.agent.kernel
  }
  get port(): number {
    return this.agent.addresses[0]!.port
  }
  get namespace(): string {
    return `flows.${this.where.domain}`
  }

  async start(): Promise<this> {
    const loaded = await loadConfig(CONFIG, this.where)
    const config = this.#options.change?.(loaded.config) ?? loaded.config
    const { plugins } = await validate({ ...loaded, config })
    const { clock } = this.#options
    this.agent = await Agent.start({
      config: { ...config, log: { level: (process.env['TEST_LOG'] as 'silent' | undefined) ?? 'silent' } },
      plugins,
      base: CONFIG,
      ...(clock ? { clock } : {}),
    })
    await this.agent.ready(AbortSignal.timeout(20_000))
    await this.addUser(USER, PASSWORD).catch(() => undefined)
    return this
  }

  async addUser(name: string, password: string): Promise<void> {
    const sasl = this.kernel.loaded.find(l => l.plugin.id === 'auth-sasl')!.service as AuthService
    const add = sasl.admin.find(a => a.name === 'user add')!
    await add.run([name], { password }, { signal: AbortSignal.timeout(10_000) })
  }

  async close(): Promise<void> {
    await this.agent?.close()
  }

  async #connect(t: Teardown): Promise<FnapConnection> {
    const socket = connect(this.port, '127.0.0.1')
    await once(socket, 'connect')
    const connection = await FnapConnection.connect(socket)
    t.teardown(() => connection.destroy())
    return connection
  }

  /** A session of a stranger who does not say who it is. */
  async anonymous(t: Teardown): Promise<Client> {
    const connection = await this.#connect(t)
    await connection.authenticate('ANONYMOUS', anonymous('tests'))
    return new Client(connection)
  }

  /** A session of a user, in clear on loopback. */
  async login(t: Teardown, user = USER, password = PASSWORD): Promise<Client> {
    const connection = await this.#connect(t)
    await connection.authenticate('PLAIN', plain({ user, password, peer: connection.peerInfo() }))
    return new Client(connection)
  }
}

/** A logged-in session with the calls that tests make. */
export class Client {
  readonly connection: FnapConnection
  constructor(connection: FnapConnection) {
    this.connection = connection
  }

  /** Sends a line and returns the whole reply, errors included. */
  say(line: string): Promise<Reply> {
    return this.connection.command(line, { timeoutMs: 60_000 })
  }

  /** Sends a line that must succeed. */
  async ok(line: string): Promise<Reply> {
    const reply = await this.say(line)
    if (reply.kind === 'error') throw new Error(`${line}: ${reply.code} ${reply.symbol} ${reply.text}`)
    return reply
  }

  async write(flow: string, ...lines: string[]): Promise<Reply> {
    const sink = await this.connection.write(formatCommand('WRITE FLOW', { flow }))
    for (const line of lines) await sink.send(line)
    return sink.end()
  }

  /** The data of each event, as far as READ goes. */
  async read(flow: string, options: object = {}): Promise<unknown[]> {
    const stream = await this.connection.readLines(formatCommand('READ FLOW', { flow }, options))
    const found: unknown[] = []
    for await (const line of stream) found.push((JSON.parse(line) as { data?: unknown }).data)
    return found
  }

  /** Follows until `n` events have come; their data. */
  async follow(flow: string, n: number, options: object = {}): Promise<unknown[]> {
    return this.read(flow, { follow: true, max: n, ...options })
  }
}

/** Two participants in one process: `a` owns flows, `b` subscribes. */
export async function pair(t: Teardown, options: StartOptions = {}): Promise<{ a: TestAgent; b: TestAgent }> {
  const [wa, wb] = await places(t, ['unix.test', 'emiliano.test'])
  const a = new TestAgent(wa!, options)
  const b = new TestAgent(wb!, options)
  // Whichever of them does not start, the other one does not stay.
  t.teardown(async () => {
    await b.close()
    await a.close()
  })
  await a.start()
  await b.start()
  return { a, b }
}

export async function single(t: Teardown, options: StartOptions = {}): Promise<TestAgent> {
  const [w] = await places(t, ['unix.test'])
  const a = await new TestAgent(w!, options).start()
  t.teardown(() => a.close())
  return a
}

/** Does what `fnaad <words>` does in a running agent. */
export async function admin(agent: TestAgent, ...words: string[]): Promise<readonly string[]> {
  const name = words.slice(0, 2).join(' ')
  const auth = agent.kernel.loaded.filter(l => l.plugin.manifest.kind === 'auth').map(l => l.service as AuthService)
  const command = auth.flatMap(s => s.admin).find(c => c.name === name)!
  return command.run(words.slice(2), {}, { signal: AbortSignal.timeout(10_000) })
}

/** Waits until `look` gives something, looking again whenever a resource of the agent changes. */
export async function eventually<T>(
  agent: TestAgent,
  look: () => T | undefined,
  what: string,
  ms = 20_000,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => finish(new Error(`in ${ms} ms: ${what}`)), ms)
    const stop = agent.kernel.resources.onChange(() => check())
    const finish = (e: Error | null, value?: T) => {
      clearTimeout(timer)
      stop()
      if (e) reject(e)
      else resolve(value as T)
    }
    const check = () => {
      const value = look()
      if (value !== undefined) finish(null, value)
    }
    check()
  })
}
/** The promise rejects with this symbol of FNAP. */
export async function refused(
  t: { equal: (a: unknown, b: unknown, m: string) => unknown },
  work: Promise<unknown>,
  symbol: string,
  m?: string,
): Promise<void> {
  const outcome = await work.then(
    () => 'no error',
    e => (e as { symbol?: string }).symbol ?? String(e),
  )
  t.equal(outcome, symbol, m ?? symbol)
}
