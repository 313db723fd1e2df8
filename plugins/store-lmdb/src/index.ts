import { CONTRACT, type Ctx, definePlugin, type StoreService } from '@fnaa/core/plugin'
import { type Disk, openLocked } from '@fnaa/lib-lmdb'
import { uid } from './keys.js'
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
const ID_KEY = Buffer.from('id')

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

function openStore(ctx: Ctx, options: StoreLmdbOptions): Promise<StoreService> {
  const directory = options.directory ?? ctx.agent.directory
  const size = options.mapSize ?? DEFAULT_SIZE
  return openLocked({ directory, file: 'store.mdb', size, schema: SCHEMA, now: ctx.clock.now() }, (disk, lock) =>
    storeService(disk, lock, identify(disk), ctx.clock),
  )
}

/** The store's own id, made in a new one. */
function identify(disk: Disk): string {
  const meta = disk.table('meta')
  return disk.now(() => {
    const id = meta.get(ID_KEY)?.toString() ?? uid()
    meta.put(ID_KEY, Buffer.from(id))
    return id
  })
}

/** The factory that a config file calls. */
export default storeLmdb
