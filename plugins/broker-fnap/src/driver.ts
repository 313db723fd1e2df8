import type { FnapConnection } from '@fnaa/client'
import type { Call, Driver, Sink, Source, Wire } from '@fnaa/core/plugin'
import { login, type Where } from './login.js'
import { FnapSink } from './sink.js'
import { openSource } from './source.js'

/** Opens an endpoint of type fnap: each source and each sink has a connection of its own. */
const driver: Driver = {
  async open(endpoint, credential, host, c) {
    const where = { endpoint, credential, host }
    // Whether anybody answers and lets us in is said here, and the first source or sink need not wait for it.
    return new FnapWire(where, await login(where, c))
  },
}
export default driver

class FnapWire implements Wire {
  readonly #where: Where
  readonly #connections = new Set<FnapConnection>()
  /** Logged in, and of nobody yet. */
  #spare: FnapConnection | null
  #closed = false

  constructor(where: Where, first: FnapConnection) {
    this.#where = where
    this.#spare = this.#kept(first)
  }

  async source(opt: Parameters<Wire['source']>[0], c: Call): Promise<Source> {
    return openSource(await this.#connection(c), this.#where, opt, c)
  }

  async sink(_opt: object, c: Call): Promise<Sink> {
    return FnapSink.open(await this.#connection(c), this.#where.endpoint.queue, c)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const connection of this.#connections) connection.destroy()
  }

  async #connection(c: Call): Promise<FnapConnection> {
    const spare = this.#spare
    this.#spare = null
    return spare?.open ? spare : this.#kept(await login(this.#where, c))
  }

  #kept(connection: FnapConnection): FnapConnection {
    this.#connections.add(connection)
    void connection.closed.then(() => this.#connections.delete(connection))
    // Nobody would close it any more.
    if (this.#closed) connection.destroy()
    return connection
  }
}
