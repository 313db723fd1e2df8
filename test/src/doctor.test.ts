import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Authority, bindUnavailable, unboundUnavailable } from '@fnaa/services'
import t from 'tap'
import { admin, type Client, folder, freePort, type TestAgent } from './support/agents.js'
import type { Finding } from './support/doctor-net.js'
import { DoctorNet, doctorAgent, keysOf, names, type Patient } from './support/doctor-net.js'
import { fakeAgent } from './support/fake-agent.js'
import { configFor, fnua, type Ran } from './support/fnua.js'

const { default: brokerKafka } = (await import(`${'@fnaa/broker-kafka'}`)) as typeof import('@fnaa/broker-kafka')
const skip = bindUnavailable() ?? unboundUnavailable() ?? false

/** What is wrong with a name, and what the doctor says of it. */
interface Row {
  readonly what: string
  readonly name: string
  /** Null: nothing is broken, and `check` is a warning. */
  readonly layer: string | null
  readonly check: string
  /** The mend that must be among those that are printed. */
  readonly mend: RegExp
  /** Options of fnua before the command. */
  readonly options?: readonly string[]
  /** Does what was printed; the doctor must then find nothing wrong there any more. */
  readonly remedy?: (mends: readonly string[]) => unknown
  /** What is wrong after that: nothing where it is absent. */
  readonly left?: string
}

