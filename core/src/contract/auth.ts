import type { DnsRecord } from '@fnaa/protocol'
import type { Call, Json, Service } from './common.js'

export interface Identity {
  /** `issued`: a credential that the kernel made for one endpoint; `principal` is then its user name, without `@`. */
  readonly type: 'user' | 'domain' | 'anonymous' | 'issued'
  readonly principal: string
  readonly level?: 'dnssec' | 'pkix' | 'dns'
  /** Seconds until the session ends. */
  readonly expiresIn?: number
  /** For a domain: selector and SHA-256 fingerprint of the key that proved it. */
  readonly key?: {
    readonly selector: string
    readonly fingerprint: string
    /** Fingerprint of the key before it, where that one vouches for it. */
    readonly succeeds?: string
  }
}

/** What a step comes to. To throw is a temporary failure, never an accept and never a reject. */
export type AuthStep =
  | { readonly type: 'challenge'; readonly data: Uint8Array }
  | { readonly type: 'accept'; readonly identity: Identity; readonly data?: Uint8Array }
  /** `log` is for the log alone. */
  | { readonly type: 'reject'; readonly log: string }

export interface PeerInfo {
  readonly address: string
  /** Both addresses of the socket are loopback (hardening H22). */
  readonly loopback: boolean
  readonly tls: null | {
    readonly version: string
    /** RFC 9266 `tls-exporter` and the like; taken once, right after the handshake (hardening H17). */
    readonly exporter: (label: string, length: number) => Uint8Array
    readonly certificate?: Uint8Array
    /** The ALPN protocol that was selected, null where none was (hardening H20). */
    readonly alpn: string | null
    /** The name on the other side's certificate was verified: on the initiating side only. */
    readonly verified?: boolean
  }
  /** The data lines of the last CAPABILITIES of this TLS session, CRLF included; empty when none was asked. */
  readonly capabilities: string
}

/** A mechanism is a step function; the kernel owns the wire. One exchange, one log-in. */
export interface Exchange {
  /**
   * Accepting side: `input` is what the client sent, null where it sent no initial response.
   * Initiating side: null first; `challenge` carries what to send, `accept` what to send last and whom we spoke to.
   */
  step(input: Uint8Array | null, c: Call): Promise<AuthStep>
  abort(): void
}

/** Credentials that the kernel issued: a verifier for `user`, null where it issued none of that name. */
export interface Accounts {
  verifier(user: string, mechanism: string, c: Call): Promise<Json | null>
}

export interface AuthMechanism {
  readonly name: string
  /** All must hold, but `loopback` is an alternative to `tls`: `['tls', 'loopback']` is TLS or a loopback socket. */
  readonly needs: readonly ('tls' | 'tls1.3' | 'loopback')[]
  accept(p: PeerInfo, issued: Accounts): Exchange
  /** Absent where this side cannot begin. */
  readonly initiate?: (p: PeerInfo, names: { readonly self: string; readonly target: string }) => Exchange
}

/** `fnaad <name> …`: run in the agent where it is running, else beside it. `run` returns lines for the terminal. */
export interface AdminCommand {
  /** Two words, as `user add`. */
  readonly name: string
  readonly usage: string
  readonly summary: string
  run(args: readonly string[], input: { readonly password?: string }, c: Call): Promise<readonly string[]>
}

export interface AuthSupports {
  readonly mechanisms: readonly string[]
}
export interface AuthService extends Service {
  readonly mechanisms: readonly AuthMechanism[]
  readonly admin: readonly AdminCommand[]
  /** Records that must stand in DNS for others to believe us (keys); grouped by owner. Published by the kernel where the DNS plugin may. */
  records(c: Call): Promise<readonly { readonly owner: string; readonly records: readonly DnsRecord[] }[]>
  /**
   * Calls `changed` when an account ended or changed its password: its sessions are cut (hardening H7); or when a domain's
   * key went, with the key's fingerprint: what it proved is cut, and the domain has to prove itself again (hardening H8).
   * `ended`: nobody can log in with the account any more; what it moves stops, and what `changed` returns is waited for. Of
   * a key: the domain has revoked it, which is for good; without that it may stand again.
   * `relied` names the domains on which something hangs at that moment: a plugin looks at their keys first.
   */
  watch(
    changed: (principal: string, key?: string, ended?: boolean) => unknown,
    relied?: () => ReadonlySet<string>,
  ): void
}
