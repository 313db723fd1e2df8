import { readFile } from 'node:fs/promises'
import kafka from '@fnaa/broker-kafka'
import { type Config, flattenPlugins } from '@fnaa/core'
import processorBridge from '@fnaa/processor-bridge'
import { type Kafka, startKafka, unavailable } from '@fnaa/services'
import t from 'tap'
import { eventually, places, TestAgent } from './support/agents.js'
import { childrenOf } from './support/process.js'

const skip = unavailable() ?? false
const FLOW = 'in.flows.unix.test'
const COPY = 'out.flows.unix.test'

/** As who reads what is committed sees it. */
async function committed(k: Kafka, n: number): Promise<string[]> {
  const args = ['--topic', COPY, '--from-beginning', '--isolation-level', 'read_committed', '--timeout-ms', '5000']
  const ran = await k.tool('kafka-console-consumer', [...args, '--max-messages', String(n + 50)])
  // The end of the time is told among the events.
  return ran.stdout.split('\n').filter(line => line.startsWith('{'))
}

/** Kills the processor host, a child of this process; one that was killed is being started anew. */
async function killHost(): Promise<number> {
  for (;;) {
    for (const pid of await childrenOf(process.pid)) {
      if (!(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes('processor-host')) continue
      process.kill(pid, 'SIGKILL')
      return 1
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

t.test('exactly once, with hosts killed while events run', { skip, timeout: 180_000 }, async t => {
  const cluster = await startKafka()
  t.teardown(() => cluster.stop())
  const [where] = await places(t, ['unix.test'])
  const change = (c: Config): Config => ({
    ...c,
    plugins: [
      ...flattenPlugins(c.plugins).filter(p => p.id !== 'processor-bridge'),
      kafka({ servers: cluster.servers }),
      processorBridge({ guarantee: 'exactly-once' }),
    ],
  })
  const agent = await new TestAgent(where!, { change }).start()
  t.teardown(() => agent.close())
  const user = await agent.login(t)
  for (const flow of [FLOW, COPY]) await user.ok(`CREATE FLOW ${flow} BROKER broker-kafka SHARDS 2`)
  await user.ok(`REPLICATE ${FLOW} ${COPY}`)
  const total = 400
  let kills = 0
  for (let i = 0; i < total; i++) {
    await user.write(FLOW, `{"n":${i}}`)
    if (i % 100 === 50) kills += await killHost()
  }
  t.ok(kills >= 4, `${kills} hosts were killed`)
  await eventually(
    agent,
    () => (agent.kernel.resources.list('Processor').every(p => p.status.phase === 'running') ? true : undefined),
    'running again',
    60_000,
  )
  let seen: string[] = []
  for (let tries = 0; tries < 8 && seen.length < total; tries++) seen = await committed(cluster, total)
  t.equal(new Set(seen).size, total, 'none is lost')
  t.equal(seen.length, total, 'none is there twice')
  t.same(
    seen,
    [...seen].sort((a, b) => JSON.parse(a).n - JSON.parse(b).n),
    'in order',
  )
  // Marks of transactions stand between them, which are places and no events.
  t.equal((await user.read(COPY)).length, total, 'READ ends behind the last of them')
})
