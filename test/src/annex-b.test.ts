import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  Authority,
  Bind,
  bindUnavailable,
  type Host,
  Network,
  networkUnavailable,
  startKafka,
  unavailable,
} from '@fnaa/services'
import t, { type Test } from 'tap'
import { folder } from './support/agents.js'
import { fnua } from './support/fnua.js'
import { ProcessAgent } from './support/process.js'

// Annex B of the thesis, with its own names, addresses and ports: a host of its own has them all.
const skip = networkUnavailable() ?? bindUnavailable() ?? unavailable() ?? false
const DOMAIN = 'syndeno.com'
const FLOW = `notifications.calendar.people.${DOMAIN}`
const AGENT = { name: `fnaa.${DOMAIN}`, address: '208.68.163.200', port: 65432 }
const QUEUE = { name: `kafka.${DOMAIN}`, address: '208.68.163.218', port: 9092 }

async function scene(t: Test) {
  const network = await Network.start()
  t.teardown(() => network.stop())
  const host = await network.host()
  for (const { address } of [AGENT, QUEUE]) inside(host, 'ip', 'address', 'add', `${address}/32`, 'dev', 'lo')
  const people = `people.${DOMAIN}`
  const records = [
    ...[AGENT, QUEUE].map(({ name, address }) => `${name}. 21600 A ${address}`),
    `_fnap.${people}. TXT "v=FNAP1; d=${DOMAIN}"`,
    `_fnap._tcp.${people}. SRV 0 0 ${AGENT.port} ${AGENT.name}.`,
  ]
  // Whoever asks for a name on this host asks it.
  const bind = await Bind.start({ zones: [{ name: DOMAIN, records }], port: 53, within: host.within })
  t.teardown(() => bind.stop())
  const authority = new Authority()
  const kafka = await startKafka({ secure: true, on: { ...QUEUE, within: host.within, authority } })
  t.teardown(() => kafka.stop())
  const data = await folder(t)
  const file = async (name: string, text: string) => {
    await writeFile(join(data, name), text, { mode: 0o600 })
    return join(data, name)
  }
  const { cert, key } = authority.issue([AGENT.name, DOMAIN])
  const ca = await file('ca.pem', authority.ca)
  const tls = { cert: await file('cert.pem', cert), key: await file('key.pem', key), ca }
  const where = { domain: DOMAIN, data: join(data, 'agent'), port: AGENT.port, dnsPort: 53, ca, neighbours: {} }
  const options = {
    host: AGENT.name,
    domains: [DOMAIN],
    listen: [`tls://${AGENT.address}:${AGENT.port}`],
    data: where.data,
    tls,
    namespaces: [people],
    administrators: [`test@${DOMAIN}`],
    resolver: { servers: ['127.0.0.1:53'] },
  }
  const sasl = { mechanism: 'scram-sha-256', ...kafka.admin! }
  const plugins: Record<string, object> = {
    'store-lmdb': {},
    'auth-sasl': {},
    'auth-domainkey': {},
    'dns-bind': { server: '127.0.0.1:53', keyFile: bind.keyFile(DOMAIN, 'agent') },
    'broker-kafka': { servers: [`${QUEUE.name}:${QUEUE.port}`], tls: { ca: kafka.ca }, sasl },
    'broker-fnap': {},
    'runtime-process': {},
    'processor-bridge': {},
  }
  const text = [
    ...Object.keys(plugins).map((name, i) => `import p${i} from '@fnaa/${name}'`),
    `const plugins = [${Object.values(plugins).map((o, i) => `p${i}(${JSON.stringify(o)})`)}]`,
    `export default { ...${JSON.stringify(options)}, plugins }`,
  ]
  await (await ProcessAgent.on(t, host, where, text.join('\n'))).start()
  const entry = [
    '  - name: ours',
    `fqdn: ${AGENT.name}`,
    `address: ${AGENT.address}:${AGENT.port}`,
    'username: test',
    'password: test',
    `ca: ${ca}`,
    'tls: implicit',
  ]
  const flowYml = await file('flow.yml', `agents:\n${entry.join('\n    ')}\n`)
  const type = async (...words: string[]) => {
    const ran = await fnua(['--config', flowYml, ...words], { within: host.within })
    if (ran.code !== 0) throw new Error(`fnua ${words.join(' ')}: ${ran.stderr}`)
    return ran.stdout
  }
  return { host, bind, kafka, ca, type }
}

/** What a program says on that host. */
function inside({ within }: Host, ...command: string[]): string {
  const [program = '', ...args] = [...within, ...command]
  const ran = spawnSync(program, args, { encoding: 'utf8', input: 'QUIT\r\n', timeout: 20_000 })
  if (ran.error) throw ran.error
  return ran.stdout + ran.stderr
}

t.test('Annex B: the names of a flow, from its own to the addresses', { skip }, async t => {
  const { host, bind, kafka, ca, type } = await scene(t)
  await type('create', 'flow', FLOW, '--broker', 'broker-kafka', '--visibility', 'public')
  const answers = (type: string, name: string) =>
    bind
      .dig('+noall', '+answer', type, name)
      .split('\n')
      .filter(line => line !== '')
      .map(line => line.replace(/^(\S+)\s+\d+\s+IN\s+(\S+)\s+/, '$1 IN $2 '))
  const agent = `_flow._tcp.${FLOW}`
  const queue = `_queue.${agent}`

  t.match(bind.dig('PTR', FLOW), new RegExp(`^;${FLOW}\\.\\s+IN\\s+PTR$`, 'm'), 'T15')
  t.same(answers('PTR', FLOW), [`${FLOW}. IN PTR ${agent}.`], 'T16')
  t.same(answers('SRV', agent), [`${agent}. IN SRV 30 30 65432 fnaa.syndeno.com.`], 'T17')
  t.same(answers('TXT', agent), [`${agent}. IN TXT "tls"`], 'T17')
  t.same(answers('SRV', queue), [`${queue}. IN SRV 30 30 9092 kafka.syndeno.com.`], 'T17')
  const [words = ''] = answers('TXT', queue)
  t.match(words, /^\S+ IN TXT "broker-type=kafka (?:.* )?tls\b.*"$/, 'T17')
  t.match(bind.dig('A', AGENT.name), /^fnaa\.syndeno\.com\.\s+21600\s+IN\s+A\s+208\.68\.163\.200$/m, 'T18')
  t.match(bind.dig('A', QUEUE.name), /^kafka\.syndeno\.com\.\s+21600\s+IN\s+A\s+208\.68\.163\.218$/m, 'T19')

  const tls = (at: { name: string; port: number }, ...more: string[]) =>
    inside(host, 'openssl', 's_client', '-connect', `${at.name}:${at.port}`, '-servername', at.name, ...more)
  const checked = (at: { name: string }) => ['-verify_hostname', at.name, '-verify_return_error', '-CAfile', ca]
  await t.test('T18: the agent is there', async t => {
    t.match(tls(AGENT, '-quiet', ...checked(AGENT)), /^220 fnaa\.syndeno\.com FNAA\r?$/m)
  })
  await t.test('T19: the queue is there', async t => {
    t.match(tls(QUEUE, '-brief', ...checked(QUEUE)), /^Verification: OK$/m)
    const { stdout } = await kafka.tool('kafka-topics', ['--describe', '--topic', FLOW])
    t.match(stdout, `Topic: ${FLOW}`)
  })
})
