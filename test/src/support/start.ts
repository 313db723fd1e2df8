import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from './agents.js'
import { PLAIN } from './process.js'

/** The project's folder, where a user types. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

export interface Done {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface ShellOptions {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** The project's folder where absent. */
  readonly cwd?: string
  /** What it runs behind, such as `Host.within` of a network namespace. */
  readonly within?: readonly string[]
}

/** Runs a line as a user types it. */
export function shell(
  line: string,
  { input = '', env = {}, cwd = ROOT, within = [] }: ShellOptions = {},
): Promise<Done> {
  const [program = '', ...args] = [...within, 'env', '-C', cwd, ...PLAIN, 'sh', '-c', line]
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, FNAAD_LOG_LEVEL: 'error', ...env },
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (d: Buffer) => (out += d.toString()))
  child.stderr.on('data', (d: Buffer) => (err += d.toString()))
  child.stdin.on('error', () => undefined).end(input)
  return new Promise(resolve => child.on('close', code => resolve({ code, out, err })))
}

/** scripts/start.mjs, as `npm start` runs it. */
export class Start {
  readonly child: ChildProcessWithoutNullStreams
  #out = ''
  #err = ''
  #wake: (() => void)[] = []

  constructor(args: readonly string[]) {
    const program = [...PLAIN, process.execPath, join(ROOT, 'scripts', 'start.mjs')]
    this.child = spawn('env', [...program, ...args], { cwd: '/' })
    this.child.stdin.end()
    this.child.stdout.on('data', (d: Buffer) => {
      this.#out += d.toString()
      this.#stir()
    })
    this.child.stderr.on('data', (d: Buffer) => (this.#err += d.toString()))
    this.child.on('close', () => this.#stir())
  }

  /** The one line of `--json`. */
  async line(): Promise<Record<string, unknown>> {
    const text = await this.until(/\n/)
    return JSON.parse(text.slice(0, text.indexOf('\n'))) as Record<string, unknown>
  }

  /** All of standard output so far, when it holds what is looked for. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.#out)) {
      if (this.child.exitCode !== null) throw new Error(`it did not start:\n${this.#err}`)
      await new Promise<void>(resolve => this.#wake.push(resolve))
    }
    return this.#out
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<Done> {
    if (this.child.exitCode === null) await once(this.child, 'close')
    return { code: this.child.exitCode, out: this.#out, err: this.#err }
  }

  #stir(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  /** @returns what it wrote to standard output, all of it */
  async stop(): Promise<string> {
    if (this.child.exitCode === null) {
      this.child.kill('SIGTERM')
      await once(this.child, 'close')
    }
    return this.#out
  }
}

/** A port with a free one behind it: the second agent takes that. */
export async function twoPorts(): Promise<number> {
  for (;;) {
    const port = await freePort()
    if (port < 65_000) return port
  }
}
