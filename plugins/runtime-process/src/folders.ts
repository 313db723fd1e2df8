import { lstat, mkdir, mkdtemp, readdir, readlink, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

/** `sun_path` has room for 108 bytes on Linux and 104 elsewhere. */
const LONGEST = 100
const SOCKET = 'control.sock'
const PREFIX = 'fnaad-host-'

/** A folder of one host, mode 0700, and the socket in it. */
export interface Folder {
  readonly socket: string
  remove(): Promise<void>
}

/**
 * Folders of hosts, in `run` below the agent's own directory. Where that is too deep for a socket's path, in the machine's
 * temporary folder, with a link from `run`: so what a killed agent left is found wherever it lies.
 */
export class Folders {
  readonly #run: string

  constructor(directory: string) {
    this.#run = join(directory, 'run')
  }

  /** Removes what an agent before this one left; nobody else uses the directory, since the store's lock is held. */
  async clean(): Promise<void> {
    const left = await readdir(this.#run).catch(() => [])
    for (const name of left) await this.#remove(join(this.#run, name))
  }

  async make(): Promise<Folder> {
    await mkdir(this.#run, { recursive: true, mode: 0o700 })
    const made = await mkdtemp(join(this.#run, PREFIX))
    if (Buffer.byteLength(join(made, SOCKET)) <= LONGEST) return this.#folder(made, made)
    const short = await mkdtemp(join(tmpdir(), PREFIX))
    await rm(made, { recursive: true })
    await symlink(short, made)
    return this.#folder(made, short)
  }

  #folder(entry: string, place: string): Folder {
    return { socket: join(place, SOCKET), remove: () => this.#remove(entry) }
  }

  async #remove(entry: string): Promise<void> {
    const stat = await lstat(entry).catch(() => null)
    if (stat?.isSymbolicLink()) {
      const place = await readlink(entry)
      // Only what this class makes, wherever a link leads.
      if (basename(place).startsWith(PREFIX)) await rm(place, { recursive: true, force: true })
    }
    await rm(entry, { recursive: true, force: true })
  }
}
