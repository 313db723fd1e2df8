import { randomBytes } from 'node:crypto'
import { closeSync, constants, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { FnaError } from '@fnaa/core/plugin'

/** Where the holder's name is kept: inside the environment, whose write transactions are serialised by the OS. */
export interface Register {
  read(): string | null
  /** Writes `mine` (null: nothing) where `seen` still stands, in one write transaction. */
  swap(seen: string | null, mine: string | null): boolean
}

interface Holder {
  readonly pid: number
  /** When the process began, in the kernel's ticks; null where /proc does not say. */
  readonly began: string | null
  readonly socket: string
  readonly since: string
}

/** `sun_path` has room for 108 bytes on Linux and 104 elsewhere. */
const LONGEST = 100
const TRIES = 16

/**
 * One process per directory. The holder listens on a unix socket of its own: the OS closes it when the process ends,
 * however it ends, so a lock that kill -9 left behind is told from a live one without looking at process ids, which are
 * reused and mean nothing across containers. Who takes over a dead one is decided by compare-and-swap in the register.
 */
export class Lock {
  private constructor(
    private readonly directory: string,
    private readonly register: Register,
    private readonly record: string,
    private readonly server: Server,
    private readonly socket: string,
  ) {}

  /**
   * Looks who holds the directory, before its environment is opened: there a writer that stands still would be waited for.
   * @throws FNA_ERR_LOCKED, naming the process and the directory
   */
  static async look(directory: string): Promise<void> {
    const holder = noted(directory)
    if (holder && (await alive(directory, holder))) throw locked(directory, holder)
  }

  /** @throws FNA_ERR_LOCKED, naming the process and the directory */
  static async take(directory: string, register: Register, since: number): Promise<Lock> {
    const socket = `lock-${randomBytes(6).toString('hex')}.sock`
    const server = await listen(directory, socket)
    const holder: Holder = { pid: process.pid, began: began(process.pid), socket, since: new Date(since).toISOString() }
    const record = JSON.stringify(holder)
    try {
      for (let i = 0; i < TRIES; i++) {
        const seen = register.read()
        const holder = seen === null ? null : (JSON.parse(seen) as Holder)
        if (holder && (await alive(directory, holder))) throw locked(directory, holder)
        if (!register.swap(seen, record)) continue
        if (holder) rmSync(join(directory, holder.socket), { force: true })
        writeFileSync(join(directory, 'lock'), `${process.pid}\n${record}\n`, { mode: 0o600 })
        return new Lock(directory, register, record, server, socket)
      }
      throw new FnaError('FNA_ERR_LOCKED', `${directory}: several processes are taking it at once`)
    } catch (e) {
      await shut(server, join(directory, socket))
      throw e
    }
  }

  /** Forgets the holder; call it before the environment closes. */
  async release(): Promise<void> {
    if (this.register.swap(this.record, null)) rmSync(join(this.directory, 'lock'), { force: true })
    await shut(this.server, join(this.directory, this.socket))
  }
}

/** The file `lock`: the process id on a line, for people, and the whole holder on the next. What decides is the register. */
function noted(directory: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, 'lock'), 'utf8').split('\n')[1]!) as Holder
  } catch {
    return undefined
  }
}

function locked(directory: string, holder: Holder): FnaError {
  return new FnaError('FNA_ERR_LOCKED', `process ${holder.pid} holds ${directory} since ${holder.since}`)
}

/** Calls `use` with a path to `name` that is short enough for a socket address, however deep the directory is. */
async function short<T>(directory: string, name: string, use: (path: string) => Promise<T>): Promise<T> {
  const path = join(directory, name)
  if (Buffer.byteLength(path) <= LONGEST || process.platform !== 'linux') return use(path)
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return await use(`/proc/self/fd/${fd}/${name}`)
  } finally {
    closeSync(fd)
  }
}

function listen(directory: string, name: string): Promise<Server> {
  return short(directory, name, async path => {
    const server = createServer(s => s.destroy())
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ path, exclusive: true }, resolve)
    })
    return server.unref()
  })
}

/**
 * A refusal proves that nobody listens. An absent socket may have been swept away under a living process, so then the
 * process is looked at: its number alone would not do, for numbers are used again.
 */
async function alive(directory: string, holder: Holder): Promise<boolean> {
  const error = await short(directory, holder.socket, knock)
  if (error !== 'ENOENT') return error !== 'ECONNREFUSED'
  return holder.began !== null && began(holder.pid) === holder.began
}

/** Connects to a socket and hangs up. @returns the code of the error, undefined where somebody answered */
function knock(path: string): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.once('error', (e: NodeJS.ErrnoException) => resolve(e.code ?? 'unknown'))
  })
}

function began(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The 22nd field of proc(5); the second one is a name in parentheses, which may hold spaces.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}

async function shut(server: Server, path: string): Promise<void> {
  await new Promise<void>(resolve => server.close(() => resolve()))
  // Node removes the path that it was given, which is not always this one.
  rmSync(path, { force: true })
}
