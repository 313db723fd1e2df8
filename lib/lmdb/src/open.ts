import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { FnaError } from '@fnaa/core/plugin'
import { Disk } from './disk.js'
import { Lock, type Register } from './lock.js'

export interface OpenOptions {
  /** Made where it is missing, mode 0700. */
  readonly directory: string
  readonly file: string
  /** Bytes that the file may take. */
  readonly size: number
  /** The layout that this version writes, and the newest that it reads. */
  readonly schema: number
  /** Milliseconds since 1970, for the lock. */
  readonly now: number
}
const SCHEMA_KEY = Buffer.from('schema')
const LOCK_KEY = Buffer.from('lock')

/**
 * Opens a file under its lock, checks its layout, and hands both to `use`; closes them again where `use` throws.
 * @throws FNA_ERR_LOCKED where another process has the directory, FNA_ERR_CONFIG where a newer version wrote it,
 * FNA_ERR_CORRUPT where the file is no LMDB environment
 */
export async function openLocked<T>(o: OpenOptions, use: (disk: Disk, lock: Lock) => T | Promise<T>): Promise<T> {
  mkdirSync(o.directory, { recursive: true, mode: 0o700 })
  await Lock.look(o.directory)
  const disk = new Disk(join(o.directory, o.file), o.size)
  try {
    const lock = await Lock.take(o.directory, register(disk), o.now)
    try {
      checkSchema(disk, o.schema)
      return await use(disk, lock)
    } catch (e) {
      await lock.release()
      throw e
    }
  } catch (e) {
    await disk.close()
    throw e
  }
}

/** The lock's record stands in the file itself, so that a takeover is decided by one write transaction. */
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

function checkSchema(disk: Disk, known: number): void {
  const meta = disk.table('meta')
  disk.now(() => {
    const schema = Number(meta.get(SCHEMA_KEY)?.toString() ?? 0)
    if (schema > known) {
      throw new FnaError(
        'FNA_ERR_CONFIG',
        `${disk.path} was written by a newer version (layout ${schema}, this one knows ${known}): upgrade, or take another directory`,
      )
    }
    meta.put(SCHEMA_KEY, Buffer.from(String(known)))
  })
}
