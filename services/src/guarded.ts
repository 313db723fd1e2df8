import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

/**
 * Runs "$@" while standard input is open: when that ends, because the starter has closed it or died of whatever, SIGKILL
 * included, the program is killed and its folder ($FOLDER) removed, and $CLUSTER when no `node-*` is left in it.
 * The program reads $INPUT; descriptor 3 tells its id.
 */
const GUARD = `
exec 4<&0
"$@" <"$INPUT" 3>&- 4<&- &
pid=$!
echo $pid >&3
exec 3>&-
(
  read -r _ <&4
  trap '' TERM
  kill -KILL $pid
  [ -n "$FOLDER" ] || exit
  rm -rf "$FOLDER"
  [ -n "$CLUSTER" ] || exit
  set -- "$CLUSTER"/node-*
  [ -e "$1" ] || rm -rf "$CLUSTER"
) >/dev/null 2>&1 &
guard=$!
exec 4<&-
wait $pid
code=$?
kill $guard 2>/dev/null
exit $code
`

/**
 * Starts a program that does not outlive this process; closing `stdin` ends it.
 * @param opt.folder removed when this process ends before the program
 * @param opt.cluster a folder of several programs, removed with the folder of the last of them
 * @param opt.input a file that the program reads as its standard input
 */
export function guarded(
  command: readonly string[],
  opt: { readonly folder?: string; readonly cluster?: string; readonly input?: string } = {},
): ChildProcess {
  return spawn('sh', ['-c', GUARD, 'guard', ...command], {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C is for this process, which then says when the program ends.
    detached: true,
    env: { ...process.env, FOLDER: opt.folder ?? '', CLUSTER: opt.cluster ?? '', INPUT: opt.input ?? '/dev/null' },
  })
}

/** A guarded program whose lines are watched. */
export class Guarded {
  readonly pid: number
  /** Resolves when it has ended. */
  readonly ended: Promise<void>
  readonly #shell: ChildProcess
  readonly #last: string[] = []
  readonly #lines = new EventEmitter<{ line: [string] }>()

  private constructor(shell: ChildProcess, pid: number, ended: Promise<void>, log?: (line: string) => void) {
    this.#shell = shell
    this.pid = pid
    this.ended = ended
    for (const stream of [shell.stdout!, shell.stderr!]) {
      createInterface({ input: stream }).on('line', line => {
        this.#last.push(line)
        if (this.#last.length > 50) this.#last.shift()
        log?.(line)
        this.#lines.emit('line', line)
      })
    }
  }

  /** @param opt.log gets each line that it writes, to standard output or error */
  static async start(
    command: readonly string[],
    opt: { readonly folder?: string; readonly cluster?: string; readonly log?: (line: string) => void },
  ): Promise<Guarded> {
    const shell = guarded(command, opt)
    const ended = once(shell, 'close').then(() => {})
    const [line] = (await once(shell.stdio[3] as Readable, 'data')) as [Buffer]
    return new Guarded(shell, Number(line.toString()), ended, opt.log)
  }

  get running(): boolean {
    return this.#shell.exitCode === null && this.#shell.signalCode === null
  }
  /** Null while it runs. */
  get code(): number | null {
    return this.#shell.exitCode
  }
  /** The last lines that it wrote. */
  get log(): string {
    return this.#last.join('\n')
  }
  signal(signal: NodeJS.Signals): void {
    if (this.running) process.kill(this.pid, signal)
  }

  /**
   * Resolves when a line with `text` has come.
   * @param ms how long it may take, in milliseconds
   * @throws Error with the last lines, where the program ends before
   */
  async said(text: string, ms: number): Promise<void> {
    if (this.#last.some(line => line.includes(text))) return
    await this.says(text, ms)
  }

  /** The same for a line that is still to come. */
  async says(text: string, ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const found = await Promise.race([
      new Promise<boolean>(resolve => this.#lines.on('line', line => line.includes(text) && resolve(true))),
      this.ended.then(() => false),
      new Promise<boolean>(resolve => {
        timer = setTimeout(resolve, ms, false)
      }),
    ])
    clearTimeout(timer)
    this.#lines.removeAllListeners()
    if (!found) throw new Error(`${this.running ? `nothing after ${ms} ms` : `it ended (${this.code})`}:\n${this.log}`)
  }
}
