import { isIP, type OnReadOpts } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect, type TLSSocket } from 'node:tls'
import { ClientError } from './errors.js'
import { CHANNEL_BINDING } from './scram.js'
import type { Call, PeerTls } from './types.js'

/** The protocol's name in ALPN (RFC 7301): it keeps other protocols' servers and clients away from these ports. */
export const ALPN = 'fnap/1'

export interface SecureOptions {
  /** The name (or IP address) that the other side's certificate must bear. */
  readonly servername: string
  /** PEM; absent, the system's roots hold. */
  readonly ca?: string
  /**
   * `required`: a certificate that does not verify ends the connection. `recorded`: the handshake goes on and
   * `PeerTls.verified` says what came of it, for agents that prove their domain by a key.
   */
  readonly certificate?: 'required' | 'recorded'
  /** `required`: the other side must select `fnap/1`, as agents demand of each other. `none` offers nothing. */
  readonly alpn?: 'required' | 'offered' | 'none'
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
  /** Milliseconds for the handshake; 10,000 if absent. */
  readonly timeoutMs?: number
  /** Where what arrives goes, instead of `data` events. */
  readonly onread?: OnReadOpts | undefined
}

/**
 * A TLS handshake as client over an open stream. Sessions are never resumed: Node does not check the name of the
 * certificate on a resumed one. Renegotiation does not exist in TLS 1.3 and is switched off below it.
 * @throws FNA_ERR_UNAVAILABLE where the handshake fails, FNA_ERR_TIMEOUT, FNA_ERR_DENIED for the certificate or ALPN
 */
export async function secure(
  stream: Duplex,
  opt: SecureOptions,
  c?: Call,
): Promise<{ socket: TLSSocket; tls: PeerTls }> {
  // The TLS socket reports what breaks underneath; without a listener the stream's own event would end the process.
  stream.on('error', () => {})
  const byAddress = isIP(opt.servername) !== 0
  const socket = connect({
    socket: stream,
    // An IP address is not a server name (RFC 6066 §3): it is compared with the certificate all the same.
    ...(byAddress ? { host: opt.servername } : { servername: opt.servername }),
    ...(opt.ca === undefined ? {} : { ca: opt.ca }),
    ...(opt.alpn === 'none' ? {} : { ALPNProtocols: [ALPN] }),
    minVersion: opt.minVersion ?? 'TLSv1.2',
    rejectUnauthorized: opt.certificate !== 'recorded',
    ...(opt.onread ? { onread: opt.onread } : {}),
  })
  try {
    await handshake(socket, opt.timeoutMs ?? 10_000, c?.signal)
    socket.disableRenegotiation()
    if (opt.alpn === 'required' && socket.alpnProtocol !== ALPN) {
      throw new ClientError('FNA_ERR_DENIED', `the other side did not select ${ALPN} by ALPN`)
    }
    return { socket, tls: describeTls(socket) }
  } catch (e) {
    socket.on('error', () => {}).destroy()
    stream.destroy()
    throw e
  }
}

function handshake(socket: TLSSocket, timeoutMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => end(new ClientError('FNA_ERR_TIMEOUT', 'the TLS handshake took too long')),
      timeoutMs,
    )
    const onAbort = () => end(new ClientError('FNA_ERR_TIMEOUT', 'the TLS handshake was called off'))
    const onError = (cause: Error & { code?: string }) => {
      const certificate = cause.code?.startsWith('ERR_TLS_CERT') || socket.authorizationError !== null
      const message = certificate ? 'the certificate of the other side does not hold' : 'the TLS handshake failed'
      end(
        new ClientError(
          certificate ? 'FNA_ERR_DENIED' : 'FNA_ERR_UNAVAILABLE',
          `${message} (${cause.code ?? 'no code'})`,
          { cause },
        ),
      )
    }
    const onClose = () => end(new ClientError('FNA_ERR_UNAVAILABLE', 'the connection ended in the TLS handshake'))
    const end = (error?: Error) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      socket.off('error', onError).off('close', onClose).off('secureConnect', onSecure)
      if (error) reject(error)
      else resolve()
    }
    const onSecure = () => end()
    socket.on('error', onError).on('close', onClose).on('secureConnect', onSecure)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
  })
}

/** What plugins get to know of a channel; all of it is taken at once, while the socket is certainly open. */
export function describeTls(socket: TLSSocket): PeerTls {
  const context = Buffer.alloc(0)
  const bound = Buffer.from(socket.exportKeyingMaterial(CHANNEL_BINDING.length, CHANNEL_BINDING.label, context))
  const certificate = socket.getPeerX509Certificate()?.raw
  return {
    version: socket.getProtocol() ?? 'unknown',
    exporter: (label, length) =>
      label === CHANNEL_BINDING.label && length === bound.length
        ? Buffer.from(bound)
        : socket.exportKeyingMaterial(length, label, context),
    ...(certificate ? { certificate } : {}),
    verified: socket.authorized,
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : null,
  }
}
