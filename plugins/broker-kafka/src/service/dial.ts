import type { DialTarget } from '@fnaa/core/plugin'

/** @param server `host:port`, an IPv6 address in brackets */
export function targetOf(
  server: string,
  tls: { readonly ca?: string; readonly servername?: string } | null,
): DialTarget {
  const colon = server.lastIndexOf(':')
  const host = server.slice(0, colon).replace(/^\[|\]$/g, '')
  const target = { host, port: Number(server.slice(colon + 1)) }
  if (!tls) return target
  return { ...target, tls: { servername: tls.servername ?? host, ...(tls.ca !== undefined && { ca: tls.ca }) } }
}
