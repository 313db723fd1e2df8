import { createRequire } from 'node:module'
import { CONTRACT, definePlugin } from '@fnaa/core/plugin'
import { type KafkaOptions, OPTIONS_SCHEMA, settings } from './options.js'

export type { KafkaOptions, SaslOptions, Secret } from './options.js'

const { name, version } = createRequire(import.meta.url)('@fnaa/broker-kafka/package.json') as {
  name: string
  version: string
}

/**
 * Flows on a Kafka cluster: `kafka({ servers: ['kafka.example.org:9093'], tls: true, sasl: { … } })`. `kafka()` has no cluster: with
 * it subscriptions go to those of others.
 * @throws FNA_ERR_CONFIG from `setup` where the cluster refuses the login or TLS fails; where nobody answers the agent starts,
 * and flows wait until somebody does
 */
export const kafka = definePlugin<'broker', KafkaOptions>({
  manifest: {
    name,
    version,
    kind: 'broker',
    contract: CONTRACT,
    supports: {
      type: 'kafka',
      model: 'log',
      readers: 'independent',
      order: 'key',
      access: ['issued'],
      cut: 'open-connections',
      batch: 'kafka-v2',
      transactions: true,
      // What brokers take unless their operator says otherwise (message.max.bytes), less what stands around an event.
      maxEventBytes: 1_048_000,
      reach: 'network',
    },
    options: OPTIONS_SCHEMA,
    driver: new URL('./driver.js', import.meta.url).href,
  },
  advice: ({ sasl, data }) =>
    sasl && !data
      ? [
          'data is missing: processors and their hosts log in as sasl says, with the right to make topics and users; make a user that may only read and write, and name it in data',
        ]
      : [],
  // Loaded when it is set up: a config may name a plugin that it does not use.
  setup: async (ctx, { servers, ...options }) =>
    servers === undefined
      ? { driverOnly: true, health: async () => ({ ok: true }), close: async () => undefined }
      : (await import('./service/service.js')).openService(ctx, settings({ ...options, servers })),
})

/** The factory that a config file calls. */
export default kafka
