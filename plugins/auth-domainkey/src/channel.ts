import { ALPN, CHANNEL_BINDING } from '@fnaa/client'
import type { PeerInfo } from '@fnaa/core/plugin'

/** What both signatures bind to. */
export interface Channel {
  readonly exporter: Uint8Array
  /** The bytes of the last CAPABILITIES of this TLS session. */
  readonly capabilities: Uint8Array
}

/**
 * The channel that an exchange is bound to, or why it cannot be: TLS 1.3 with an exporter (RFC 9266), `fnap/1` selected
 * by ALPN (hardening H20), CAPABILITIES asked inside this TLS session (H19).
 */
export function channelOf(peer: PeerInfo): Channel | string {
  if (peer.tls?.version !== 'TLSv1.3') return 'TLS 1.3 is needed'
  if (peer.tls.alpn !== ALPN) return `${ALPN} was not selected by ALPN`
  if (peer.capabilities === '') return 'CAPABILITIES was not asked in this TLS session'
  const exporter = peer.tls.exporter(CHANNEL_BINDING.label, CHANNEL_BINDING.length)
  if (exporter.length !== CHANNEL_BINDING.length) return 'the channel has no exporter'
  return { exporter, capabilities: Buffer.from(peer.capabilities, 'utf8') }
}
