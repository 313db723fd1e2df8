import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Teardown } from './agents.js'

export const FNUA = fileURLToPath(new URL('../../../cli/bin/fnua.js', import.meta.url))

export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** Both streams in the order in which they were written. */
  readonly both: string
}
export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Both streams go to one pipe, as with `2>&1`. */
  readonly merged?: boolean
  /** What it runs behind, such as `Host.within` of a network namespace. */
  readonly within?: readonly string[]
}

/** The user's environment without what could change the outcome: no config, no colour. */
const clean = (env: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => {
  const own = Object.fromEntries(Object.entries(process.env).filter(([k]) => !/^(?:FNUA_|XDG_|NODE_OPTIONS$)/.test(k)))
  return { ...own, HOME: '/nonexistent', ...env }
}

/** A running fnua. */
export class Fnua {
  readonly child: ChildProcessWithoutNullStreams
  readonly done: Promise<Ran>
  #stdout = ''
  #stderr = ''
  #both = ''
  #wake: (() => void)[] = []

  constructor(args: readonly string[], opt: RunOptions = {}) {
    const program = opt.merged ? '/bin/sh' : process.execPath
    const words = opt.merged ? ['-c', 'exec "$0" "$@" 2>&1', process.execPath, FNUA, ...args] : [FNUA, ...args]
    // Without the loader that the test runner gives its children.
    const command = [...(opt.within ?? []), '/usr/bin/env', '-u', 'NODE_OPTIONS', program, ...words]
    this.child = spawn(command[0] as string, command.slice(1), {
      env: clean(opt.env),
      cwd: opt.cwd ?? '/',
    })
    this.child.stdout.on('data', (d: Buffer) => this.#take('out', d))
    this.child.stderr.on('data', (d: Buffer) => this.#take('err', d))
    this.child.stdin.on('error', () => undefined)
    this.done = new Promise(resolve => {
      this.child.on('close', (code, signal) => {
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr, both: this.#both })
        this.#stir()
      })
    })
    if (opt.input !== undefined) this.child.stdin.end(opt.input)
  }

  get stdout(): string {
    return this.#stdout
  }

  /** Resolves when standard output (or error) holds what is looked for. */
  async until(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<void> {
    const text = () => (stream === 'stdout' ? this.#stdout : this.#stderr)
    while (!pattern.test(text())) {
      if (this.child.exitCode !== null) throw new Error(`fnua ended before ${pattern}: ${this.#stdout}${this.#stderr}`)
      await new Promise<void>(resolve => this.#wake.push(resolve))
    }
  }

  #take(from: 'out' | 'err', data: Buffer): void {
    const text = data.toString('utf8')
    if (from === 'out') this.#stdout += text
    else this.#stderr += text
    this.#both += text
    this.#stir()
  }
  #stir(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

/** Runs fnua to its end; standard input is empty unless given. */
export function fnua(args: readonly string[], opt: RunOptions = {}): Promise<Ran> {
  return new Fnua(args, { input: '', ...opt }).done
}

/** Starts fnua; it is killed with the test where it still runs. */
export function startFnua(t: Teardown, args: readonly string[], opt: RunOptions = {}): Fnua {
  const running = new Fnua(args, opt)
  t.teardown(() => running.child.kill('SIGKILL'))
  return running
}

/** A config for one agent in clear on loopback. @returns its path */
export async function configFor(
  directory: string,
  agent: { port: number; domain: string },
  more = '',
): Promise<string> {
  const file = join(directory, `${agent.domain}.flow.yml`)
  const entry = `agents:\n  - name: agent\n    fqdn: fnaa.${agent.domain}\n    address: 127.0.0.1:${agent.port}\n    username: test\n    password: test\n`
  await writeFile(file, `${entry}${more}`, { mode: 0o600 })
  return file
}
