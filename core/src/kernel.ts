import type { Command } from '@fnaa/protocol'
import type { Config, FederationPeriods, ServerLimits } from './config/define.js'
import type { AuthMechanism } from './contract/auth.js'
import type { Clock, Dial, KeyValue, Logger, Resolve } from './contract/common.js'
import type { StoreService } from './contract/store.js'
import type { BrokerAccess } from './data/broker-access.js'
import type { Brokers } from './data/brokers.js'
import type { Positions } from './data/positions.js'
import type { Issued } from './federation/issued.js'
import type { Peers } from './federation/peers.js'
import type { Pins } from './federation/pins.js'
import type { Provider } from './federation/provider.js'
import type { Quotas } from './federation/quotas.js'
import type { Subscriptions } from './federation/subscriptions.js'
import type { Audit } from './grants/audit.js'
import type { Authorizer } from './grants/authorizer.js'
import type { Loaded } from './host/boot.js'
import type { Aliases } from './names/aliases.js'
import type { Announcement } from './names/announcement.js'
import type { Registrar } from './names/registrar.js'
import type { Processors } from './processors/processors.js'
import type { WorkQueue } from './resources/queue.js'
import type { Resources } from './resources/resources.js'
import type { Room } from './resources/room.js'
import type { Listener } from './server/listener.js'
import type { SessionRegistry } from './server/registry.js'
import type { Result, Session } from './server/session.js'
import type { Certificates } from './tls/certificates.js'

/** The parts of one agent, as its commands and controllers see them. Assembled in agent.ts; nothing here is global. */
export interface Kernel {
  readonly config: Config
  readonly clock: Clock
  readonly log: Logger
  readonly limits: ServerLimits
  readonly periods: FederationPeriods
  readonly loaded: readonly Loaded[]
  readonly store: StoreService
  readonly resources: Resources
  readonly queue: WorkQueue
  readonly aliases: Aliases
  readonly authorizer: Authorizer
  readonly audit: Audit
  readonly sessions: SessionRegistry
  readonly mechanisms: ReadonlyMap<string, AuthMechanism>
  readonly brokers: Brokers
  readonly positions: Positions
  readonly room: Room
  readonly secrets: KeyValue
  readonly issued: Issued
  readonly access: BrokerAccess
  readonly registrar: Registrar
  readonly announcement: Announcement
  readonly provider: Provider
  readonly quotas: Quotas
  readonly peers: Peers
  readonly pins: Pins
  readonly subscriptions: Subscriptions
  readonly processors: Processors
  readonly dial: Dial
  readonly resolve: Resolve
  readonly listener: Listener
  readonly certificates: Certificates | null
  /** CAs that may vouch for a domain at level pkix, PEM; null: the system's. */
  readonly roots: string | null
  /** This life's number: rises with every election, so with every boot (federation rule 8). */
  readonly epoch: number
  readonly draining: boolean
  run(command: Command, session: Session): Result | Promise<Result>
}
