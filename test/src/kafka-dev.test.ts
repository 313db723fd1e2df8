import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startKafka, unavailable } from '@fnaa/services'
import t from 'tap'
import { CONFIG, folder, freePort } from './support/agents.js'
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

t.test('what check says of the options of Kafka, and never of a password', async t => {
  const directory = await folder(t)
  const sasl = "{ mechanism: 'scram-sha-256', username: 'u', password: 'hunter2' }"
  const checked = async (options: string) => {
    const file = join(directory, 'fnaad.config.ts')
    const base = JSON.stringify(CONFIG)
    await writeFile(
      file,
      `import base from ${base}\nimport kafka from '@fnaa/broker-kafka'\nconst all = base({ data: ${JSON.stringify(directory)} })\nexport default { ...all, plugins: [...all.plugins, kafka(${options} as never)] }\n`,
    )
    const said = await shell(`npx fnaad --config ${file} check`)
    t.notMatch(said.out + said.err, /hunter2/)
    return said
  }
  t.match(await checked(`{ servers: ['k:9093'], tls: true, sasl: ${sasl} }`), {
    code: 0,
    err: /^warning: plugin 'broker-kafka': data is missing: .* make a user that may only read and write/,
  })
  t.match(await checked(`{ servers: ['k:9093'], sasl: ${sasl}, data: { username: 'd', password: 'hunter2' } }`), {
    code: 0,
    err: /^$/,
  })
  t.match(await checked('{}'), { code: 0, err: /^$/ }, 'the driver alone')
  for (const [options, why] of [
    [`{ tls: true, sasl: ${sasl} }`, /servers is missing: tls says something of it only/],
    [
      `{ servers: ['k:9093'], sasl: ${sasl.replace('scram-sha-256', 'scram')} }`,
      /mechanism is scram: it must be one of/,
    ],
    [
      `{ servers: ['k:9093'], sasl: ${sasl.replace('password', 'passwort')} }`,
      /passwort is not an option; did you mean/,
    ],
    [
      `{ servers: ['k:9093'], sasl: ${sasl.replace("'hunter2'", '{ environment: 1 }')} }`,
      /sasl\.password\.environment is not an option/,
    ],
    [`{ servers: ['k:9093'], sasl: 'hunter2' }`, /options\.sasl/],
  ] as const)
    t.match(await checked(options), { code: 2, err: why }, options)
})
