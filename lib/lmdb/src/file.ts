import { closeSync, existsSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { FnaError } from '@fnaa/core/plugin'

const MARK = 0xbeefc0de
const MARK_AT = 24
const OPEN = Symbol.for('fnaad.lmdb')
const holder = globalThis as { [OPEN]?: Set<string> }
holder[OPEN] ??= new Set()
/** Environments that this process has open, whichever copy of this code did it. */
const inProcess: Set<string> = holder[OPEN]

/**
 * Two openers in one process would wait for each other for ever: one in a synchronous transaction on the main thread, the
 * other, which holds the writer's lock, for its turn on the same thread.
 * @returns gives the file up again
 * @throws FNA_ERR_LOCKED, FNA_ERR_CORRUPT
 */
export function claim(path: string): () => void {
  checkFile(path)
  const real = join(realpathSync(dirname(path)), basename(path))
  if (inProcess.has(real))
    throw new FnaError('FNA_ERR_LOCKED', `process ${process.pid} holds ${dirname(path)}: this one`)
  inProcess.add(real)
  return () => inProcess.delete(real)
}

/**
 * Looks for LMDB's mark in an existing file (a little-endian word behind the header of its first page): handed anything
 * else, the engine does not fail but crashes the process.
 * @throws FNA_ERR_CORRUPT
 */
function checkFile(path: string): void {
  if (!existsSync(path) || statSync(path).size === 0) return
  const head = Buffer.alloc(MARK_AT + 4)
  const file = openSync(path, 'r')
  try {
    readSync(file, head, 0, head.length, 0)
  } finally {
    closeSync(file)
  }
  if (head.readUInt32LE(MARK_AT) !== MARK) throw new FnaError('FNA_ERR_CORRUPT', `${path} is no LMDB environment`)
}
