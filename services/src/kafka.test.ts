import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { test } from 'tap'
import { startKafka, unavailable } from './index.js'

const skip = unavailable() ?? false

/** Whether a process is there that is no zombie: what died unreaped has ended too. */
function lives(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

test('a node starts, answers a tool, hangs, dies, comes back with its topics, and leaves nothing', {
  skip,
}, async t => {
  const kafka = await startKafka()
  t.teardown(() => kafka.stop())
  const node = kafka.node(1)
  const made = await kafka.tool('kafka-topics', ['--create', '--topic', 'a', '--partitions', '2'])
  t.equal(made.code, 0, made.stderr)
  node.pause()
  const hanging = AbortSignal.timeout(3_000)
  t.equal((await kafka.tool('kafka-topics', ['--list'], { signal: hanging })).code, null, 'nobody answers')
  node.resume()
  await node.kill()
  t.throws(() => node.pid, /does not run/)
  await node.start()
  t.equal((await kafka.tool('kafka-topics', ['--list'])).stdout, 'a\n')
  const sent = await kafka.tool('kafka-console-producer', ['--topic', 'a'], { input: 'hello\n' })
  t.equal(sent.code, 0, sent.stderr)
  const { pid } = node
  await kafka.stop()
  t.notOk(lives(pid))
  t.notOk(existsSync(kafka.directory))
})

test('the secure listener asks who it is and what it may', { skip }, async t => {
  const kafka = await startKafka({ secure: true })
  t.teardown(() => kafka.stop())
  const create = async (topic: string, username: string, password: string) => {
    const file = await kafka.propertiesOf({ username, password })
    const where = ['--bootstrap-server', kafka.secureServers[0]!, '--command-config', file]
    return kafka.tool('kafka-topics', [...where, '--create', '--topic', topic])
  }
  const { username, password } = kafka.admin!
  t.match(await create('a', username, password), { code: 0 })
  t.match(await create('b', username, 'wrong'), { code: 1, stdout: /SaslAuthenticationException/ })
  const user = ['--entity-type', 'users', '--entity-name', 'bob', '--add-config', 'SCRAM-SHA-256=[password=b]']
  t.equal((await kafka.tool('kafka-configs', ['--alter', ...user])).code, 0)
  t.match(await create('b', 'bob', 'b'), { code: 1, stdout: /Authorization/ })
})

test('a process that is killed takes its nodes and their data along', { skip }, async t => {
  const module = new URL('./index.js', import.meta.url).href
  const code = `const { startKafka } = await import(${JSON.stringify(module)})
    const kafka = await startKafka()
    console.log(JSON.stringify([kafka.node(1).pid, kafka.directory]))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const [pid, directory] = JSON.parse(line) as [number, string]
  t.ok(lives(pid))
  child.kill('SIGKILL')
  // Nobody is left whom one could wait for.
  while (lives(pid) || existsSync(directory)) await new Promise(resolve => setTimeout(resolve, 20))
  t.pass('gone')
})
