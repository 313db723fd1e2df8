/** The two addresses of a socket. */
export interface Ends {
  readonly remoteAddress?: string | undefined
  readonly localAddress?: string | undefined
}
/** Both ends: behind a proxy on this machine, or towards an address that others reach, one of them is not (hardening H22). */
export const onLoopback = (s: Ends): boolean => isLoopback(s.remoteAddress) && isLoopback(s.localAddress)

/** An address that leads to this machine and from nowhere else. */
export const isLoopback = (address: string | undefined): boolean =>
  address !== undefined && (address === '::1' || /^(::ffff:)?127\./.test(address))

/** /32 of IPv4, /64 of IPv6: what one household or host has. */
export const sourceOf = (address: string): string => prefix(address, 32, 64)

/** /24 of IPv4, /48 of IPv6: what one organisation has; strangers are counted by it (hardening H9). */
export const networkOf = (address: string): string => prefix(address, 24, 48)

function prefix(address: string, v4Bits: 24 | 32, v6Bits: 48 | 64): string {
  const v4 = address.startsWith('::ffff:') ? address.slice(7) : address
  if (!v4.includes(':')) return v4Bits === 32 ? v4 : `${v4.slice(0, v4.lastIndexOf('.'))}.0/24`
  const [head = '', tail] = v4.split('%')[0]!.split('::')
  const groups = head === '' ? [] : head.split(':')
  const rest = tail ? tail.split(':') : []
  while (tail !== undefined && groups.length + rest.length < 8) groups.push('0')
  return `${[...groups, ...rest].slice(0, v6Bits / 16).join(':')}::/${v6Bits}`
}
