import { type Credential, type Driver, type DriverHost, type Endpoint, FnaError } from '@fnaa/core/plugin'
import { Cluster, type Sasl } from '@fnaa/kafka-wire'
import { LIMITS } from '@fnaa/protocol'
import { openSink } from './sink.js'
import { openSource } from './source.js'
import { namesOf } from './topic.js'

/** Opens a topic of any cluster, with whatever rights the credential has there. */
const driver: Driver = {
  async open(endpoint, credential, host, c) {
    const cluster = new Cluster({
      servers: endpoint.servers,
      dial: host.dial,
      tls: endpoint.tls,
      sasl: saslOf(credential, endpoint, host),
      ...(host.foreign && { longestFetch: FOREIGN_FETCH }),
    })
    try {
      // Whether anybody answers, lets us in and knows the topic is said here, not at the first event.
      await cluster.retry(() => cluster.topic(endpoint.queue, c, true), c, OPEN_MS)
    } catch (e) {
      cluster.close()
      throw e
    }
    const at = { cluster, topic: endpoint.queue, host, names: namesOf(endpoint) }
    return {
      source: (opt, call) => openSource(at, opt, call),
      sink: (opt, call) => openSink(at, opt, call),
      close: async () => cluster.close(),
    }
  },
}
export default driver

/** Milliseconds: a cluster that is just electing leaders is waited for, one that is down is the controller's to wait for. */
const OPEN_MS = 5000
/** Bytes of an answer of a stranger's: what a fetch asks for, and one batch over it. */
const FOREIGN_FETCH = LIMITS.expanded + (4 << 20)

function saslOf(credential: Credential | null, endpoint: Endpoint, host: DriverHost): Sasl | undefined {
  if (credential === null) return undefined
  const { mechanism, values } = credential
  const { user = '', password = '', token = '' } = values
  if (host.foreign && !endpoint.tls)
    throw new FnaError('FNA_ERR_DENIED', 'an endpoint of another domain without TLS is given no credential')
  switch (mechanism) {
    case 'PLAIN':
    case 'SCRAM-SHA-256':
    case 'SCRAM-SHA-512':
      return { mechanism, username: user, password }
    case 'OAUTHBEARER':
      return { mechanism, token: async () => token }
    default:
      throw new FnaError('FNA_ERR_UNSUPPORTED', `broker-kafka does not know the mechanism ${mechanism}`)
  }
}
