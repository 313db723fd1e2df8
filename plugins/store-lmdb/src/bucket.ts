import { randomBytes } from 'node:crypto'
import type { Call, Entry, KeyValue } from '@fnaa/core/plugin'
import { FnaError } from '@fnaa/core/plugin'
import { aborted, type Disk } from '@fnaa/lib-lmdb'
import { checkLimit, checkName, keyOf, rangeOf } from './keys.js'

/** The revision stands before the value: eight random bytes for every write, so that not even the same value repeats one. */
const REVISION = 8
const MAX_VALUE = 16 << 20

/** One bucket. `durable: false` is as durable as the rest: it shares the flush of whoever else writes. */
export function bucket(disk: Disk, name: string, open: () => void): KeyValue {
  const table = disk.table('buckets')
  const find = (key: string): Entry | null => {
    const bytes = table.get(keyOf(name, key))
    return bytes ? entry(bytes) : null
  }
  const check = (key: string, c: Call) => {
    open()
    checkName('key', key)
    if (c.signal.aborted) throw aborted(c.signal)
  }
  const expect = (key: string, ifRevision: string | null | undefined) => {
    if (ifRevision !== undefined && (find(key)?.revision ?? null) !== ifRevision)
      throw new FnaError('FNA_ERR_CONFLICT', 'the key does not hold the revision named')
  }
  return {
    async get(key, c) {
      check(key, c)
      return find(key)
    },
    async put(key, value, opt, c) {
      check(key, c)
      if (value.length > MAX_VALUE) throw new FnaError('FNA_ERR_TOO_LARGE', `a value has at most ${MAX_VALUE} bytes`)
      const revision = randomBytes(REVISION)
      // A copy: the caller may reuse its bytes while the commit waits.
      const bytes = Buffer.concat([revision, value])
      // A value that is written over takes no room that it did not have: on a full store too.
      const more = bytes.length > (table.get(keyOf(name, key))?.length ?? 0)
      await disk.commit(
        put => {
          expect(key, opt.ifRevision)
          put(table, keyOf(name, key), bytes)
        },
        { grows: more && !c.reserve ? bytes.length : 0, signal: c.signal },
      )
      return revision.toString('hex')
    },
    async delete(key, opt, c) {
      check(key, c)
      await disk.commit(
        put => {
          expect(key, opt.ifRevision)
          put(table, keyOf(name, key), null)
        },
        { grows: 0, signal: c.signal },
      )
    },
    async list(prefix, opt, c) {
      open()
      checkLimit(opt.limit)
      if (c.signal.aborted) throw aborted(c.signal)
      const range = table.getRange({ ...rangeOf(name, prefix, opt.after), limit: opt.limit })
      const skip = Buffer.byteLength(name) + 1
      return Array.from(range, e => [Buffer.from(e.key).toString('utf8', skip), entry(e.value)] as const)
    },
  }
}

function entry(bytes: Uint8Array): Entry {
  const b = Buffer.from(bytes)
  return { value: new Uint8Array(b.subarray(REVISION)), revision: b.toString('hex', 0, REVISION) }
}
