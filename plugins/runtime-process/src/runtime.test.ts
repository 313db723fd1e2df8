import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Ctx } from '@fnaa/core/plugin'
import t from 'tap'
import { ProcessRuntime } from './runtime.js'

/** Milliseconds that the kernel gives a plugin to close. */
const CLOSE_MS = 5000

t.test('closing does not wait for a host that is on its way up', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'fnaad-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const program = join(directory, 'never-ready.mjs')
  writeFileSync(program, 'setInterval(() => undefined, 1000)\n')
  const errors: unknown[] = []
  const log = { debug() {}, info() {}, warn() {}, error: (...words: unknown[]) => void errors.push(words) }
  const runtime = ProcessRuntime.start({ agent: { directory }, log } as unknown as Ctx, { program })
  const began = performance.now()
  await runtime.close()
  t.ok(performance.now() - began < CLOSE_MS, 'within the deadline of a close')
  t.same(errors, [], 'which is no error')
})
