import { AddressGuard, makeDial, Resolver } from '@fnaa/client'
import {
  type Call,
  type Credential,
  type Dial,
  type Driver,
  type Logger,
  operatorsDial,
  type Port,
  type Run,
  type Wire,
} from '@fnaa/core/plugin'

/** Opens the ends of a run, each by the driver that it names. */
export class Ports {
  readonly #log: Logger
  readonly #resolver: Resolver
  readonly #strict: Dial
  readonly #own: Dial

  constructor(network: Run['network'], log: Logger) {
    this.#log = log
    const { servers, trustAd, allow } = network
    const at = servers.map(s => ({
      host: s.slice(0, s.lastIndexOf(':')).replace(/^\[|\]$/g, ''),
      port: Number(s.slice(s.lastIndexOf(':') + 1)),
    }))
    this.#resolver = new Resolver({ servers: at, trustAd })
    const resolve = this.#resolver.resolve as never
    this.#strict = makeDial({ resolve, guard: new AddressGuard({ allow }) })
    // Our own endpoints are named by our own agent, so the guard against strangers' addresses does not apply.
    this.#own = makeDial({ resolve, guard: new AddressGuard({ allow: ['0.0.0.0/0', '::/0'] }) })
  }

  async open(p: Port, credential: Credential | null, c: Call): Promise<Wire> {
    const driver = await load<Driver>(p.driver)
    // Brokers of our own stand in no zone of ours: the operator's machine knows their names.
    const dial = p.foreign ? this.#strict : p.endpoint.type === 'fnap' ? this.#own : operatorsDial
    return driver.open(p.endpoint, credential, { log: this.#log, dial, foreign: p.foreign }, c)
  }

  close(): void {
    this.#resolver.close()
  }
}

/** The default export of a module. */
export async function load<T>(url: string): Promise<T> {
  return ((await import(url)) as { default: T }).default
}
