import type { From } from '@fnaa/protocol'
import type { Endpoint, QueueSpec } from './broker.js'
import type { Json } from './common.js'

export interface About {
  readonly title?: string
  readonly description?: string
  readonly schema?: string
  readonly contact?: string
  readonly tags?: readonly string[]
}
/** Rates per second; absent means unlimited. */
export interface Limits {
  readonly bytesPerSecond?: number
  readonly eventsPerSecond?: number
}
export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  /** One CamelCase word. */
  readonly reason: string
  readonly message?: string
  /** The generation of the spec that this speaks of. */
  readonly generation: number
  /** RFC 3339. */
  readonly since: string
}
export interface Conditions {
  readonly conditions: readonly Condition[]
}
export type Right = 'describe' | 'read' | 'write' | 'subscribe' | 'manage'
export type Mode = 'auto' | 'copy' | 'direct' | 'fnap'
/** How a subscription is served, once that is decided. */
export type Served = Exclude<Mode, 'auto'>

export interface NamespaceSpec {
  readonly owner: string
  readonly broker: string
  readonly zone: string
  /** The host of an agent of its own, which serves the zone of this name: names below are its, not ours (figure 20). */
  readonly agent?: string
  /** It is a zone of its own: the zone above says so (NS, glue, DS). */
  readonly delegated?: boolean
  /** `address:port` of a name server that is asked about the zone, where that is not the agent's host. */
  readonly nameserver?: string
  /** How often the zone was asked to be read anew. */
  readonly readings?: number
  readonly quota?: { readonly flows?: number; readonly subscribers?: number }
  readonly about?: About
}
export interface NamespaceStatus extends Conditions {
  readonly delegation?: Delegation
}
/** What we wrote into the zone above. */
export interface Delegation {
  readonly zone: string
  /** Intended: before the name server has said that it is done. */
  readonly written: boolean
  readonly servers: readonly string[]
  /** Tag, algorithm, digest type, digest: as zone files have it. */
  readonly ds: readonly string[]
  /** All owners that may hold records of ours. */
  readonly owners: readonly string[]
  /** The name server that was asked, where nothing proved its answer: compare the DS (or that there are none) with the child's own. */
  readonly unproved?: string
  /** The reading of the spec that this is of. */
  readonly readings?: number
}
export interface FlowSpec {
  readonly namespace: string
  readonly owner: string
  readonly broker: string
  /** An existing queue (`TOPIC`), adopted and never deleted with the flow. */
  readonly adopt?: string
  readonly queue: QueueSpec
  readonly visibility: 'public' | 'listed' | 'private'
  readonly requests: boolean
  readonly onDelete: 'delete' | 'retain'
  readonly about?: About
}
export interface FlowStatus extends Conditions {
  readonly queue?: string
  /** The controller saw that there was no such queue before it made one: what is there now is ours. */
  readonly absentSeen?: boolean
  readonly epoch?: string
  /** What of it stands in DNS; `registering`: perhaps something. */
  readonly dns?: 'none' | 'private' | 'registering' | 'registered'
  /** The agent's address in the names that are registered. */
  readonly place?: string
}
export interface SubscriptionSpec {
  readonly direction: 'in' | 'out'
  readonly source: string
  readonly local: string
  /** A name outside our namespaces: a private alias of `for` (thesis transcript T12). */
  readonly alias?: boolean
  readonly from: From
  readonly mode: Mode
  readonly filter?: string
  readonly for: string
  readonly reason?: string
  readonly desired: 'run' | 'pause' | 'stop' | 'end'
  /** The GEN of the next word to the provider; rises with every new wish (federation rule 2). */
  readonly wish: number
  readonly rotate?: boolean
}
export interface SubscriptionStatus extends Conditions {
  readonly phase:
    | 'resolving'
    | 'requested'
    | 'pending'
    | 'starting'
    | 'active'
    | 'paused'
    | 'stopped'
    | 'revoked'
    | 'failed'
  /** The domain that the provider proved; kept from the first agreement on (hardening H12). */
  readonly peer?: string
  readonly level?: string
  readonly endpoint?: Endpoint
  readonly mode?: Served
  /** How many shards the source has, as the provider says: a local flow that is made for it gets as many. */
  readonly shards?: number
  /** The copy from which something has come: its marker is not waited for again. */
  readonly proved?: string
  /** `reader` of the endpoint before this one. */
  readonly readerBefore?: string
  /** `<id>.<flow>`. */
  readonly name?: string
  readonly sourceEpoch?: string
  /** RFC 3339. */
  readonly renewBy?: string
  readonly gaps?: number
  /** How many of those the provider has told of the copy that it feeds. */
  readonly fedGaps?: number
  readonly origins?: readonly string[]
  readonly error?: string
  /** What the provider said when it cut us off. */
  readonly receipt?: string
  /** Why the owner denied or ended it, in the owner's words. */
  readonly reason?: string
  /** The wish that the provider has last agreed to. */
  readonly agreed?: number
}
export interface SubscriberSpec {
  readonly flow: string
  readonly direction: 'in' | 'out'
  /** The authenticated domain to which this ID belongs (hardening H1). */
  readonly peer: string
  readonly id: string
  readonly generation: number
  readonly for: string
  readonly from: From
  readonly mode: Mode
  readonly principal?: string
  readonly filter?: string
  readonly reason?: string
  readonly limits?: Limits
  /** The generation that asked for another credential last. */
  readonly rotated?: number
  readonly desired: 'run' | 'stop' | 'revoked' | 'gone'
  readonly cause?: { readonly by: string; readonly at: string; readonly reason: string }
}
export interface SubscriberStatus extends Conditions {
  readonly phase: 'pending' | 'preparing' | 'ready' | 'stopped' | 'revoked' | 'gone'
  readonly endpoint?: Endpoint
  readonly leaseUntil?: string
  readonly mode?: Served
  /** Of the source, when it was last looked at. */
  readonly shards?: number
  /** The copy's queue: that there was none has been seen. */
  readonly queue?: string
  /** What the copy's queue was made like. */
  readonly copied?: QueueSpec
  /** How often its copy has passed over events that the flow did not have any more. */
  readonly gaps?: number
  /** The receipt: what was cut, when (RFC 3339), or `pending`. */
  readonly cut?: Readonly<Record<string, string>>
  readonly level?: string
  /** When this tombstone may be forgotten (RFC 3339). */
  readonly forget?: string
}

