import { FnapConnection, scram } from '@fnaa/client'
import { type Call, type Credential, type DriverHost, type Endpoint, FnaError } from '@fnaa/core/plugin'

/** What every agent offers to an issued credential; saves asking for CAPABILITIES. */
const OFFERED = ['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS']

export interface Where {
  readonly endpoint: Endpoint
  readonly credential: Credential | null
  readonly host: DriverHost
}

/**
 * A connection to the endpoint's agent, inside TLS and logged in with the issued credential. `options.tls` says how TLS
 * begins: `implicit`, `starttls` or (for our own agent on loopback only) `none`.
 * @throws FNA_ERR_UNAVAILABLE, FNA_ERR_DENIED, FNA_ERR_ADDRESS
 */
export async function login({ endpoint, credential, host }: Where, c: Call): Promise<FnapConnection> {
  const server = endpoint.servers[0] ?? ''
  const colon = server.lastIndexOf(':')
  const at = { host: server.slice(0, colon), port: Number(server.slice(colon + 1)) }
  const mode = (endpoint.options as { tls?: string } | undefined)?.tls ?? 'starttls'
  if (mode === 'none' && host.foreign)
    throw new FnaError('FNA_ERR_DENIED', 'an endpoint of another domain without TLS is refused')
  const stream = await host.dial(at, c)
  const tls = {
    servername: endpoint.tls?.servername ?? at.host,
    alpn: 'required' as const,
    ...(endpoint.tls?.ca === undefined ? {} : { ca: endpoint.tls.ca }),
  }
  const connection = await FnapConnection.connect(stream, mode === 'implicit' ? { tls } : {}, c)
  try {
    if (mode === 'starttls') await connection.starttls(tls, c)
    await prove(connection, credential, c)
    return connection
  } catch (e) {
    connection.destroy()
    throw e
  }
}

async function prove(connection: FnapConnection, credential: Credential | null, c: Call): Promise<void> {
  if (!credential) throw new FnaError('FNA_ERR_DENIED', 'an fnap endpoint needs a credential')
  const { user = '', password = '' } = credential.values
  const peer = connection.peerInfo()
  const mechanism = peer.tls?.version === 'TLSv1.3' ? 'SCRAM-SHA-256-PLUS' : 'SCRAM-SHA-256'
  await connection.authenticate(mechanism, scram({ user, password, mechanism, peer, offered: OFFERED }), {
    signal: c.signal,
  })
}
