import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
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

t.test('a host that is killed on its way up is started again', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'fnaad-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const main = createRequire(import.meta.url).resolve('@fnaa/processor-host/main')
  const mark = join(directory, 'was-here')
  const program = join(directory, 'dies-once.mjs')
  writeFileSync(
    program,
    `import { existsSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
if (!existsSync(${JSON.stringify(mark)})) {
  writeFileSync(${JSON.stringify(mark)}, '')
  process.kill(process.pid, 'SIGKILL')
}
const main = pathToFileURL(${JSON.stringify(main)}).href
await import(main)
`,
  )
  const warned: unknown[] = []
  const log = { debug() {}, info() {}, warn: (...words: unknown[]) => void warned.push(words), error() {} }
  const runtime = ProcessRuntime.start({ agent: { directory }, log } as unknown as Ctx, { program })
  t.teardown(() => runtime.close())
  while (!(await runtime.health()).ok) await new Promise(resolve => setImmediate(resolve))
  t.equal(warned.length, 1)
})
