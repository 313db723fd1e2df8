import type { BrokerService, BrokerSupports, Wire } from '../contract/broker.js'
import type { Call, Dial, Logger } from '../contract/common.js'
import { FnaError } from '../contract/errors.js'
import type { FlowSpec, FlowStatus } from '../contract/kinds.js'
import type { Manifest } from '../contract/plugin.js'
import type { Loaded } from '../host/boot.js'
import { loadDriver } from './drivers.js'

/** A broker that this participant operates. */
export interface Broker {
  readonly id: string
  readonly supports: BrokerSupports
  readonly service: BrokerService
  readonly driver: string
}

/** What an instance supports now: its manifest's, with the access that its broker turned out to allow. */
export const supportsOf = (s: BrokerSupports, service: Pick<BrokerService, 'access'>): BrokerSupports =>
  service.access ? { ...s, access: service.access() ?? [] } : s

/** The brokers of the config, and the drivers of every type that it loads. */
export class Brokers {
  readonly #operated = new Map<string, Broker>()
  readonly #drivers = new Map<string, Manifest<'broker'>>()
  readonly #host: { log: Logger; dial: Dial; base: string }

  constructor(loaded: readonly Loaded[], host: { log: Logger; dial: Dial; base: string }) {
    this.#host = host
    for (const l of loaded) {
      if (l.plugin.manifest.kind !== 'broker') continue
      const manifest = l.plugin.manifest as Manifest<'broker'>
      if (manifest.driver !== undefined) this.#drivers.set(manifest.supports.type, manifest)
      if ('driverOnly' in l.service) continue
      const service = l.service as BrokerService
      this.#operated.set(l.plugin.id, {
        id: l.plugin.id,
        get supports() {
          return supportsOf(manifest.supports, service)
        },
        service,
        driver: manifest.driver ?? '',
      })
    }
  }

  /** Those that hold flows, by instance id. */
  get operated(): ReadonlyMap<string, Broker> {
    return this.#operated
  }
  get default(): Broker | undefined {
    return this.#operated.values().next().value
  }
  /** Types that a stranger's endpoint may have: what ACCEPT lists. */
  get types(): string[] {
    return [...this.#drivers].filter(([, m]) => m.supports.reach === 'network').map(([type]) => type)
  }
  /** Every type loaded. */
  get advertised(): string[] {
    return [...this.#drivers.keys()]
  }

  manifest(type: string): Manifest<'broker'> | undefined {
    return this.#drivers.get(type)
  }

  /** @throws FNA_ERR_UNSUPPORTED where the config no longer has the flow's broker */
  of(flow: { readonly spec: Pick<FlowSpec, 'broker'> }): Broker {
    const broker = this.#operated.get(flow.spec.broker)
    if (!broker) throw new FnaError('FNA_ERR_UNSUPPORTED', `the config has no broker '${flow.spec.broker}'`)
    return broker
  }

  /** The flow's queue, opened with the kernel's own rights. */
  async open(flow: { readonly spec: Pick<FlowSpec, 'broker'>; readonly status: FlowStatus }, c: Call): Promise<Wire> {
    if (flow.status.queue === undefined) throw new FnaError('FNA_ERR_NOTFOUND', 'the flow has no queue yet')
    return this.openQueue(this.of(flow), flow.status.queue, c)
  }

  /** Any queue of a broker of ours. */
  async openQueue(broker: Broker, queue: string, c: Call): Promise<Wire> {
    const { endpoint, credential } = broker.service.internal(queue)
    const driver = await loadDriver(broker.driver, this.#host.base)
    return driver.open(endpoint, credential, { log: this.#host.log, dial: this.#host.dial, foreign: false }, c)
  }
}
