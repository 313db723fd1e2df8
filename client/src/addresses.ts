import type { Socket } from 'node:net'

/** Whom a stream is connected to. */
export interface Addresses {
  readonly address: string
  /** Both ends of the socket are loopback addresses (hardening H22): nobody else can be on the line. */
  readonly loopback: boolean
}

/** Empty and not loopback for a stream that is no socket. Ask before TLS wraps the socket. */
export function addressesOf(stream: object): Addresses {
  const { remoteAddress, localAddress } = stream as Partial<Pick<Socket, 'remoteAddress' | 'localAddress'>>
  return { address: remoteAddress ?? '', loopback: isLoopback(remoteAddress) && isLoopback(localAddress) }
}

/** Is it an address of this host alone (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3)? */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(?:(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1)$/i.test(address)
}
