import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A file system in memory, where a flush costs nothing: what the suites prove holds there as on any other. */
const MEMORY = '/dev/shm'
const ENOUGH = 256 << 20
const made: string[] = []

/** A directory of one's own, removed when the process ends. Never shared with a second run of the same test. */
export function temporaryDirectory(): string {
  if (made.length === 0)
    process.once('exit', () => {
      for (const path of made) rmSync(path, { recursive: true, force: true })
    })
  const path = mkdtempSync(join(memory() ? MEMORY : tmpdir(), 'fnaad-'))
  made.push(path)
  return path
}

function memory(): boolean {
  try {
    accessSync(MEMORY, constants.W_OK)
    const { bavail, bsize } = statfsSync(MEMORY)
    return bavail * bsize >= ENOUGH
  } catch {
    return false
  }
}
