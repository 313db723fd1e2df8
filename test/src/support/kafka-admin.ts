import type { KafkaOptions } from '@fnaa/broker-kafka'
import type { Kafka } from '@fnaa/services'

/** What broker-kafka is configured with for a cluster behind SASL_SSL: its administrator's login. */
export const asAdmin = (kafka: Kafka): KafkaOptions => ({
  servers: kafka.secureServers,
  tls: { ca: kafka.ca },
  sasl: { mechanism: 'scram-sha-256', ...kafka.admin! },
})
