import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const made: string[] = []

/** A directory of one's own, removed when the process ends. Never shared with a second run of the same test. */
export function temporaryDirectory(): string {
  if (made.length === 0)
    process.once('exit', () => {
      for (const path of made) rmSync(path, { recursive: true, force: true })
    })
  const path = mkdtempSync(join(tmpdir(), 'fnaad-'))
  made.push(path)
  return path
}
