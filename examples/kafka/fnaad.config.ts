// One participant whose flows are topics of a Kafka cluster with TLS, SCRAM and ACLs. Two users at the cluster: `fnaad` makes topics
// and lets others in, `fnaad-data` reads and writes events and nothing else (README.md has the commands).
// Put your own names in, see what `npx fnaad --config examples/kafka/fnaad.config.ts check` says, and set KAFKA_PASSWORD and
// KAFKA_DATA_PASSWORD for the start.
import authDomainkey from '@fnaa/auth-domainkey'
import authSasl from '@fnaa/auth-sasl'
import brokerFnap from '@fnaa/broker-fnap'
import brokerKafka from '@fnaa/broker-kafka'
import { defineConfig } from '@fnaa/core'
import dnsEmbedded from '@fnaa/dns-embedded'
import processorBridge from '@fnaa/processor-bridge'
import processorDistributor from '@fnaa/processor-distributor'
import runtimeProcess from '@fnaa/runtime-process'
import storeLmdb from '@fnaa/store-lmdb'

const domain = 'unix.test'

export default defineConfig({
  host: `fnaa.${domain}`,
  domains: [domain],
  listen: ['tcp://127.0.0.1:61000'],
  data: '.fnaad/kafka',
  // Of the development CA on loopback; a server of your own names cert and key (docs/guides/operate.md).
  tls: { development: '.fnaad/ca' },
  namespaces: [`flows.${domain}`],
  resolver: { servers: ['127.0.0.1:53'] },
  plugins: [
    storeLmdb(),
    authSasl(),
    authDomainkey(),
    dnsEmbedded({ listen: '127.0.0.1:5300' }),
    brokerKafka({
      servers: ['kafka1.unix.test:9093', 'kafka2.unix.test:9093', 'kafka3.unix.test:9093'],
      tls: true,
      sasl: { mechanism: 'scram-sha-256', username: 'fnaad', password: { env: 'KAFKA_PASSWORD' } },
      data: { username: 'fnaad-data', password: { env: 'KAFKA_DATA_PASSWORD' } },
      replication: 3,
      defaults: { shards: 6, retentionMs: 7 * 86_400_000 },
    }),
    brokerFnap(),
    runtimeProcess(),
    processorBridge(),
    processorDistributor(),
  ],
})
