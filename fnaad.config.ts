// What the agent runs. This one is complete and runs on a laptop, on loopback only: `npm start`.
// docs/guides/operate.md takes it from here to a server of your own.
import authDomainkey from '@fnaa/auth-domainkey'
import authSasl from '@fnaa/auth-sasl'
import brokerEmbedded from '@fnaa/broker-embedded'
import brokerFnap from '@fnaa/broker-fnap'
import brokerKafka from '@fnaa/broker-kafka'
import { defineConfig } from '@fnaa/core'
import dnsEmbedded from '@fnaa/dns-embedded'
import processorBridge from '@fnaa/processor-bridge'
import processorDistributor from '@fnaa/processor-distributor'
import runtimeProcess from '@fnaa/runtime-process'
import storeLmdb from '@fnaa/store-lmdb'

export default defineConfig(
  ({
    domain = 'unix.test',
    port = 61000,
    dnsPort = 5300,
    data = '.fnaad/unix.test',
    ca = '.fnaad/ca',
    neighbours = {},
    kafka,
  }) => ({
    host: `fnaa.${domain}`,
    domains: [domain],
    listen: [`tcp://127.0.0.1:${port}`],
    data,
    tls: { development: ca },
    namespaces: [`flows.${domain}`],
    administrators: [`test@${domain}`],
    resolver: { servers: [`127.0.0.1:${dnsPort}`] },
    // Everything below is for loopback: a stranger's address may be this machine, and unsigned DNS is believed of the neighbours.
    network: { allow: ['127.0.0.0/8'] },
    trust: { dns: Object.keys(neighbours) },
    plugins: [
      storeLmdb(),
      authSasl({ plainInClear: 'loopback', anonymous: true }),
      authDomainkey(),
      dnsEmbedded({ listen: `127.0.0.1:${dnsPort}`, forward: neighbours }),
      // `fnaad dev --kafka`. The first broker is the one of new namespaces.
      kafka && brokerKafka({ servers: [kafka] }),
      brokerEmbedded(),
      brokerFnap(),
      runtimeProcess(),
      processorBridge(),
      processorDistributor(),
    ],
  }),
)
