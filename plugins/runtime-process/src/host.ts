import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { type Call, type Credential, FnaError, type Logger, type Run, type RunStatus } from '@fnaa/core/plugin'
import { fromStatusMessage, loadService, type StatusMessage, toMessage } from '@fnaa/processor-host'
import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js'
import type { Folder } from './folders.js'

const require = createRequire(import.meta.url)
const START_MS = 15_000
const CALL_MS = 20_000

type Unary = (m: object, opt: { deadline: number }, done: (e: ServiceError | null, r?: object) => void) => void
interface Client {
  Create: Unary
  Destroy: Unary
  Watch(m: object): ClientReadableStream<StatusMessage>
  close(): void
}

/** One host process: started, watched, and gone when it dies. */
export class Host {
  readonly #child: ChildProcess
  readonly #client: Client
  /** Runs that live in it. */
  readonly runs = new Set<string>()
  readonly exited: Promise<void>
  #alive = true

  private constructor(child: ChildProcess, client: Client, folder: Folder) {
    this.#child = child
    this.#client = client
    this.exited = new Promise(resolve => {
      child.once('exit', () => {
        this.#alive = false
        client.close()
        void folder.remove().then(resolve, resolve)
      })
    })
  }

  get alive(): boolean {
    return this.#alive
  }
  get pid(): number | undefined {
    return this.#child.pid
  }

  /** @throws FNA_ERR_UNAVAILABLE where the program does not come up within 15 s, or before `signal` aborts */
  static async start(program: string, folder: Folder, log: Logger, signal: AbortSignal): Promise<Host> {
    const { socket } = folder
    const child = spawn(process.execPath, [program, socket], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env },
    })
    await ready(child, signal)
    child.stdout?.resume()
    child.stdin?.on('error', () => undefined)
    const grpc = require('@grpc/grpc-js') as typeof import('@grpc/grpc-js')
    const { Client } = loadService()
    const client = new Client(`unix:${socket}`, grpc.credentials.createInsecure()) as unknown as Client
    log.info({ pid: child.pid }, 'processor host started')
    return new Host(child, client, folder)
  }

  async create(run: Run, secrets: Readonly<Record<string, Credential>>, c: Call): Promise<void> {
    await this.#call('Create', toMessage({ run, secrets }), c)
    this.runs.add(run.id)
  }

  async destroy(id: string, epoch: number, c: Call): Promise<boolean> {
    const reply = (await this.#call('Destroy', { id, epoch }, c)) as { removed: boolean }
    this.runs.delete(id)
    return reply.removed
  }

  watch(tell: (s: RunStatus) => void): void {
    const stream = this.#client.Watch({})
    stream.on('data', (m: StatusMessage) => tell(fromStatusMessage(m)))
    stream.on('error', () => undefined)
  }

  /** Ends its input, which makes it exit; kills it when it does not. */
  async stop(): Promise<void> {
    if (!this.#alive) return
    this.#child.stdin?.end()
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 3000)
    await this.exited
    clearTimeout(late)
  }

  #call(method: 'Create' | 'Destroy', message: object, c: Call): Promise<object> {
    return new Promise((resolve, reject) => {
      if (!this.#alive) return reject(new FnaError('FNA_ERR_UNAVAILABLE', 'the processor host has died'))
      void this.exited.then(() => reject(new FnaError('FNA_ERR_UNAVAILABLE', 'the processor host has died')))
      if (c.signal.aborted) return reject(new FnaError('FNA_ERR_CLOSED', 'called off'))
      this.#client[method](message, { deadline: Date.now() + CALL_MS }, (e, r) => {
        if (!e) return resolve(r ?? {})
        const fenced = e.code === 9
        reject(
          new FnaError(fenced ? 'FNA_ERR_FENCED' : 'FNA_ERR_UNAVAILABLE', `processor host: ${e.details}`, { cause: e }),
        )
      })
    })
  }
}

function ready(child: ChildProcess, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      child.kill('SIGKILL')
      reject(new FnaError('FNA_ERR_UNAVAILABLE', `the processor host did not start: ${why}`))
    }
    const end = () => fail('it is no longer needed')
    const late = setTimeout(() => fail('it took too long'), START_MS)
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    child.once('error', e => fail(e.message))
    child.once('exit', code => {
      clearTimeout(late)
      fail(`exit ${code}`)
    })
    child.stdout?.once('data', () => {
      clearTimeout(late)
      child.removeAllListeners('exit')
      signal.removeEventListener('abort', end)
      resolve()
    })
  })
}
