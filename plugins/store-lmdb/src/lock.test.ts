import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { call, harness, temporaryDirectory } from '@fnaa/conformance'
import type { FlowSpec } from '@fnaa/core/plugin'
import t from 'tap'
import { storeLmdb } from './index.js'

const c = call()
const spec = { namespace: 'n', broker: 'b' } as unknown as FlowSpec

/** A process of its own that opens the store and creates flows one after the other, saying each name once it is acknowledged. */
function child(directory: string): { process: ChildProcess; lines: AsyncIterableIterator<string> } {
  const code = `
    import { harness, call } from ${JSON.stringify(import.meta.resolve('@fnaa/conformance'))}
    import { storeLmdb } from ${JSON.stringify(new URL('./index.js', import.meta.url).href)}
    const { service } = await harness(storeLmdb(), { directory: ${JSON.stringify(directory)} })
    console.log('open')
    for (let i = 0; ; i++) {
      await service.create({ kind: 'Flow', name: 'f' + i, spec: ${JSON.stringify(spec)}, finalizers: [] }, call())
      console.log('f' + i)
    }`
  const process_ = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return { process: process_, lines: createInterface(process_.stdout!)[Symbol.asyncIterator]() }
}

t.test('a second opener in the same process is told who holds it', async t => {
  const directory = temporaryDirectory()
  const h = await harness(storeLmdb(), { directory })
  const refused = { code: 'FNA_ERR_LOCKED', message: new RegExp(`process ${process.pid} holds ${directory}`) }
  await t.rejects(harness(storeLmdb(), { directory }), refused)
  t.match(readFileSync(join(directory, 'lock'), 'utf8'), new RegExp(`^${process.pid}\n`))
  await h.service.create({ kind: 'Flow', name: 'still', spec, finalizers: [] }, c)
  await h.close()
  const again = await harness(storeLmdb(), { directory })
  t.ok(await again.service.get('Flow', 'still', c), 'the refused opener left it whole')
  await again.close()
})

t.test('another process holds it until it is killed, and what it was told is written is there', async t => {
  const directory = temporaryDirectory()
  const { process: other, lines } = child(directory)
  t.equal((await lines.next()).value, 'open')
  await t.rejects(harness(storeLmdb(), { directory }), { code: 'FNA_ERR_LOCKED', message: `process ${other.pid}` })
  const acknowledged: string[] = []
  while (acknowledged.length < 50) {
    const { value, done } = await lines.next()
    if (done) throw new Error('the other process ended')
    acknowledged.push(value)
  }
  other.kill('SIGKILL')
  for await (const line of lines) acknowledged.push(line)
  await once(other, 'exit').catch(() => {})
  const opened = await Promise.allSettled([1, 2, 3].map(() => harness(storeLmdb(), { directory })))
  const won = opened.flatMap(o => (o.status === 'fulfilled' ? [o.value] : []))
  t.equal(won.length, 1, 'of those who take over a dead lock one wins')
  for (const o of opened) if (o.status === 'rejected') t.equal(o.reason.code, 'FNA_ERR_LOCKED')
  for (const name of acknowledged) t.ok(await won[0]!.service.get('Flow', name, c), name)
  await won[0]!.close()
})

t.test('a socket that was swept away does not make a living holder a dead one', async t => {
  const directory = temporaryDirectory()
  const h = await harness(storeLmdb(), { directory })
  for (const file of readdirSync(directory)) if (file.endsWith('.sock')) rmSync(join(directory, file))
  await t.rejects(harness(storeLmdb(), { directory }), { code: 'FNA_ERR_LOCKED' })
  await h.close()
  t.same(
    readdirSync(directory).filter(f => f.startsWith('lock')),
    [],
    'nothing of the lock is left behind',
  )
})

t.test('a directory deeper than a socket address is long', async t => {
  const directory = join(temporaryDirectory(), 'a'.repeat(90), 'b'.repeat(90))
  mkdirSync(directory, { recursive: true })
  const h = await harness(storeLmdb(), { directory })
  await t.rejects(harness(storeLmdb(), { directory }), { code: 'FNA_ERR_LOCKED' })
  await h.close()
  await (await harness(storeLmdb(), { directory })).close()
})
