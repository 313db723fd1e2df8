import { bindUnavailable, unboundUnavailable } from '@fnaa/services'
import t from 'tap'
import { folder, freePort } from './support/agents.js'
import { examineRows, OperatedAgent, type Row, whole } from './support/doctor-agent.js'
import { DoctorNet, names, type Patient } from './support/doctor-net.js'

const skip = bindUnavailable() ?? unboundUnavailable() ?? false
const MINUTE = 60_000

t.test('fnaad doctor: the world finds this agent, or what keeps it from that, and what mends it', { skip }, async t => {
  const domains = ['own'].map(d => `${d}.test`)
  const ports = new Map(await Promise.all(domains.map(async d => [d, await freePort()] as const)))
  const dead = await freePort()
  const at = (name: string): Patient => ({ name, records: names(name, ports.get(name)!) })
  const net = await DoctorNet.start(t, [at('own.test')])
  const data = await folder(t)
  const agent = async (domain: string, opt: Parameters<typeof OperatedAgent.prepare>[3] = {}) => {
    const made = await OperatedAgent.prepare(t, net, { domain, folder: data, port: ports.get(domain)! }, opt)
    await made.start()
    for (const line of await made.keys()) if (domain !== 'hand.test') net.mend(domain, line)
    return made
  }
  const own = await agent('own.test')
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
      mend: /^\S+\._fnapkey\.own\.test\. \d+ IN TXT "v=FNAP1; k=ed25519; p=/,
      remedy: mends => net.mend('own.test', ...mends),
    },
    {
      what: 'its key is revoked in DNS',
      agent: own,
      harm: () => net.mend('own.test', gone1(key), key.replace(/p=.*"/, 'p="')),
      layer: 'key',
      check: 'record',
      mend: /^; remove: \S+\._fnapkey\.own\.test\. \d+ IN TXT "v=FNAP1; k=ed25519; p="$/,
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
      what: 'the clock of the machine is two months off',
      agent: own,
      harm: () => own.turn(60 * 24 * 60 * MINUTE),
      layer: 'clock',
      check: 'signatures',
      mend: /^timedatectl set-ntp true$/,
      remedy: () => own.turn(0),
    },
  ]

  await t.test('whole', async t => {
    const found = await own.examine()
    whole(t, found)
    const fine = found.findings.filter(f => f.state === 'ok').map(f => f.layer)
    t.same(new Set(fine), new Set(['agent', 'clock', 'dns', 'tcp', 'address', 'tls', 'greeting', 'key', 'broker']))
    t.match(
      (await own.run('doctor')).stdout,
      /^ok {7}key {7}it proves to be own\.test with the key \S+, at level dnssec$/m,
    )
    whole(t, await own.examine('flows.own.test'))
    t.match(await own.run('doctor', 'no name'), { code: 2, stderr: /is no name of a flow or namespace/ })
  })
  await examineRows(t, rows)
})
