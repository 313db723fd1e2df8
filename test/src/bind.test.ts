import type { AuthService, Config } from '@fnaa/core'
import { Bind, bindUnavailable, Unbound, unboundUnavailable } from '@fnaa/services'
import t, { type Test } from 'tap'
import { folder, freePort, TestAgent } from './support/agents.js'

const skip = bindUnavailable() ?? unboundUnavailable() ?? false
const { default: dnsBind } = (await import(`${'@fnaa/dns-bind'}`)) as typeof import('@fnaa/dns-bind')

/** A signed parent, two organisations with a signed zone each, and a resolver that validates from the parent's key. */
async function internet(t: Test) {
  const port = { a: await freePort(), b: await freePort() }
  const zone = (name: string, agent: number) => ({
    name,
    records: [
      'fnaa A 127.0.0.1',
      ...[name, `flows.${name}`].flatMap(n => [
        `_fnap.${n}. TXT "v=FNAP1; d=${name}"`,
        `_fnap._tcp.${n}. SRV 0 0 ${agent} fnaa.${name}.`,
      ]),
    ],
  })
  const [a, b] = await Promise.all([
    Bind.start({ zones: [zone('unix.test', port.a)] }),
    Bind.start({ zones: [zone('emiliano.test', port.b)] }),
  ])
  const delegated = (name: string, at: Bind) => [
    `${name}. NS ns.${name}.`,
    `ns.${name}. A ${at.host}`,
    `${name}. DS ${at.ds(name)}`,
  ]
  const registry = await Bind.start({
    zones: [{ name: 'test', records: [...delegated('unix.test', a), ...delegated('emiliano.test', b)] }],
  })
  const at = (bind: Bind) => `${bind.host}:${bind.port}`
  const resolver = await Unbound.start({
    anchors: { test: registry.ds('test') },
    stubs: { test: at(registry), 'unix.test': at(a), 'emiliano.test': at(b) },
  })
  t.teardown(() => Promise.all([resolver.stop(), registry.stop(), a.stop(), b.stop()]))
  return { a, b, registry, resolver, port }
}

/** An agent whose names are in BIND; its domain is proved by DNSSEC or not at all. */
async function agent(t: Test, net: Awaited<ReturnType<typeof internet>>, side: 'a' | 'b'): Promise<TestAgent> {
  const domain = side === 'a' ? 'unix.test' : 'emiliano.test'
  const bind = net[side]
  const data = await folder(t)
  const where = {
    domain,
    data: `${data}/${domain}`,
    port: net.port[side],
    dnsPort: await freePort(),
    ca: `${data}/ca`,
    neighbours: {},
  }
  const change = (config: Config): Config => ({
    ...config,
    resolver: { servers: [`${net.resolver.host}:${net.resolver.port}`], trustAd: true },
    trust: {},
    plugins: [
      ...config.plugins.filter(p => p && 'manifest' in p && p.manifest.kind !== 'dns'),
      dnsBind({ server: `${bind.host}:${bind.port}`, keyFile: bind.keyFile(domain, 'agent'), timeoutMs: 1000 }),
    ],
  })
  const started = await new TestAgent(where, { change }).start()
  t.teardown(() => started.close())
  // The operator publishes the key that the agent shows.
  for (const l of started.kernel.loaded.filter(l => l.plugin.manifest.kind === 'auth'))
    for (const { owner, records } of await (l.service as AuthService).records({ signal: AbortSignal.timeout(5000) }))
      for (const r of records)
        if (r.type === 'TXT')
          bind.update(domain, [`update add ${owner}. 60 TXT ${r.strings.map(s => `"${s}"`).join(' ')}`])
  return started
}

t.test('names in BIND, domains proved by DNSSEC', { skip }, async t => {
  const net = await internet(t)
  const [a, b] = [await agent(t, net, 'a'), await agent(t, net, 'b')]
  const owner = await a.login(t)
  const user = await b.login(t)

  await t.test('a flow is found with dig, signed', async t => {
    await owner.ok('CREATE FLOW time.flows.unix.test VISIBILITY public')
    const said = net.resolver.dig('+adflag', 'PTR', 'time.flows.unix.test')
    t.match(said, /flags: [a-z ]*\bad\b/)
    t.match(said, /PTR\s+_flow\._tcp\.time\.flows\.unix\.test\./)
    t.match(net.a.dig('+short', 'SRV', '_flow._tcp.time.flows.unix.test'), `${net.port.a} fnaa.unix.test.`)
    t.match(
      net.a.dig('+short', 'PTR', '_flow._tcp.flows.unix.test'),
      'time._flow._tcp.flows.unix.test.',
      'listed for who browses',
    )
  })

  await t.test('another organisation subscribes to it by its name alone', async t => {
    await user.ok('SUBSCRIBE time.flows.unix.test LOCAL time.flows.emiliano.test')
    await owner.write('time.flows.unix.test', 'one', 'two')
    t.same(await user.follow('time.flows.emiliano.test', 2, { from: { at: 'earliest' } }), ['one', 'two'])
    t.match((await owner.ok('GET PEERS')).lines.join(), /emiliano\.test.*dnssec/)
  })

  await t.test('a name server that is down: said, waited for, nothing lost or left over', async t => {
    await net.a.kill()
    const create = 'CREATE FLOW late.flows.unix.test VISIBILITY listed'
    t.match(await owner.say(create), { code: 503, symbol: 'UNAVAILABLE', text: /names of late\.flows\.unix\.test/ })
    t.match((await owner.ok('DESCRIBE FLOW late.flows.unix.test FULL')).lines.join(' '), /NameServerUnavailable/)
    await net.a.start()
    const end = Date.now() + 20_000
    while (!/fnaa\.unix\.test/.test(net.a.dig('+short', 'SRV', 'late.flows.unix.test'))) {
      if (Date.now() > end) break
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    t.match(net.a.dig('+short', 'SRV', 'late.flows.unix.test'), 'fnaa.unix.test')
    await owner.ok('DELETE FLOW late.flows.unix.test')
    t.equal(net.a.dig('+short', 'SRV', 'late.flows.unix.test'), '')
  })

  await t.test('a name that somebody else has made is not overwritten, and no flow is left', async t => {
    net.a.update('unix.test', ['update add mine.flows.unix.test 300 TXT "by hand"'])
    t.match(await owner.say('CREATE FLOW mine.flows.unix.test VISIBILITY public'), {
      code: 409,
      symbol: 'EXISTS',
      text: /stands in DNS/,
    })
    t.match(net.a.dig('+short', 'TXT', 'mine.flows.unix.test'), '"by hand"')
    t.match(await owner.say('DESCRIBE FLOW mine.flows.unix.test'), { symbol: 'NOTFOUND' })
  })

  await t.test('a private flow is not in DNS, and going private takes it away', async t => {
    await owner.ok('CREATE FLOW secret.flows.unix.test')
    t.match(net.a.dig('SRV', 'secret.flows.unix.test'), /NXDOMAIN/)
    await owner.ok('UPDATE FLOW time.flows.unix.test VISIBILITY private')
    t.match(net.a.dig('PTR', 'time.flows.unix.test'), /NXDOMAIN/)
  })

  await t.test('going away leaves nothing behind', async t => {
    await owner.ok('DELETE FLOW time.flows.unix.test')
    t.equal(net.a.dig('+short', 'PTR', '_flow._tcp.flows.unix.test'), '')
  })
})
