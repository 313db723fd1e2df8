import { once } from 'node:events'
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Dial } from './contract/common.js'
import { FnaError } from './contract/errors.js'

/**
 * The way to servers that the operator named: wherever they are, private addresses included, and by the machine's own
 * resolver. Names of strangers go through `ctx.dial`.
 * @throws FNA_ERR_UNAVAILABLE where nobody answers, FNA_ERR_DENIED where TLS fails
 */
export const operatorsDial: Dial = async (t, c) => {
  const onread = t.onread ? { onread: t.onread as OnReadOpts } : {}
  const socket = t.tls
    ? connectTls({
        host: t.host,
        port: t.port,
        ...(isIP(t.tls.servername) ? {} : { servername: t.tls.servername }),
        ...(t.tls.ca === undefined ? {} : { ca: t.tls.ca }),
        ...onread,
      })
    : connectTcp({ host: t.host, port: t.port, ...onread })
  socket.setNoDelay(true)
  try {
    await once(socket, t.tls ? 'secureConnect' : 'connect', { signal: c.signal })
    return socket
  } catch (e) {
    throw failed(socket, t.tls !== undefined, e as NodeJS.ErrnoException)
  }
}

function failed(socket: Socket, tls: boolean, e: NodeJS.ErrnoException): FnaError {
  socket.destroy()
  if (e.name === 'AbortError') return new FnaError('FNA_ERR_UNAVAILABLE', 'nobody answers', { cause: e })
  if (e.code === 'ECONNREFUSED') return new FnaError('FNA_ERR_UNAVAILABLE', 'nobody listens there', { cause: e })
  if (e.code === 'ENOTFOUND') return new FnaError('FNA_ERR_UNAVAILABLE', 'there is no such host', { cause: e })
  if (tls && e.code === 'ECONNRESET')
    return new FnaError('FNA_ERR_UNAVAILABLE', 'the connection was closed before TLS began: is it a TLS listener?', {
      cause: e,
    })
  if (tls && !/^(E(HOST|NET|TIMEDOUT|ADDR|AI_)|UND)/.test(e.code ?? ''))
    return new FnaError('FNA_ERR_DENIED', `TLS failed: ${reason(e)}`, { cause: e })
  return new FnaError('FNA_ERR_UNAVAILABLE', e.message, { cause: e })
}

/** OpenSSL's own words are for its authors. */
function reason(e: NodeJS.ErrnoException): string {
  switch (e.code) {
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return 'the certificate is of a CA that is not trusted; name it by tls.ca or tls.caFile'
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'the certificate bears another name; give it by tls.servername, or the servers by the names that it bears'
    case 'CERT_HAS_EXPIRED':
      return 'the certificate has expired'
    case 'EPROTO':
      return 'the listener does not speak TLS; name another port in servers, or leave tls out'
    default:
      return e.message
  }
}
