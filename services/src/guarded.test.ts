import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'

/** A process that starts a guarded program; killed, as soon as that runs. */
async function dies(opt: object): Promise<void> {
  const module = JSON.stringify(new URL('./guarded.js', import.meta.url).href)
  const text = `import { Guarded } from ${module}; await Guarded.start(['sleep', '60'], ${JSON.stringify(opt)}); console.log('up')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout!, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
}

async function gone(path: string): Promise<boolean> {
  for (const end = Date.now() + 10_000; existsSync(path) && Date.now() < end; )
    await new Promise(resolve => setTimeout(resolve, 20))
  return !existsSync(path)
}

t.test('what dies takes its own folder with it, and nothing beside', async t => {
  const above = await mkdtemp(join(tmpdir(), 'fnaad-guarded-'))
  t.teardown(() => rm(above, { recursive: true, force: true }))
  await writeFile(join(above, 'theirs'), '')
  const folder = join(above, 'own')
  await mkdir(folder)
  await dies({ folder })
  t.ok(await gone(folder))
  t.ok(existsSync(join(above, 'theirs')))

  await t.test('the last of a cluster, that of all', async t => {
    const cluster = join(above, 'cluster')
    for (const node of ['node-1', 'node-2']) await mkdir(join(cluster, node), { recursive: true })
    await dies({ folder: join(cluster, 'node-1'), cluster })
    t.ok(await gone(join(cluster, 'node-1')))
    t.ok(existsSync(cluster))
    await dies({ folder: join(cluster, 'node-2'), cluster })
    t.ok(await gone(cluster))
    t.ok(existsSync(join(above, 'theirs')))
  })
})
