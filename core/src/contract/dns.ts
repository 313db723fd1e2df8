import type { DnsRecord } from '@fnaa/protocol'
import type { Call, Service } from './common.js'

export interface DnsSupports {
  /** May this service write `_fnapkey` records? (A BIND update key may not: they are the operator's.) */
  readonly keys: boolean
  /**
   * May it write what leads to agents and to zones below: `_fnap`, addresses, and the NS, DS and glue of a delegation? Absent: no.
   * (A BIND key for flows may not; the zone's key may.)
   */
  readonly delegates?: boolean
}

export interface OwnerSet {
  readonly owner: string
  readonly records: readonly DnsRecord[]
  /**
   * The zone to write it in, where that is not the longest that holds the owner: what a zone says of one below it (NS, DS, glue,
   * RFC 1034 §4.2) stands in the upper one. Only services that `supports.delegates` take it.
   */
  readonly zone?: string
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
