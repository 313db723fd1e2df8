import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { CONTRACT, type Ctx, definePlugin, FnaError, type StoreService } from '@fnaa/core/plugin'
import { Disk } from './disk.js'
import { uid } from './keys.js'
import { Lock, type Register } from './lock.js'
import { storeService } from './service.js'

export interface StoreLmdbOptions {
  /** Where the data stands; absent, the instance's own directory below the agent's. */
  readonly directory?: string
  /** Bytes that the data may take; 1 GiB unless told. */
  readonly mapSize?: number
}

/** The layout that this version writes and the newest that it reads. */
const SCHEMA = 1
const DEFAULT_SIZE = 1 << 30
const SCHEMA_KEY = Buffer.from('schema')
const ID_KEY = Buffer.from('id')
const LOCK_KEY = Buffer.from('lock')

/**
 * Resources on LMDB for an agent in one process: `storeLmdb({ directory })`.
 * @throws FNA_ERR_LOCKED from `setup` where another process has the directory, FNA_ERR_CONFIG where a newer version
 * wrote it, FNA_ERR_CORRUPT where the file is no LMDB environment
 */
export const storeLmdb = definePlugin<'store', StoreLmdbOptions>({
  manifest: {
    name: '@fnaa/store-lmdb',
    version: '0.1.0',
    kind: 'store',
    contract: CONTRACT,
    supports: { shared: false },
    options: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      additionalProperties: false,
      properties: {
        directory: { type: 'string', minLength: 1, description: 'Where the data stands.' },
        mapSize: { type: 'integer', minimum: 1 << 20, description: 'Bytes that the data may take.' },
      },
    },
  },
  setup: openStore,
})

async function openStore(ctx: Ctx, options: StoreLmdbOptions): Promise<StoreService> {
  const directory = options.directory ?? ctx.agent.directory
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  await Lock.look(directory)
  const disk = new Disk(join(directory, 'store.mdb'), options.mapSize ?? DEFAULT_SIZE)
  try {
    const lock = await Lock.take(directory, register(disk), ctx.clock.now())
    try {
      return storeService(disk, lock, identify(disk), ctx.clock)
    } catch (e) {
      await lock.release()
      throw e
    }
  } catch (e) {
    await disk.close()
    throw e
  }
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

/** Checks the layout, writes it into a new store, and returns the store's own id. */
function identify(disk: Disk): string {
  const meta = disk.table('meta')
  return disk.now(() => {
    const schema = Number(meta.get(SCHEMA_KEY)?.toString() ?? 0)
    if (schema > SCHEMA)
      throw new FnaError(
        'FNA_ERR_CONFIG',
        `${disk.path} was written by a newer version (layout ${schema}, this one knows ${SCHEMA}): upgrade, or take another directory`,
      )
    const id = meta.get(ID_KEY)?.toString() ?? uid()
    meta.put(SCHEMA_KEY, Buffer.from(String(SCHEMA)))
    meta.put(ID_KEY, Buffer.from(id))
    return id
  })
}

/** The factory that a config file calls. */
export default storeLmdb
