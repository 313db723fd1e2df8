import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Authority, bindUnavailable, unboundUnavailable } from '@fnaa/services'
import t from 'tap'
import { folder, freePort } from './support/agents.js'
import { examineRows, OperatedAgent, type Row } from './support/doctor-agent.js'
import { DoctorNet, names, type Patient } from './support/doctor-net.js'

const skip = bindUnavailable() ?? unboundUnavailable() ?? false
const MINUTE = 60_000

t.test('fnaad doctor: agents that are wrong from the beginning', { skip }, async t => {
  const domains = ['gone', 'hand', 'shut', 'cert', 'fast', 'kafka'].map(d => `${d}.test`)
  const ports = new Map(await Promise.all(domains.map(async d => [d, await freePort()] as const)))
  const dead = await freePort()
  const at = (name: string): Patient => ({ name, records: names(name, ports.get(name)!) })
  const net = await DoctorNet.start(t, [
    ...['cert', 'fast', 'kafka'].map(d => at(`${d}.test`)),
    { name: 'shut.test', records: names('shut.test', dead) },
    { ...at('gone.test'), apart: true, undelegated: true },
    { ...at('hand.test'), byHand: 'expired' },
  ])
  const data = await folder(t)
  const agent = async (domain: string, opt: Parameters<typeof OperatedAgent.prepare>[3] = {}) => {
    const made = await OperatedAgent.prepare(t, net, { domain, folder: data, port: ports.get(domain)! }, opt)
    await made.start()
    for (const line of await made.keys()) if (domain !== 'hand.test') net.mend(domain, line)
    return made
  }
  const authority = new Authority()
  const files = { cert: join(data, 'cert.pem'), key: join(data, 'key.pem'), ca: join(data, 'other-ca.pem') }
  for (const [name, pem] of Object.entries({ ...authority.issue(['fnaa.cert.test']), ca: authority.ca }))
    await writeFile(files[name as keyof typeof files], pem, { mode: 0o600 })
  const gone = await agent('gone.test')
  const hand = await agent('hand.test')
  const shut = await agent('shut.test', { config: `advertise: 'fnaa.shut.test:${dead}',` })
  const fast = await agent('fast.test', { clock: 10 * MINUTE })
  const cert = await agent('cert.test', { config: `tls: ${JSON.stringify(files)},` })
  const kafka = await agent('kafka.test', {
    config: `plugins: [...config.plugins.filter(p => p && p.manifest.kind !== 'dns'), brokerKafka({ servers: ['127.0.0.1:${dead}'] }), dnsBind({ server: '${net.bind.host}:${net.bind.port}', zones: ['kafka.test'], keyFile: '${net.bind.keyFile('kafka.test', 'agent')}' })],`,
  })
  const rows: Row[] = [
    {
      what: 'the domain is not delegated',
      agent: gone,
      layer: 'dns',
      check: 'delegation',
      mend: /^gone\.test\. \d+ IN DS \d+ 13 2 [0-9a-f]{64}$/,
      remedy: async mends => {
        net.mend('test', ...mends)
        // A referral cannot name a port: the resolver is told of it.
        await net.follow('gone.test')
      },
    },
    {
      what: 'its signatures have expired',
      agent: hand,
      layer: 'dns',
      check: 'signature',
      mend: /^rndc sign hand\.test$/,
    },
    {
      what: 'the published port is closed',
      agent: shut,
      layer: 'tcp',
      check: 'port',
      mend: /^fnaad --config <file>$/,
    },
    {
      what: 'the certificate is for the host and not for the domain',
      agent: cert,
      layer: 'tls',
      check: 'certificate',
      mend: /^tls: \{ cert/,
    },
    {
      what: 'F14: the clock of its machine is ten minutes off',
      agent: fast,
      layer: 'clock',
      check: 'nameserver',
      mend: /^timedatectl set-ntp true$/,
    },
    {
      what: 'a broker does not answer',
      agent: kafka,
      layer: 'broker',
      check: 'health',
      mend: /^fnua describe broker broker-kafka$/,
    },
    {
      what: 'another participant, as this agent meets it',
      agent: cert,
      name: 'flows.shut.test',
      layer: 'tcp',
      check: 'port',
      mend: /fnaad --config <file>/,
    },
  ]
  await examineRows(t, rows)
})
