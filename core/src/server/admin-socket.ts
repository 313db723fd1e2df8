import { chmod, mkdir, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { signalAfter } from '@fnaa/client'
import type { AdminCommand, AuthService } from '../contract/auth.js'
import { FnaError } from '../contract/errors.js'
import { doctorCommand } from '../doctor/inside.js'
import type { Kernel } from '../kernel.js'
import { sessionsCommand } from './sessions-command.js'

export interface AdminRequest {
  readonly name: string
  readonly args: readonly string[]
  readonly password?: string
}
type AdminReply = { readonly lines: readonly string[] } | { readonly error: string }

const MOST = 64 * 1024
/** Bytes of a unix socket's path (sun_path, less its NUL). */
const MOST_PATH = 107
export const socketPath = (data: string): string => join(data, 'admin.sock')

/** The commands that auth plugins bring. */
export function adminCommands(loaded: Kernel['loaded']): AdminCommand[] {
  return loaded.flatMap(l => (l.plugin.manifest.kind === 'auth' ? [...(l.service as AuthService).admin] : []))
}

/** Runs one command of a plugin. @throws FNA_ERR_INVALID for one that no plugin has */
export async function runAdmin(commands: readonly AdminCommand[], r: AdminRequest): Promise<readonly string[]> {
  const found = commands.find(c => c.name === r.name)
  if (!found)
    throw new FnaError(
      'FNA_ERR_INVALID',
      `no plugin of the config does '${r.name}'; there are: ${commands.map(c => c.name).join(', ') || 'none'}`,
    )
  return found.run(r.args, r.password === undefined ? {} : { password: r.password }, {
    signal: signalAfter(30_000),
  })
}

/** A unix socket of mode 0600 in the agent's directory: `fnaad user`, `key` and `sessions` speak to the running agent here. */
export class AdminSocket {
  readonly #server: Server
  readonly #path: string

  private constructor(server: Server, path: string) {
    this.#server = server
    this.#path = path
  }

  /** `changed` runs after each command that was done: keys may have to be published. */
  static async open(kernel: Kernel, changed: () => Promise<void> = async () => undefined): Promise<AdminSocket> {
    const path = socketPath(kernel.config.data)
    if (Buffer.byteLength(path) > MOST_PATH) {
      throw new FnaError(
        'FNA_ERR_CONFIG',
        `data ${kernel.config.data} is too long: ${path} must be at most ${MOST_PATH} bytes to be a unix socket; choose a shorter directory`,
      )
    }
    await mkdir(kernel.config.data, { recursive: true, mode: 0o700 })
    // The store's lock says that no other agent lives here: what stands there is left over from a crash.
    await rm(path, { force: true })
    const commands = [...adminCommands(kernel.loaded), sessionsCommand(kernel), doctorCommand(kernel)]
    const server = createServer(socket => {
      socket.on('error', () => undefined)
      socket.setTimeout(10_000, () => socket.destroy())
      let size = 0
      socket.on('data', chunk => {
        size += chunk.length
        if (size > MOST) socket.destroy()
      })
      oneLine(socket, line => {
        void answer(commands, line, changed).then(reply => socket.end(`${JSON.stringify(reply)}\n`))
      })
    })
    const mask = process.umask(0o177)
    try {
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
    } finally {
      process.umask(mask)
    }
    await chmod(path, 0o600)
    server.unref()
    return new AdminSocket(server, path)
  }

  async close(): Promise<void> {
    this.#server.close()
    await rm(this.#path, { force: true })
  }
}

/** readline passes a socket's errors on: without a listener they would end the process. */
function oneLine(socket: Socket, use: (line: string) => void): void {
  createInterface({ input: socket })
    .on('error', () => undefined)
    .once('line', use)
}

async function answer(
  commands: readonly AdminCommand[],
  line: string,
  changed: () => Promise<void>,
): Promise<AdminReply> {
  try {
    const lines = await runAdmin(commands, JSON.parse(line) as AdminRequest)
    await changed()
    return { lines }
  } catch (e) {
    return { error: (e as Error).message }
  }
}

/** Asks a running agent. @returns null where none runs */
export function askAgent(data: string, request: AdminRequest): Promise<readonly string[] | null> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath(data))
    socket.once('error', () => resolve(null))
    socket.once('connect', () => socket.write(`${JSON.stringify(request)}\n`))
    oneLine(socket, line => {
      const reply = JSON.parse(line) as AdminReply
      if ('error' in reply) reject(new FnaError('FNA_ERR_INVALID', reply.error))
      else resolve(reply.lines)
    })
  })
}
