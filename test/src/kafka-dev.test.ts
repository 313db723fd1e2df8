import { join } from 'node:path'
import { startKafka, unavailable } from '@fnaa/services'
import t from 'tap'
import { folder, freePort } from './support/agents.js'
import { Start, shell } from './support/start.js'

const skip = unavailable() ?? false

t.test('npm start -- --kafka: two participants on two clusters', { skip, timeout: 120_000 }, async t => {
  const clusters = await Promise.all([startKafka(), startKafka()])
  for (const k of clusters) t.teardown(() => k.stop())
  const data = join(await folder(t), 'data')
  const servers = clusters.map(k => k.servers[0]).join(',')
  const port = await freePort()
  const start = new Start(['--json', '--data', data, '--port', String(port), '--kafka', servers])
  t.teardown(() => start.child.kill('SIGINT'))
  const said = (await start.line()) as { participants: { subscriptions: { local: string; phase: string }[] }[] }
  t.match(said.participants[1]!.subscriptions, [{ local: 'time.flows.emiliano.test', phase: 'active' }])
  const args = [
    '--topic',
    'time.flows.emiliano.test',
    '--from-beginning',
    '--max-messages',
    '2',
    '--timeout-ms',
    '30000',
  ]
  const read = await clusters[1]!.tool('kafka-console-consumer', args)
  t.match(read.stdout, /^\{"time":"\d{4}-.*"\}\n\{"time":/)
})

t.test('clusters that are none are refused by name', async t => {
  for (const given of ['one:9092', 'a:1,b', 'a:1,b:2,c:3'])
    t.match(await shell(`npx fnaad dev --kafka ${given}`), {
      code: 2,
      err: /--kafka is .*a cluster for each participant/,
    })
})

t.test('the example for an operator', async t => {
  t.match(await shell('npx fnaad --config examples/kafka/fnaad.config.ts check'), { code: 0, out: /ok, 9 plugins/ })
})
