import type { AnyPlugin } from '../contract/plugin.js'

export interface NamespaceConfig {
  readonly name: string
  /** Default: the first administrator. */
  readonly owner?: string
  /** Instance id of a broker plugin; default: the first that operates one. */
  readonly broker?: string
}

/** Bounds of the FNAP server; hardening and security §5 rows 7 to 9 say why there are any. */
export interface ServerLimits {
  /** Connections at once. */
  readonly connections: number
  /** Connections at once that have not logged in. */
  readonly unauthenticated: number
  /** Connections at once from one source (/32 of IPv4, /64 of IPv6). */
  readonly perAddress: number
  /** Seconds for the first login, and for one command line to be complete. */
  readonly loginSeconds: number
  /** Seconds for a TLS handshake. */
  readonly handshakeSeconds: number
  readonly lineSeconds: number
  /** Seconds without a command before a session is closed. */
  readonly idleSeconds: number
  /** Seconds that a client may leave what we wrote unread. */
  readonly stalledSeconds: number
  /** Command lines a second, averaged over ten seconds; 0 is no limit. */
  readonly linesPerSecond: number
  /** Subscriptions here of one other domain that has no QUOTA of its own; as many may have ended within 60 days. */
  readonly domainSubscriptions: number
  /** Subscriptions of one user of our own, aliases included; as many of our own flows may have ended within 60 days. */
  readonly userSubscriptions: number
  /** Processors of one user of our own, beside those of subscriptions. */
  readonly userProcessors: number
  /** Named cursors (READ FROM CURSOR) of one reader, over all flows. */
  readonly cursors: number
  /** Days after which a cursor that nobody used is forgotten. */
  readonly cursorDays: number
}

/** Periods of federation.md, in seconds; each has a floor so that a typo cannot hammer a stranger. */
export interface FederationPeriods {
  readonly lease: number
  readonly grace: number
  readonly tombstone: number
  readonly unknownTombstone: number
  readonly pollPending: number
  readonly poll: number
  readonly rotation: number
}

export interface Config {
  /** The agent's own name, a fully qualified domain name: it greets with it. */
  readonly host: string
  /** The domains that this participant's users and flows belong to; the first is the default one. */
  readonly domains: readonly string[]
  /** `tcp://address:port` (STARTTLS) or `tls://address:port` (implicit TLS). Port 0: chosen by the kernel of the machine. */
  readonly listen: readonly string[]
  /** `host:port` that others are told; default: host and the port of the first listener. */
  readonly advertise?: string
  /**
   * `host:port` of the place to which this agent has moved with all its state. What is left here proves its domains and answers
   * `421 MOVED`; it writes no names and moves no events.
   */
  readonly moved?: string
  /**
   * Addresses of `host` for its A records; default: that of the first listener where it is specific. `interfaces`: those of this
   * machine that strangers may be told, as they are at each moment.
   */
  readonly addresses?: readonly string[] | 'interfaces'
  /** Directory for all state, mode 0700. */
  readonly data: string
  /** PEM files, or a directory in which a development CA is made on first use. */
  readonly tls?:
    | { readonly cert: string; readonly key: string; readonly ca?: string }
    | { readonly development: string }
  readonly namespaces?: readonly (string | NamespaceConfig)[]
  /** Principals that may do everything: `alice@unix.test`. */
  readonly administrators?: readonly string[]
  readonly resolver?: {
    /** `host:port`; default 127.0.0.1:53. */
    readonly servers: readonly string[]
    /** Believe the AD bit of these resolvers, which are on loopback or on one of `trustNetworks`. */
    readonly trustAd?: boolean
    /** CIDR ranges of networks on which every machine, and whoever can listen there, is trusted. */
    readonly trustNetworks?: readonly string[]
  }
  readonly trust?: {
    /** Levels that suffice for every domain; default dnssec and pkix. */
    readonly levels?: readonly ('dnssec' | 'pkix')[]
    /** Domains, by name, for which unsigned DNS suffices. */
    readonly dns?: readonly string[]
    /** A PEM file of CAs, beside the system's, whose certificates vouch for domains at level pkix. */
    readonly ca?: string
  }
  readonly network?: {
    /** CIDR ranges that strangers may name although they are private or loopback. */
    readonly allow?: readonly string[]
  }
  /** Put the names of subscriptions' endpoints into DNS. Default false. */
  readonly publishEndpoints?: boolean
  readonly limits?: Partial<ServerLimits>
  readonly federation?: Partial<FederationPeriods>
  readonly log?: { readonly level?: 'debug' | 'info' | 'warn' | 'error' | 'silent' }
  /** Factories' results; falsy entries are ignored, arrays flatten. */
  readonly plugins: readonly PluginOption[]
}
export type PluginOption = AnyPlugin | false | null | undefined | '' | 0 | readonly PluginOption[]

/** What `fnaad dev`, examples and tests may ask a config to be: every field has a default in the config itself. */
export interface ConfigAt {
  readonly domain?: string
  readonly port?: number
  readonly data?: string
  readonly dnsPort?: number
  readonly ca?: string
  /** Zones of other participants on this machine, and who answers for them (`host:port`). */
  readonly neighbours?: Readonly<Record<string, string>>
  /** A Kafka cluster (`host:port`, without TLS or passwords) for the flows, instead of the broker inside the agent. */
  readonly kafka?: string
}

type ConfigFunction = (at: ConfigAt) => Config | Promise<Config>
export type ConfigExport = Config | ConfigFunction

/** The identity function: it gives every option its type. */
export function defineConfig(config: Config): Config
export function defineConfig<F extends ConfigFunction>(config: F): F
export function defineConfig(config: ConfigExport): ConfigExport {
  return config
}

/** Falsy entries go, arrays flatten. */
export function flattenPlugins(plugins: readonly PluginOption[]): AnyPlugin[] {
  return plugins.flatMap(p =>
    Array.isArray(p) ? flattenPlugins(p as readonly PluginOption[]) : p ? [p as AnyPlugin] : [],
  )
}

export const SERVER_LIMITS: ServerLimits = {
  connections: 20_000,
  unauthenticated: 2_000,
  perAddress: 200,
  loginSeconds: 60,
  handshakeSeconds: 10,
  lineSeconds: 30,
  idleSeconds: 300,
  stalledSeconds: 60,
  linesPerSecond: 0,
  domainSubscriptions: 1000,
  userSubscriptions: 1000,
  userProcessors: 100,
  cursors: 1000,
  cursorDays: 60,
}
const DAY = 86_400
export const PERIODS: FederationPeriods = {
  lease: 7 * DAY,
  grace: 30 * DAY,
  tombstone: 60 * DAY,
  unknownTombstone: 3600,
  pollPending: 60,
  poll: 900,
  rotation: 600,
}
/** Least values of {@link FederationPeriods}. */
export const PERIOD_FLOORS: FederationPeriods = {
  lease: 3600,
  grace: 3600,
  tombstone: 60 * DAY,
  unknownTombstone: 60,
  pollPending: 10,
  poll: 60,
  rotation: 60,
}
