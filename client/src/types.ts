/**
 * What this package shares with the kernel's plugin contract, declared again: the client stands below the kernel and
 * does not import it. TypeScript compares these by structure, so a kernel's Exchange is one of these and the reverse.
 */
import type { DnsRecord } from '@fnaa/protocol'

/** When `signal` aborts, the call ends soon. */
export interface Call {
  readonly signal: AbortSignal
  readonly traceparent?: string
  /** For a look-up: ask the servers, whatever is cached. */
  readonly fresh?: boolean
}

/** A DNS answer; `records` are of the asked type only. No records: NXDOMAIN or NODATA. */
export interface Answer {
  readonly records: readonly DnsRecord[]
  readonly status: 'secure' | 'insecure' | 'bogus'
  /** Seconds. */
  readonly ttl: number
}
export type Resolve = (name: string, type: DnsRecord['type'], c: Call) => Promise<Answer>

export interface DialTarget {
  readonly host: string
  readonly port: number
  readonly tls?: { readonly servername: string; readonly ca?: string }
  readonly onread?: ReceiveInto
}
export interface ReceiveInto {
  buffer(): Uint8Array
  callback(bytes: number, into: Uint8Array): boolean
}
export type Dial = (t: DialTarget, c: Call) => Promise<NodeJS.ReadWriteStream>

export interface Identity {
  readonly type: 'user' | 'domain' | 'anonymous' | 'issued'
  readonly principal: string
  readonly level?: 'dnssec' | 'pkix' | 'dns'
  readonly expiresIn?: number
  readonly key?: { readonly selector: string; readonly fingerprint: string }
}
export type AuthStep =
  | { readonly type: 'challenge'; readonly data: Uint8Array }
  | { readonly type: 'accept'; readonly identity: Identity; readonly data?: Uint8Array }
  | { readonly type: 'reject'; readonly log: string }

/** One log-in, seen from one side (RFC 4422). */
export interface Exchange {
  step(input: Uint8Array | null, c: Call): Promise<AuthStep>
  abort(): void
}

export interface PeerTls {
  readonly version: string
  readonly exporter: (label: string, length: number) => Uint8Array
  readonly certificate?: Uint8Array
  readonly verified?: boolean
  /** The protocol that ALPN selected (RFC 7301), null where none was. */
  readonly alpn: string | null
}
export interface PeerInfo {
  readonly address: string
  readonly loopback: boolean
  readonly tls: null | PeerTls
  readonly capabilities: string
}
