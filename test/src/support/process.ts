import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FnapConnection, plain } from '@fnaa/client'
import type { Host } from '@fnaa/services'
import { Client, CONFIG, freePort, type Teardown, type Where } from './agents.js'

/** The test runner gives its children a loader that it needs for coverage: a program under test starts without it. */
export const PLAIN = ['-u', 'NODE_OPTIONS']
export const FNAAD = fileURLToPath(new URL('../../../core/bin/fnaad.js', import.meta.url))

/** An agent in a process of its own, that a test may kill and start again over the same state. */
export class ProcessAgent {
  readonly where: Where
  readonly config: string
  readonly #within: readonly string[]
  #child: ChildProcess | null = null
  #log = ''

  private constructor(where: Where, config: string, within: readonly string[] = []) {
    this.where = where
    this.config = config
    this.#within = within
  }

  /** Writes its config and makes the user test/test. */
  static async prepare(t: Teardown, where: Where, extra: object = {}): Promise<ProcessAgent> {
    const fixed = { ...where, port: where.port || (await freePort()) }
    await mkdir(fixed.data, { recursive: true })
    const config = join(fixed.data, 'fnaad.config.ts')
    await writeFile(
      config,
      `import base from ${JSON.stringify(CONFIG)}\nexport default { ...base(${JSON.stringify(fixed)}), ...${JSON.stringify(extra)} }\n`,
    )
    const agent = new ProcessAgent(fixed, config)
    await fnaad(['--config', config, 'user', 'add', 'test'], 'test\n')
    t.teardown(() => agent.kill())
    return agent
  }

  /** An agent on a host of its own, as its operator has written its config; with the user test/test. */
  static async on(t: Teardown, host: Pick<Host, 'within'>, where: Where, text: string): Promise<ProcessAgent> {
    const agent = await ProcessAgent.over(t, host, where, text)
    await agent.operate(['user', 'add', 'test'], 'test\n')
    return agent
  }

  /** The same over state that is there already. */
  static async over(t: Teardown, host: Pick<Host, 'within'>, where: Where, text: string): Promise<ProcessAgent> {
    await mkdir(where.data, { recursive: true })
    const config = join(where.data, 'fnaad.config.ts')
    await writeFile(config, text)
    const agent = new ProcessAgent(where, config, host.within)
    t.teardown(() => agent.kill())
    return agent
  }

  /** What its operator types on its host: `fnaad --config … key show`. */
  operate(args: readonly string[], input = ''): Promise<string> {
    return fnaad(['--config', this.config, ...args], input, this.#within)
  }

  get log(): string {
    return this.#log
  }
  get pid(): number {
    return this.#child!.pid!
  }
  get alive(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Resolves when it listens. */
  async start(): Promise<this> {
    const command = [...this.#within, 'env', ...PLAIN, process.execPath, FNAAD, '--config', this.config]
    const child = spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, FNAAD_TEST_KILL: '1', FNAAD_LOG_LEVEL: 'error' },
    })
    this.#child = child
    child.stderr!.on('data', (d: Buffer) => {
      this.#log = (this.#log + d.toString()).slice(-20_000)
    })
    const up = once(child, 'message')
    const [outcome] = await Promise.race([up, once(child, 'exit')])
    if ((outcome as { ready?: unknown } | null)?.ready === undefined)
      throw new Error(`the agent did not start:\n${this.#log}`)
    return this
  }

  /** Kills itself at the n-th passing of a step from now on; '' disarms. @returns false where it has died already */
  async arm(step: string): Promise<boolean> {
    if (!this.alive) return false
    const child = this.#child!
    const armed = once(child, 'message')
    const died = this.died()
    child.send({ kill: step }, () => undefined)
    await Promise.race([armed, died])
    return this.alive
  }

  /** Resolves when it has died. */
  async died(): Promise<void> {
    if (this.alive) await once(this.#child!, 'exit')
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.alive) return
    this.#child!.kill(signal)
    await this.died()
  }

  /** Sends a signal; the exit code, when it has ended. */
  async ended(signal: NodeJS.Signals): Promise<number | null> {
    const exit = once(this.#child!, 'exit')
    this.#child!.kill(signal)
    return ((await exit) as [number | null])[0]
  }

  async login(): Promise<Client> {
    const socket = connect(this.where.port, '127.0.0.1')
    await once(socket, 'connect')
    const connection = await FnapConnection.connect(socket)
    await connection.authenticate('PLAIN', plain({ user: 'test', password: 'test', peer: connection.peerInfo() }))
    return new Client(connection)
  }

  /** The processes that it has started (its processor hosts): none for a moment, while one is started anew. */
  async children(): Promise<number[]> {
    return childrenOf(this.pid)
  }
}

/** The processes that this one has started. */
export async function childrenOf(process: number): Promise<number[]> {
  const out = await run('ps', ['-A', '-o', 'pid=,ppid='])
  const rows = out.split('\n').map(l => l.trim().split(/\s+/).map(Number))
  return rows.flatMap(([pid, parent]) => (parent === process && pid ? [pid] : []))
}

/** Runs `fnaad` with arguments and standard input; rejects with what it said when it fails. */
export function fnaad(args: readonly string[], input = '', within: readonly string[] = []): Promise<string> {
  return run(process.execPath, [FNAAD, ...args], input, within)
}

function run(program: string, args: readonly string[], input = '', within: readonly string[] = []): Promise<string> {
  const [first, ...rest] = [...within, 'env', ...PLAIN, program, ...args]
  return new Promise((resolve, reject) => {
    const child = execFile(first!, rest, (e, out, err) =>
      e ? reject(new Error(`${args.join(' ')}: ${err}`)) : resolve(out),
    )
    // It may end without having read: what it says and its exit code count.
    child.stdin?.on('error', () => undefined).end(input)
  })
}
