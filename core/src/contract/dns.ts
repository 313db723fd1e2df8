import type { DnsRecord } from '@fnaa/protocol'
import type { Call, Service } from './common.js'

export interface DnsSupports {
  /** May this service write `_fnapkey` records? (A BIND update key may not: they are the operator's.) */
  readonly keys: boolean
}

export interface OwnerSet {
  readonly owner: string
  readonly records: readonly DnsRecord[]
}

/** Figure 10: register and update are `apply`, unregister is `apply` with no records, resolve is `read`. */
export interface DnsService extends Service {
  /** Zones that it writes, and with which server others find them. */
  readonly zones: readonly string[]
  /** `host:port` of the server, for NAMESERVERS and `fnaad dev`. */
  readonly server: { readonly host: string; readonly port: number }
  /**
   * Replaces each owner's set whole, all or nothing; durable and visible when it resolves.
   * @throws FNA_ERR_FOREIGN where an owner is in no zone of ours, FNA_ERR_INVALID for a record that breaks the strict checks
   */
  apply(changes: readonly OwnerSet[], c: Call): Promise<{ readonly generation: string }>
  /** Authoritative: what stands there now. */
  read(owner: string, c: Call): Promise<readonly DnsRecord[]>
}
