import { type BrokerService, type Driver, operatorsDial, type Plugin } from '@fnaa/core/plugin'
import { type Kafka, startKafka, unavailable } from '@fnaa/services'
import { type Admin, Kafka as Client, logLevel } from 'kafkajs'
import t, { test } from 'tap'
import { type KafkaOptions, kafka } from './index.js'

/** Why these tests are skipped; false where they run. */
export const skip = unavailable() ?? false

/** A cluster for all tests of this file; null where there can be none, and then the tests are skipped by `skip`. */
export async function oneCluster(...opt: Parameters<typeof startKafka>): Promise<Kafka | null> {
  if (skip) {
    test('a real Kafka', { skip }, async () => undefined)
    return null
  }
  // The suites' clock is not the cluster's: what they write is old there, and half a minute after its start it would be taken away.
  const [given] = opt
  const cluster = await startKafka({ ...given, settings: { 'log.retention.ms': -1, ...given?.settings } })
  t.teardown(() => cluster.stop())
  return cluster
}

export const plain = (k: Kafka): KafkaOptions => ({ servers: k.servers })
export const secure = (k: Kafka): KafkaOptions => ({
  servers: k.secureServers,
  tls: { ca: k.ca },
  sasl: { mechanism: 'scram-sha-256', ...k.admin! },
})

let plugins = 0
/** The plugin with names of its own, so that many share a cluster. */
export function isolated(options: KafkaOptions): Plugin<'broker'> {
  const plugin = kafka(options)
  const prefix = `t${++plugins}.`
  return {
    ...plugin,
    async setup(ctx) {
      const service = (await plugin.setup(ctx)) as BrokerService
      return new Proxy(service, {
        get(target, key) {
          if (key === 'queueFor') return (flow: string) => target.queueFor(prefix + flow)
          const value = Reflect.get(target, key, target) as unknown
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
    },
  }
}

/** The harness has no network of its own: drivers of these tests reach loopback. */
export const reaching = (loaded: Driver): Driver => ({
  open: (endpoint, credential, host, c) => loaded.open(endpoint, credential, { ...host, dial: operatorsDial }, c),
})

/** Kafka's admin client until the end of the file, and what makes topics of one partition. */
export async function topicsOf(cluster: Kafka): Promise<{
  readonly admin: Admin
  create(topic: string, config?: Readonly<Record<string, string>>): Promise<unknown>
}> {
  const admin = new Client({ brokers: [...cluster.servers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  t.teardown(() => admin.disconnect())
  return {
    admin,
    create(topic, config = {}) {
      const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
      return admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }] })
    },
  }
}
