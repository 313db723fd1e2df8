import type { AuthMechanism, AuthService, PeerInfo } from '../contract/auth.js'
import type { Loaded } from '../host/boot.js'

/** Every mechanism of the loaded auth plugins, by name. */
export function mechanismsOf(loaded: readonly Loaded[]): ReadonlyMap<string, AuthMechanism> {
  const all = new Map<string, AuthMechanism>()
  for (const { plugin, service } of loaded) {
    if (plugin.manifest.kind !== 'auth') continue
    for (const m of (service as AuthService).mechanisms) all.set(m.name, m)
  }
  return all
}

/** May the mechanism be used on this connection? `loopback` beside `tls` is an alternative, not one more condition. */
export function allowed(m: AuthMechanism, peer: PeerInfo): boolean {
  const secure = peer.tls !== null
  if (m.needs.includes('tls1.3')) return peer.tls?.version === 'TLSv1.3'
  if (m.needs.includes('tls')) return secure || (m.needs.includes('loopback') && peer.loopback)
  return !m.needs.includes('loopback') || peer.loopback
}

/** The mechanisms that are valid now, in the order of their names. */
export function offered(mechanisms: ReadonlyMap<string, AuthMechanism>, peer: PeerInfo): AuthMechanism[] {
  return [...mechanisms.values()].filter(m => allowed(m, peer)).sort((a, b) => (a.name < b.name ? -1 : 1))
}
