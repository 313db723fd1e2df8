import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type BrokerService, CONTRACT, type Ctx, definePlugin, FnaError } from '@fnaa/core/plugin'
import { EmbeddedBroker } from './broker.js'
import { Disk } from './disk.js'
import { MAX_EVENT } from './incoming.js'
import { Lock, type Register } from './lock.js'
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
const SCHEMA_KEY = Buffer.from('schema')
const LOCK_KEY = Buffer.from('lock')
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
  await Lock.look(directory)
  const disk = new Disk(join(directory, 'log.mdb'), options.mapSize ?? DEFAULT_SIZE)
  try {
    const lock = await Lock.take(directory, register(disk), ctx.clock.now())
    try {
      checkSchema(disk)
      return start(ctx, directory, disk, options, () => lock.release())
    } catch (e) {
      await lock.release()
      throw e
    }
  } catch (e) {
    await disk.close()
    throw e
  }
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

function register(disk: Disk): Register {
  const meta = disk.table('meta')
  const read = () => meta.get(LOCK_KEY)?.toString() ?? null
  return {
    read,
    swap: (seen, mine) =>
      disk.now(() => {
        if (read() !== seen) return false
        if (mine === null) meta.remove(LOCK_KEY)
        else meta.put(LOCK_KEY, Buffer.from(mine))
        return true
      }),
  }
}

function checkSchema(disk: Disk): void {
  const meta = disk.table('meta')
  disk.now(() => {
    const schema = Number(meta.get(SCHEMA_KEY)?.toString() ?? 0)
    if (schema > SCHEMA)
      throw new FnaError(
        'FNA_ERR_CONFIG',
        `${disk.path} was written by a newer version (layout ${schema}, this one knows ${SCHEMA}): upgrade, or take another directory`,
      )
    meta.put(SCHEMA_KEY, Buffer.from(String(SCHEMA)))
  })
}

/** The factory that a config file calls. */
export default embedded
