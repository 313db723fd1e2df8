import type { AuthService, AuthSupports } from './auth.js'
import type { BrokerService, BrokerSupports } from './broker.js'
import type { Ctx, Kind } from './common.js'
import type { DnsService, DnsSupports } from './dns.js'
import type { GatewayService, GatewaySupports } from './gateway.js'
import type { ProcessorSupports, ProcessorType, RuntimeService, RuntimeSupports } from './processor.js'
import type { StoreService, StoreSupports } from './store.js'

/** The number of this contract. A plugin written for another one is refused at boot. */
export const CONTRACT = 1

export interface Services {
  store: StoreService
  auth: AuthService
  dns: DnsService
  /** Null: a type that is loaded as driver only. */
  broker: BrokerService | DriverOnly
  runtime: RuntimeService
  processor: ProcessorType
  gateway: GatewayService
}
/** A broker type of which this participant operates none: only its driver is of use. */
export interface DriverOnly {
  readonly driverOnly: true
  health(c: { readonly signal: AbortSignal }): Promise<{ readonly ok: boolean; readonly detail?: string }>
  close(): Promise<void>
}
export interface Supports {
  store: StoreSupports
  auth: AuthSupports
  dns: DnsSupports
  broker: BrokerSupports
  runtime: RuntimeSupports
  processor: ProcessorSupports
  gateway: GatewaySupports
}

/** What the kernel knows of a plugin before it runs; all that it advertises comes from here. Plain data, frozen. */
export interface Manifest<K extends Kind = Kind> {
  /** The package's name. */
  readonly name: string
  readonly version: string
  readonly kind: K
  readonly contract: number
  readonly supports: Supports[K]
  /** JSON Schema (2020-12) of the options; `additionalProperties: false` so that a misspelt option is found. */
  readonly options: object
  /** Brokers: the module whose default export is the Driver, as a file URL (`new URL('./driver.js', import.meta.url).href`). */
  readonly driver?: string
}

export interface Plugin<K extends Kind = Kind> {
  readonly manifest: Manifest<K>
  readonly id: string
  readonly options: unknown
  /** What an operator should know of these options, though they are right: one sentence each, with what to do. Pure. */
  advice?(): readonly string[]
  setup(ctx: Ctx): Promise<Services[K]>
}
export type AnyPlugin = { [K in Kind]: Plugin<K> }[Kind]

/**
 * Makes the factory that a config file calls. The factory is pure: `setup` does the I/O, `close` undoes it.
 * The instance id is the manifest's name without scope, unless the operator gives one.
 */
export function definePlugin<K extends Kind, O>(def: {
  readonly manifest: Manifest<K>
  advice?(options: O): readonly string[]
  setup(ctx: Ctx, options: O): Promise<Services[K]>
}): (
  ...args: Record<never, never> extends O
    ? [options?: O, instance?: { id?: string }]
    : [options: O, instance?: { id?: string }]
) => Plugin<K> {
  const manifest = Object.freeze({
    ...def.manifest,
    supports: Object.freeze({ ...def.manifest.supports }),
  }) as unknown as Manifest<K>
  return (...[options, instance]) => ({
    manifest,
    id: instance?.id ?? manifest.name.replace(/^@[^/]*\//, ''),
    options: options ?? {},
    ...(def.advice && { advice: () => def.advice!((options ?? {}) as O) }),
    setup: ctx => def.setup(ctx, (options ?? {}) as O),
  })
}
