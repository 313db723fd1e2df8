import { mkdirSync } from 'node:fs'
import { type BrokerService, CONTRACT, type Ctx, definePlugin } from '@fnaa/core/plugin'
import { type Disk, openLocked } from '@fnaa/lib-lmdb'
import { EmbeddedBroker } from './broker.js'
import { MAX_EVENT } from './incoming.js'
import { canonical, registry } from './registry.js'
import { brokerService } from './service.js'

export interface EmbeddedOptions {
  /** Where the log stands; absent, the instance's own directory below the agent's. */
  readonly directory?: string
  /** How long a queue keeps its events where it says nothing itself, in milliseconds; seven days unless told. */
  readonly retentionMs?: number
  /** How many bytes a queue keeps where it says nothing itself; no limit unless told. */
  readonly retentionBytes?: number
  /** Bytes that the log may take in all; 16 GiB unless told. */
  readonly mapSize?: number
}

const SCHEMA = 1
const DEFAULT_SIZE = 16 * 2 ** 30
const DEFAULT_RETENTION = 7 * 86_400_000
const integer = (minimum: number, description: string) => ({ type: 'integer', minimum, description })

/**
 * A durable log in the agent's own process: `embedded({ directory })`.
 * @throws FNA_ERR_LOCKED from `setup` where another process has the directory, FNA_ERR_CONFIG where a newer version
 * wrote it, FNA_ERR_CORRUPT where the file is no LMDB environment
 */
export const embedded = definePlugin<'broker', EmbeddedOptions>({
  manifest: {
    name: '@fnaa/broker-embedded',
    version: '0.1.0',
    kind: 'broker',
    contract: CONTRACT,
    supports: {
      type: 'embedded',
      model: 'log',
      readers: 'independent',
      order: 'total',
      access: [],
      cut: 'open-connections',
      batch: 'kafka-v2',
      transactions: false,
      maxEventBytes: MAX_EVENT,
      reach: 'process',
    },
    options: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      additionalProperties: false,
      properties: {
        directory: { type: 'string', minLength: 1, description: 'Where the log stands.' },
        retentionMs: integer(1, 'How long a queue keeps its events, in milliseconds.'),
        retentionBytes: integer(1, 'How many bytes a queue keeps.'),
        mapSize: integer(1 << 20, 'Bytes that the log may take in all.'),
      },
    },
    driver: new URL('./driver.js', import.meta.url).href,
  },
  setup: openBroker,
})

async function openBroker(ctx: Ctx, options: EmbeddedOptions): Promise<BrokerService> {
  const asked = options.directory ?? ctx.agent.directory
  mkdirSync(asked, { recursive: true, mode: 0o700 })
  const directory = canonical(asked)
  const size = options.mapSize ?? DEFAULT_SIZE
  return openLocked({ directory, file: 'log.mdb', size, schema: SCHEMA, now: ctx.clock.now() }, (disk, lock) =>
    start(ctx, directory, disk, options, () => lock.release()),
  )
}

function start(ctx: Ctx, directory: string, disk: Disk, options: EmbeddedOptions, release: () => Promise<void>) {
  const { retentionMs = DEFAULT_RETENTION, retentionBytes } = options
  const broker = new EmbeddedBroker(disk, ctx.clock, ctx.log, {
    retentionMs,
    ...(retentionBytes && { retentionBytes }),
  })
  registry.set(directory, broker)
  return brokerService(broker, directory, async () => {
    if (registry.get(directory) === broker) registry.delete(directory)
    await release()
  })
}

/** The factory that a config file calls. */
export default embedded
