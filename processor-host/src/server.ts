import { createRequire } from 'node:module'
import { InTurn } from '@fnaa/client'
import type { Logger, RunStatus } from '@fnaa/core/plugin'
import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js'
import { Engine } from './engine.js'
import { healthDefinition } from './health.js'
import { type CreateMessage, fromMessage, loadService, type StatusMessage, toStatusMessage } from './wire.js'

const require = createRequire(import.meta.url)
interface RunRef {
  id: string
  epoch: number
}

/** The gRPC service of figure 12 over the engine: runs by id, fenced by epoch. */
export class ProcessorServer {
  readonly #log: Logger
  /** What is asked of one run happens one after another: stopping takes a while, and who asks again meanwhile starts no second one. */
  readonly #turns = new InTurn()
  readonly #runs = new Map<string, Engine>()
  /** The highest epoch seen of each id, ended runs too. */
  readonly #epochs = new Map<string, number>()
  readonly #listeners = new Set<(s: RunStatus) => void>()
  readonly #grpc = require('@grpc/grpc-js') as typeof import('@grpc/grpc-js')
  readonly #server = new this.#grpc.Server()

  constructor(log: Logger) {
    this.#log = log
    this.#server.addService(loadService().definition, {
      Create: this.#unary((m: CreateMessage) => this.#create(m)),
      Update: this.#unary((m: CreateMessage) => this.#create(m)),
      Destroy: this.#unary((m: RunRef) => this.#destroy(m)),
      Pause: this.#unary((m: RunRef) => this.#steer(m, e => e.pause())),
      Resume: this.#unary((m: RunRef) => this.#steer(m, e => e.resume())),
      Watch: (call: ServerWritableStream<object, StatusMessage>) => this.#watch(call),
    })
    const health = healthDefinition()
    this.#server.addService(health, { Check: this.#unary(async () => ({ status: 'SERVING' })) })
  }

  /** `address` as gRPC writes it: `unix:/path`. */
  listen(address: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, this.#grpc.ServerCredentials.createInsecure(), e => (e ? reject(e) : resolve()))
    })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#runs.values()].map(e => e.stop()))
    this.#server.forceShutdown()
  }

  async #create(m: CreateMessage): Promise<object> {
    const spec = fromMessage(m)
    const { id, epoch } = spec.run
    this.#seen(id, epoch)
    return this.#turns.run(id, async () => {
      if (this.#epochs.get(id) !== epoch) throw this.#error('FAILED_PRECONDITION', 'a higher epoch has come meanwhile')
      const running = this.#runs.get(id)
      if (running?.epoch === epoch) {
        await running.update(spec)
        return {}
      }
      // The old run has stopped writing before the new one begins.
      if (running) await running.stop()
      if (this.#epochs.get(id) !== epoch) throw this.#error('FAILED_PRECONDITION', 'a higher epoch has come meanwhile')
      const engine = new Engine(spec, this.#log, s => this.#tell(s))
      this.#runs.set(id, engine)
      engine.start()
      return {}
    })
  }

  async #destroy(m: RunRef): Promise<object> {
    this.#seen(m.id, m.epoch)
    return this.#turns.run(m.id, async () => {
      const engine = this.#runs.get(m.id)
      if (!engine || engine.epoch > m.epoch) return { removed: false }
      this.#runs.delete(m.id)
      await engine.stop()
      // Where its sinks stand at last goes out before the answer.
      this.#tell({ ...engine.status(), phase: 'gone' })
      return { removed: true }
    })
  }

  /** @throws FAILED_PRECONDITION for an epoch below one that was seen */
  #seen(id: string, epoch: number): void {
    if (epoch < (this.#epochs.get(id) ?? 0)) throw this.#error('FAILED_PRECONDITION', 'a higher epoch has been seen')
    this.#epochs.set(id, epoch)
  }

  async #steer(m: RunRef, act: (e: Engine) => void): Promise<object> {
    const engine = this.#runs.get(m.id)
    if (!engine || engine.epoch !== m.epoch) throw this.#error('NOT_FOUND', 'no such run')
    act(engine)
    return {}
  }

  #watch(call: ServerWritableStream<object, StatusMessage>): void {
    const send = (s: RunStatus) => call.write(toStatusMessage(s))
    this.#listeners.add(send)
    call.on('cancelled', () => this.#listeners.delete(send))
    call.on('close', () => this.#listeners.delete(send))
    for (const e of this.#runs.values()) send(e.status())
  }

  #tell(s: RunStatus): void {
    const current = this.#runs.get(s.id)
    if (s.phase !== 'gone' && current && current.epoch !== s.epoch) return
    for (const send of this.#listeners) send(s)
  }

  #error(code: 'FAILED_PRECONDITION' | 'NOT_FOUND', details: string) {
    return { code: this.#grpc.status[code], details }
  }

  #unary<I>(work: (m: I) => Promise<object>) {
    return (call: ServerUnaryCall<I, object>, done: sendUnaryData<object>) => {
      work(call.request).then(
        r => done(null, r),
        e => done({ code: e.code ?? this.#grpc.status.INTERNAL, details: e.details ?? String((e as Error).message) }),
      )
    }
  }
}
