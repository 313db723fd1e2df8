import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Authority, bindUnavailable, unboundUnavailable } from '@fnaa/services'
import t, { type Test } from 'tap'
import { folder, freePort } from './support/agents.js'
import { type Examined, OperatedAgent } from './support/doctor-agent.js'
import { DoctorNet, names, type Patient } from './support/doctor-net.js'

const skip = bindUnavailable() ?? unboundUnavailable() ?? false
const MINUTE = 60_000

/** What is wrong with an agent of one's own, and what the doctor says of it. */
interface Row {
  readonly what: string
  readonly agent: OperatedAgent
  /** Makes it wrong; absent where the agent is so from the beginning. */
  readonly harm?: () => unknown
  readonly layer: string | null
  readonly check: string
  readonly mend: RegExp
  /** Does what was printed. */
  readonly remedy?: (mends: readonly string[]) => unknown
  /** What is examined: the agent's own domains if absent. */
  readonly name?: string
}

t.test('fnaad doctor: the world finds this agent, or what keeps it from that, and what mends it', { skip }, async t => {
  const domains = ['own', 'gone', 'hand', 'shut', 'cert', 'fast', 'kafka'].map(d => `${d}.test`)
  const ports = new Map(await Promise.all(domains.map(async d => [d, await freePort()] as const)))
  const dead = await freePort()
  const at = (name: string): Patient => ({ name, records: names(name, ports.get(name)!) })
  const net = await DoctorNet.start(t, [
    ...['own', 'cert', 'fast', 'kafka'].map(d => at(`${d}.test`)),
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
  const own = await agent('own.test')
  const gone = await agent('gone.test')
  const hand = await agent('hand.test')
  const shut = await agent('shut.test', { config: `advertise: 'fnaa.shut.test:${dead}',` })
  const fast = await agent('fast.test', { clock: 10 * MINUTE })
  const cert = await agent('cert.test', { config: `tls: ${JSON.stringify(files)},` })
  const kafka = await agent('kafka.test', {
    config: `plugins: [...config.plugins.filter(p => p && p.manifest.kind !== 'dns'), brokerKafka({ servers: ['127.0.0.1:${dead}'] }), dnsBind({ server: '${net.bind.host}:${net.bind.port}', zones: ['kafka.test'], keyFile: '${net.bind.keyFile('kafka.test', 'agent')}' })],`,
  })
  const srv = `_fnap._tcp.flows.own.test. 300 IN SRV 0 0 ${own.port} fnaa.own.test.`
  const fnap = '_fnap.flows.own.test. 300 IN TXT "v=FNAP1; d=own.test"'
  const [key = ''] = await own.keys()
  const ds = `own.test. 300 IN DS ${net.bind.ds('own.test')}`
  const gone1 = (line: string) => `; remove: ${line}`

  const rows: Row[] = [
    {
      what: 'no agent runs',
      agent: own,
      harm: () => own.stop(),
      layer: 'agent',
      check: 'runs',
      mend: /fnaad --config \S+own\.test\/fnaad\.config\.ts$/,
      remedy: () => own.start(),
    },
    {
      what: 'there is no _fnap record',
      agent: own,
      harm: () => net.mend('own.test', gone1(fnap)),
      layer: 'dns',
      check: 'namespace',
      mend: /^_fnap\.flows\.own\.test\. 300 IN TXT "v=FNAP1; d=own\.test"$/,
      remedy: mends => net.mend('own.test', ...mends),
    },
    {
      what: 'SRV leads elsewhere',
      agent: own,
      harm: () => net.mend('own.test', gone1(srv), srv.replace(String(own.port), String(dead))),
      layer: 'dns',
      check: 'srv',
      mend: /^_fnap\._tcp\.flows\.own\.test\. 300 IN SRV 0 0 \d+ fnaa\.own\.test\.$/,
      remedy: mends => net.mend('own.test', gone1(srv.replace(String(own.port), String(dead))), ...mends),
    },
    {
      what: 'its key is not in DNS',
      agent: own,
      harm: () => net.mend('own.test', gone1(key)),
      layer: 'key',
      check: 'record',
      mend: /^\S+\._fnapkey\.own\.test\. 300 IN TXT "v=FNAP1; k=ed25519; p=/,
      remedy: mends => net.mend('own.test', ...mends),
    },
    {
      what: 'its key is revoked in DNS',
      agent: own,
      harm: () => net.mend('own.test', gone1(key), key.replace(/p=.*"/, 'p="')),
      layer: 'key',
      check: 'record',
      mend: /^; remove: \S+\._fnapkey\.own\.test\. 300 IN TXT "v=FNAP1; k=ed25519; p="$/,
      remedy: mends => net.mend('own.test', ...mends),
    },
    {
      what: 'the DS at the parent is of another key',
      agent: own,
      harm: () => net.mend('test', gone1(ds), `own.test. 300 IN DS 1 13 2 ${'00'.repeat(32)}`),
      layer: 'dns',
      check: 'ds',
      mend: /^own\.test\. \d+ IN DS \d+ 13 2 [0-9a-f]{64}$/,
      remedy: mends => net.mend('test', ...mends),
    },
    {
      what: 'the parent has no DS',
      agent: own,
      harm: () => net.mend('test', gone1(ds)),
      layer: null,
      check: 'ds',
      mend: /^own\.test\. \d+ IN DS \d+ 13 2 [0-9a-f]{64}$/,
      remedy: mends => net.mend('test', ...mends),
    },
    {
      what: 'the key that writes names is another at the name server',
      agent: own,
      harm: async () => {
        await net.bind.rotate('own.test', 'agent')
        await own.stop()
        await own.start()
      },
      layer: 'dns',
      check: 'write',
      mend: /^tsig-keygen /,
      remedy: () => net.bind.reload(),
    },
    {
      what: 'the published address is one that strangers do not connect to',
      agent: own,
      harm: () => own.write('network: {},'),
      layer: 'address',
      check: 'guard',
      mend: /^network: \{ allow: \['127\.0\.0\.1'\] \}$/,
      remedy: mends => own.write(`${mends.find(m => m.startsWith('network'))},`),
    },
    {
      what: 'the resolver is dead',
      agent: own,
      harm: () => own.write(`resolver: { servers: ['127.0.0.1:${dead}'] },`),
      layer: 'dns',
      check: 'resolver',
      mend: /^systemctl restart unbound$/,
      remedy: () => own.write(),
    },
    {
      what: 'its own name server does not answer',
      agent: own,
      harm: () => net.bind.suspend(),
      layer: 'dns',
      check: 'authority',
      mend: /^systemctl restart named$/,
      remedy: () => {
        net.bind.resume()
        net.forget()
      },
    },
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
      what: 'the clock of the machine is two months off',
      agent: own,
      harm: () => own.turn(60 * 24 * 60 * MINUTE),
      layer: 'clock',
      check: 'signatures',
      mend: /^timedatectl set-ntp true$/,
      remedy: () => own.turn(0),
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
      agent: own,
      name: 'flows.shut.test',
      layer: 'tcp',
      check: 'port',
      mend: /fnaad --config <file>/,
    },
  ]

  const whole = (t: Test, found: Examined) => {
    t.equal(found.broken, null, found.stdout)
    t.equal(found.code, 0, found.stderr)
  }
  await t.test('whole', async t => {
    const found = await own.examine()
    whole(t, found)
    const fine = found.findings.filter(f => f.state === 'ok').map(f => f.layer)
    t.same(new Set(fine), new Set(['agent', 'clock', 'dns', 'tcp', 'address', 'tls', 'greeting', 'key', 'broker']))
    t.match(
      (await own.run('doctor')).stdout,
      /^ok {7}key {7}it proves to be own\.test with the key \S+, at level dnssec$/m,
    )
    whole(t, await own.examine('flows.kafka.test'))
    t.match(await own.run('doctor', 'no name'), { code: 2, stderr: /is no name of a flow or namespace/ })
  })
  for (const row of rows) {
    await t.test(row.what, async t => {
      await row.harm?.()
      const look = () => row.agent.examine(...(row.name ? [row.name] : []))
      const found = await look()
      const state = row.layer === null ? 'warning' : 'broken'
      const seen = found.findings.find(f => f.state === state && f.check === row.check)
      t.equal(found.broken, row.layer, found.stderr)
      t.equal(found.code, row.layer === null ? 0 : 1)
      if (!t.ok(seen, 'found')) t.comment(found.stdout)
      const mends = seen?.mend.map(m => m.text) ?? []
      t.ok(
        mends.some(m => row.mend.test(m)),
        mends.join('\n'),
      )
      if (!row.remedy) return
      await row.remedy(mends)
      whole(t, await look())
    })
  }
})