/** Everything that a stranger can find on the way to a name, each wrong in its own zone. */
t.test('fnua doctor: each layer, named when it is broken, with what mends it', { skip }, async t => {
  const [port, closed, dead, none] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const mute = await fakeAgent(t, () => null, '220 mail.test ESMTP')
  const plain = await fakeAgent(t, line =>
    line === 'CAPABILITIES' ? '220 DATA\r\nversion=FNAP/1\r\nstarttls=no\r\nauth=PLAIN\r\n220 OK' : '220 OK',
  )
  const at = (domain: string, p = port): Patient => ({ name: domain, records: names(domain, p) })
  const net = await DoctorNet.start(t, [
    at('whole.test'),
    at('emiliano.test', none),
    { ...at('expired.test'), byHand: 'expired' },
    { ...at('wrongds.test'), ds: 'wrong' },
    { ...at('nods.test'), ds: 'none' },
    { ...at('unsigned.test'), signed: false },
    { ...at('lame.test'), lame: dead },
    { name: 'nofnap.test', records: names('nofnap.test', port).filter(line => !/^_fnap\.(?!_tcp)/.test(line)) },
    { name: 'twofnap.test', records: [...names('twofnap.test', port), '_fnap.flows.twofnap.test. TXT "v=FNAP1"'] },
    { name: 'noapex.test', records: names('noapex.test', port).map(l => l.replace('d=noapex', 'd=flows.noapex')) },
    { name: 'nosrv.test', records: ['fnaa A 127.0.0.1', '_fnap.flows TXT "v=FNAP1; d=nosrv.test"'] },
    { name: 'noaddress.test', records: names('noaddress.test', port).slice(1) },
    { name: 'private.test', records: names('private.test', port).map(l => l.replace('127.0.0.1', '127.0.0.2')) },
    at('closed.test', closed),
    at('mute.test', mute.port),
    at('notls.test', plain.port),
    { name: 'implicit.test', records: [...names('implicit.test', port), '_fnap._tcp.flows.implicit.test. TXT "tls"'] },
    at('wrongcert.test'),
    at('spoken.test', none),
    at('nokey.test'),
    at('revoked.test'),
    at('otherkey.test'),
  ])
  const data = await folder(t)
  const others =
    'expired wrongds nods unsigned nofnap twofnap noapex nosrv noaddress private closed implicit nokey revoked otherkey'
  const a = await doctorAgent(t, net, { domain: 'whole.test', data, port }, config => ({
    ...config,
    domains: ['whole.test', ...others.split(' ').map(name => `${name}.test`)],
    listen: [`tcp://127.0.0.1:${port}`, `tcp://127.0.0.2:${port}`],
    plugins: [...config.plugins, brokerKafka({ servers: [`127.0.0.1:${dead}`] })],
  }))
  const authority = new Authority()
  const files = { cert: join(data, 'cert.pem'), key: join(data, 'key.pem'), ca: join(data, 'other-ca.pem') }
  const pair = authority.issue(['fnaa.emiliano.test', 'emiliano.test', 'spoken.test'])
  for (const [name, pem] of Object.entries({ ...pair, ca: authority.ca }))
    await writeFile(files[name as keyof typeof files], pem, { mode: 0o600 })
  const b = await doctorAgent(t, net, { domain: 'emiliano.test', data, port: none }, config => ({
    ...config,
    network: { allow: ['127.0.0.1'] },
    tls: files,
  }))
  const revoked = '"v=FNAP1; k=ed25519; p="'
  const other = `"v=FNAP1; k=ed25519; p=${Buffer.alloc(32, 7).toString('base64')}"`
  await publish(net, b)
  await publish(net, a, (domain, text) =>
    domain === 'nokey.test' ? null : domain === 'revoked.test' ? revoked : domain === 'otherkey.test' ? other : text,
  )
  const owner = await a.login(t)
  await owner.ok('CREATE FLOW time.flows.whole.test VISIBILITY public')
  await owner.ok('CREATE FLOW secret.flows.whole.test')
  t.match(await owner.say('CREATE FLOW stuck.flows.whole.test BROKER broker-kafka'), { kind: 'error' })
  await owner.ok('CREATE FLOW ended.flows.whole.test VISIBILITY public')
  await ended(await b.login(t), owner)
  const ca = join(data, 'ca', 'ca.crt')
  const more = `nameserver: ${net.nameserver}\nca: ${ca}\n`
  const mine = ['--config', await configFor(data, { port: a.port, domain: 'whole.test' }, more)]
  const theirs = ['--config', await configFor(data, { port: b.port, domain: 'emiliano.test' }, more)]
  const asked = ['--nameserver', net.nameserver, '--ca', ca]
  const mute2 = await net.unbound(t, { validates: false, anchors: {} })

  const rows: Row[] = [
    {
      what: 'the domain is not delegated',
      name: 'time.flows.gone.test',
      layer: 'dns',
      check: 'delegation',
      mend: /^gone\.test\. 86400 IN NS ns\.gone\.test\.$/,
    },
    {
      what: 'its signatures have expired',
      name: 'flows.expired.test',
      layer: 'dns',
      check: 'signature',
      mend: /^dnssec-signzone -o expired\.test /,
      remedy: async () => {
        net.bind.sign('expired.test')
        await net.bind.reload()
        net.forget()
      },
      left: 'key',
    },
    {
      what: 'the DS at its parent is of another key',
      name: 'flows.wrongds.test',
      layer: 'dns',
      check: 'ds',
      mend: /^wrongds\.test\. \d+ IN DS \d+ 13 2 [0-9a-f]{64}$/,
      remedy: mends => net.mend('test', ...mends),
    },
    {
      what: 'its parent does not say that it is signed',
      name: 'flows.nods.test',
      layer: null,
      check: 'ds',
      mend: /^nods\.test\. \d+ IN DS \d+ 13 2 [0-9a-f]{64}$/,
      remedy: mends => net.mend('test', ...mends),
    },
    { what: 'it is not signed', name: 'flows.unsigned.test', layer: null, check: 'unsigned', mend: /dnssec-policy/ },
    {
      what: 'no name server of it answers',
      name: 'flows.lame.test',
      layer: 'dns',
      check: 'authority',
      mend: /^systemctl restart named$/,
    },
    {
      what: 'there is no _fnap record',
      name: 'time.flows.nofnap.test',
      layer: 'dns',
      check: 'namespace',
      mend: /^_fnap\.flows\.nofnap\.test\. 300 IN TXT "v=FNAP1; d=nofnap\.test"$/,
      remedy: mends => net.mend('nofnap.test', ...mends),
      left: 'grants',
    },
    {
      what: 'there are two of them',
      name: 'flows.twofnap.test',
      layer: 'dns',
      check: 'namespace',
      mend: /^; remove: _fnap\.flows\.twofnap\.test\. 300 IN TXT "v=FNAP1"$/,
      remedy: mends => net.mend('twofnap.test', ...mends),
    },
    {
      what: 'its d is no apex of a zone',
      name: 'flows.noapex.test',
      layer: 'dns',
      check: 'namespace',
      mend: /^_fnap\.flows\.noapex\.test\. 300 IN TXT "v=FNAP1; d=noapex\.test"$/,
      remedy: mends => net.mend('noapex.test', ...mends),
    },
    {
      what: 'there is no SRV record',
      name: 'flows.nosrv.test',
      layer: 'dns',
      check: 'srv',
      mend: /^_fnap\._tcp\.flows\.nosrv\.test\. 300 IN SRV 0 0 61000 fnaa\.nosrv\.test\.$/,
      remedy: mends => net.mend('nosrv.test', ...mends.map(l => l.replace('61000', String(port)))),
    },
    {
      what: 'the host of the SRV record has no address',
      name: 'flows.noaddress.test',
      layer: 'address',
      check: 'address',
      mend: /^fnaa\.noaddress\.test\. 300 IN A /,
      remedy: mends => net.mend('noaddress.test', ...mends.map(l => l.replace(/<.*>/, '127.0.0.1'))),
    },
    {
      what: 'the address is one that agents of strangers do not connect to',
      name: 'time.flows.private.test',
      layer: 'address',
      check: 'guard',
      mend: /network: \{ allow: /,
      options: theirs,
    },
    {
      what: 'nothing listens there',
      name: 'flows.closed.test',
      layer: 'tcp',
      check: 'port',
      mend: /^_fnap\._tcp\.flows\.closed\.test\. 300 IN SRV 0 0 <port of the agent> fnaa\.closed\.test\.$/,
      remedy: mends => {
        const old = `; remove: _fnap._tcp.flows.closed.test. 300 IN SRV 0 0 ${closed} fnaa.closed.test.`
        net.mend(
          'closed.test',
          old,
          ...mends.filter(m => m.startsWith('_fnap')).map(m => m.replace(/<.*>/, String(port))),
        )
      },
    },
    { what: 'what answers is no agent', name: 'flows.mute.test', layer: 'greeting', check: 'greeting', mend: /SRV/ },
    { what: 'there is no TLS', name: 'flows.notls.test', layer: 'tls', check: 'tls', mend: /^tls: \{ cert/ },
    {
      what: 'TLS from the first byte is said, and STARTTLS spoken',
      name: 'flows.implicit.test',
      layer: 'tls',
      check: 'tls',
      mend: /^; remove: _fnap\._tcp\.flows\.implicit\.test\. 300 IN TXT "tls"$/,
      remedy: mends => net.mend('implicit.test', ...mends.filter(m => m.startsWith(';'))),
    },
    {
      what: 'the certificate is for others',
      name: 'flows.wrongcert.test',
      layer: 'tls',
      check: 'certificate',
      mend: /^tls: \{ cert/,
    },
    {
      what: 'the certificate is of a CA that nobody knows',
      name: 'flows.whole.test',
      layer: null,
      check: 'ca',
      mend: /^--ca <file>$/,
      options: ['--nameserver', net.nameserver],
    },
    {
      what: 'such a certificate, for others',
      name: 'flows.wrongcert.test',
      layer: 'tls',
      check: 'certificate',
      mend: /^tls: \{ cert/,
      options: ['--nameserver', net.nameserver],
    },
    {
      what: 'neither DNSSEC nor a certificate vouches for it',
      name: 'flows.unsigned.test',
      layer: null,
      check: 'proof',
      mend: /^trust: \{ dns: \['unsigned\.test'\] \}$/,
      options: ['--nameserver', net.nameserver],
    },
    {
      what: 'the agent there does not speak for the domain',
      name: 'flows.spoken.test',
      layer: 'key',
      check: 'domain',
      mend: /^domains: \['spoken\.test'\]$/,
    },
    {
      what: 'one’s own agent is down',
      name: 'flows.whole.test',
      layer: 'agent',
      check: 'login',
      mend: /start the agent/,
      options: ['--config', await configFor(await folder(t), { port: closed, domain: 'emiliano.test' }, more)],
    },
    {
      what: 'the subscription was ended by its owner',
      name: 'ended.flows.whole.test',
      layer: 'grants',
      check: 'subscription',
      mend: /^fnua grant read,subscribe on flow ended\.flows\.whole\.test to /,
      options: theirs,
    },
    {
      what: 'its key is not in DNS',
      name: 'flows.nokey.test',
      layer: 'key',
      check: 'record',
      mend: /^\S+\._fnapkey\.nokey\.test\. 300 IN TXT "v=FNAP1; k=ed25519; p=[\w+/]{43}="$/,
      remedy: mends => net.mend('nokey.test', ...mends),
    },
    {
      what: 'another key is in DNS',
      name: 'flows.otherkey.test',
      layer: 'key',
      check: 'mismatch',
      mend: /^\S+\._fnapkey\.otherkey\.test\. 300 IN TXT "v=FNAP1; k=ed25519; p=[\w+/]{43}="$/,
      remedy: async mends => {
        const [line = ''] = mends
        net.mend('otherkey.test', `; remove: ${line.replace(/".*"/, other)}`, line)
      },
    },
    {
      what: 'its key is revoked',
      name: 'flows.revoked.test',
      layer: 'key',
      check: 'revoked',
      mend: /^fnaad key revoke \S+$/,
      remedy: async mends => {
        await admin(a, ...mends[0]!.split(' ').slice(1))
        await publish(net, a, (_domain, text, owner) => (owner.startsWith(mends[0]!.split(' ').at(-1)!) ? null : text))
        net.forget()
      },
    },
    {
      what: 'a private flow looks as one that is not there',
      name: 'secret.flows.whole.test',
      layer: 'grants',
      check: 'visible',
      mend: /^fnua grant read,subscribe on flow secret\.flows\.whole\.test to test@emiliano\.test$/,
      options: theirs,
      remedy: async mends => {
        const ran = await fnua([...mine, ...mends[0]!.split(' ').slice(1)])
        if (ran.code !== 0) throw new Error(ran.stderr)
      },
    },
    {
      what: 'the broker behind the flow does not answer',
      name: 'stuck.flows.whole.test',
      layer: 'broker',
      check: 'state',
      mend: /^fnua describe broker broker-kafka$/,
      options: mine,
    },
    {
      what: 'the resolver is dead',
      name: 'flows.whole.test',
      layer: 'dns',
      check: 'resolver',
      mend: /^--nameserver <address>$/,
      options: ['--nameserver', `127.0.0.1:${dead}`],
    },
    {
      what: 'the resolver does not answer for that name',
      name: 'time.flows.example.org',
      layer: 'dns',
      check: 'resolver',
      mend: /^access-control: /,
    },
    {
      what: 'the resolver does not validate',
      name: 'flows.whole.test',
      layer: null,
      check: 'validation',
      mend: /module-config: "validator iterator"/,
      options: ['--nameserver', `${mute2.host}:${mute2.port}`, '--ca', ca],
    },
  ]

  const look = async (row: Row) => seen(await fnua([...(row.options ?? asked), '-o', 'json', 'doctor', row.name]))
  for (const row of rows) {
    await t.test(row.what, async t => {
      const { ran, broken, findings } = await look(row)
      const wanted = row.layer === null ? 'warning' : 'broken'
      const found = findings.find(f => f.state === wanted && f.check === row.check)
      t.equal(broken, row.layer, 'the layer')
      t.equal(ran.code, row.layer === null ? 0 : 1, ran.stderr)
      if (!t.ok(found, 'found')) return t.comment(ran.stdout)
      const mends = found!.mend.map(m => m.text)
      t.ok(
        mends.some(m => row.mend.test(m)),
        mends.join('\n'),
      )
      if (row.layer) t.match(ran.stderr, `${row.name} is broken at ${row.layer}`)
      if (!row.remedy) return
      await row.remedy(mends)
      const after = await look(row)
      t.equal(after.broken, row.left ?? null, after.ran.stderr)
      t.notOk(
        after.findings.some(f => f.check === row.check && f.state === wanted),
        'and that is mended',
      )
    })
  }

  await t.test('whole: from this machine, from one’s own agent, by its owner', async t => {
    const layers = (findings: readonly Finding[]) => [
      ...new Set(findings.filter(f => f.state === 'ok').map(f => f.layer)),
    ]
    const name = 'time.flows.whole.test'
    for (const [options, view] of [
      [asked, 'this machine'],
      [theirs, 'your agent agent'],
      [mine, 'your agent agent'],
    ] as const) {
      const { ran, broken, findings } = seen(await fnua([...options, '-o', 'json', 'doctor', name]))
      t.equal(broken, null, ran.stdout)
      t.equal(ran.code, 0)
      t.same(layers(findings), ['dns', 'tcp', 'tls', 'greeting', 'key', 'grants', 'broker'])
      t.match(
        findings.filter(f => f.layer === 'grants'),
        [{ view }],
      )
      t.match(findings.find(f => f.check === 'proof')?.text, 'at level dnssec')
    }
    const table = await fnua([...asked, 'doctor', name])
    t.match(table.stdout, /^ok {7}dns {7}flows\.whole\.test is a namespace of whole\.test/m)
    t.match(table.stdout, /^ {2}mend it by an option, in the config of each agent .*:\n {4}network: /m)
    t.equal((await fnua([...asked, '-o', 'name', 'doctor', 'flows.gone.test'])).stdout, 'dns\n')
    t.match((await fnua([...asked, '-o', 'yaml', 'doctor', 'flows.gone.test'])).stdout, /^broken: dns$/m)
    t.match(await fnua([...asked, 'doctor', 'a', 'b']), { code: 2, stderr: /takes one name/ })
  })
})

/** A subscription that its owner has ended, and whose user knows. */
async function ended(user: Client, owner: Client): Promise<void> {
  await user.ok('SUBSCRIBE ended.flows.whole.test LOCAL ended.flows.emiliano.test')
  await owner.ok('REMOVE SUBSCRIBER ended.flows.whole.test test@emiliano.test')
  const end = Date.now() + 20_000
  while (!/phase=revoked/.test((await user.ok('GET SUBSCRIPTIONS')).lines.join())) {
    if (Date.now() > end) throw new Error('the subscriber does not hear of it')
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

/** What fnua doctor printed as JSON. */
function seen(ran: Ran): { ran: Ran; broken: string | null; findings: Finding[] } {
  const said = JSON.parse(ran.stdout || '{"broken":"nothing was printed","findings":[]}')
  return { ran, ...said }
}

/** Puts an agent's keys into DNS, as its operator does: `say` may give another text, or none. */
async function publish(
  net: DoctorNet,
  agent: TestAgent,
  say: (domain: string, text: string, owner: string) => string | null = (_domain, text) => text,
): Promise<void> {
  for (const { owner, text } of await keysOf(agent)) {
    const domain = owner.slice(owner.indexOf('._fnapkey.') + '._fnapkey.'.length)
    const said = say(domain, text, owner)
    if (said && domain !== 'expired.test') net.mend(domain, `${owner}. 300 IN TXT ${said}`)
  }
}