/** Kinds of resources: intent in `spec`, what the controller saw in `status`. */
export interface Kinds {
  Namespace: { spec: NamespaceSpec; status: NamespaceStatus }
  Flow: { spec: FlowSpec; status: FlowStatus }
  Subscription: { spec: SubscriptionSpec; status: SubscriptionStatus }
  Subscriber: { spec: SubscriberSpec; status: SubscriberStatus }
  Processor: {
    spec: {
      readonly type: string
      readonly owner: string
      readonly sources: readonly string[]
      readonly sinks: readonly string[]
      readonly from: From
      readonly config: Json
      readonly runtime: string
      readonly desired: 'run' | 'pause' | 'stop'
    }
    status: Conditions & {
      readonly epoch: number
      readonly phase?: string
      readonly error?: string
      /** The generation that the runtime was given last. */
      readonly applied?: number
    }
  }
  Grant: {
    spec: {
      readonly on: { readonly kind: 'Namespace' | 'Flow'; readonly name: string }
      readonly to: string
      readonly rights: readonly Right[]
      readonly expires?: string
      readonly request?: string
      readonly limits?: Limits
      /** The bar of hardening H7: who came by visibility and was removed stays out until a GRANT. */
      readonly deny?: boolean
    }
    status: Conditions
  }
  Access: {
    spec: {
      readonly flow: string
      readonly who: string
      readonly label: string
      readonly right: 'read' | 'write'
      readonly turn: number
    }
    status: Conditions & { readonly endpoint?: Endpoint; readonly cut?: Readonly<Record<string, string>> }
  }
  Request: {
    spec: {
      readonly flow: string
      readonly peer: string
      readonly for: string
      readonly subscription: string
      readonly direction: 'in' | 'out'
      readonly reason?: string
      readonly firstContact: boolean
      readonly level: string
      readonly key?: string
      readonly since: string
      readonly decision?: {
        readonly approved: boolean
        readonly by: string
        readonly at: string
        readonly reason?: string
      }
    }
    status: Conditions & { readonly grant?: string }
  }
  Peer: {
    spec: { readonly blocked?: boolean; readonly quota?: { readonly subscriptions?: number } }
    status: Conditions & {
      /** The highest that it had within 30 days, and when it had it last. */
      readonly level?: string
      readonly levelAt?: string
      /** What it was granted rests until the owner says TRUST (hardening H8): why, and what it shows now. */
      readonly suspended?: {
        readonly since: string
        readonly why: 'keys' | 'level'
        readonly level?: string
        readonly key?: { readonly selector: string; readonly fingerprint: string }
      }
      /** The one that was used last stands last. */
      readonly keys?: readonly { readonly selector: string; readonly fingerprint: string; readonly seen: string }[]
      /** Fingerprints of keys that the domain has revoked: known no more, and good for no other. */
      readonly revoked?: readonly string[]
      readonly address?: string
      readonly backoffUntil?: string
    }
  }
  Agent: {
    spec: { readonly namespace: string; readonly runtime: string; readonly config: Json }
    status: Conditions & { readonly address?: string }
  }
}
