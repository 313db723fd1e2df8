import type { Config } from '@fnaa/core'
import { Bind, bindUnavailable, freePort } from '@fnaa/services'
import t, { type Test } from 'tap'
import { folder, TestAgent } from './support/agents.js'

const skip = bindUnavailable() ?? false
const { default: dnsBind } = (await import(`${'@fnaa/dns-bind'}`)) as typeof import('@fnaa/dns-bind')
const TEAM = 'team.flows.unix.test'
const PLAIN = 'plain.flows.unix.test'
const FAR = 'far.flows.unix.test'

/** One server with the zone above and two below it. */
async function server(t: Test): Promise<Bind> {
  const bind = await Bind.start({ zones: [{ name: 'unix.test' }, { name: TEAM }, { name: PLAIN, signed: false }] })
  t.teardown(() => bind.stop())
  return bind
}

async function agent(t: Test, bind: Bind, o: { zoneKey?: boolean; data?: string } = {}): Promise<TestAgent> {
  const data = o.data ?? (await folder(t))
  const where = {
    domain: 'unix.test',
    data: `${data}/a`,
    port: 0,
    dnsPort: await freePort(),
    ca: `${data}/ca`,
    neighbours: {},
  }
  const at = `${bind.host}:${bind.port}`
  const own = (zone: string) =>
    dnsBind({ server: at, zones: [zone], keyFile: bind.keyFile(zone, 'agent') }, { id: zone.replaceAll('.', '-') })
  const zoneKey = o.zoneKey === false ? {} : { zoneKeyFile: bind.keyFile('unix.test', 'zone') }
  const above = dnsBind({ server: at, zones: ['unix.test'], keyFile: bind.keyFile('unix.test', 'agent'), ...zoneKey })
  const change = (config: Config): Config => ({
    ...config,
    resolver: { servers: [at] },
    plugins: [
      ...config.plugins.filter(p => p && 'manifest' in p && p.manifest.kind !== 'dns'),
      above,
      own(TEAM),
      own(PLAIN),
    ],
  })
  const started = await new TestAgent(where, { change }).start()
  t.teardown(() => started.close())
  return started
}

/** What the zone above says of names at and below one, in order. A server of both answers questions from the lower zone. */
const above = (bind: Bind, name: string): string[] =>
  bind
    .dig('+noall', '+answer', 'AXFR', 'unix.test')
    .split('\n')
    .map(line => line.split(/\s+/))
    .filter(([owner = '', , , type = '']) => `.${owner}`.endsWith(`.${name}.`) && !/^(RRSIG|NSEC)$/.test(type))
    .map(
      ([owner, , , type, ...data]) =>
        `${owner} ${type} ${data
          .join(' ')
          .toLowerCase()
          .replace(/ (?=[0-9a-f]+$)/, '')}`,
    )
    .sort()

const cut = (bind: Bind, zone: string) =>
  [`${zone}. DS ${bind.ds(zone).toLowerCase()}`, `${zone}. NS ns.${zone}.`, `ns.${zone}. A ${bind.host}`].sort()

t.test('a namespace that is a zone of ours, at the same server as the zone above', { skip }, async t => {
  const bind = await server(t)
  const data = await folder(t)
  const a = await agent(t, bind, { data })
  const user = await a.login(t)
  await user.ok(`CREATE NAMESPACE ${TEAM}`)
  t.same(above(bind, TEAM), cut(bind, TEAM), 'NS, glue and DS are above')
  t.match(
    (await user.ok(`DESCRIBE NAMESPACE ${TEAM}`)).lines.join(' '),
    new RegExp(`zone=${TEAM} .*nameservers=ns\\.${TEAM} ds=`),
  )
  t.equal(bind.dig('+short', 'TXT', `_fnap.${TEAM}`), '', 'the flows key of the lower zone may not write _fnap')
  await user.ok(`CREATE FLOW x.${TEAM} VISIBILITY public`)
  t.match(bind.dig('+short', 'SRV', `_flow._tcp.x.${TEAM}`), 'fnaa.unix.test')
  t.match(await user.say(`DELETE NAMESPACE ${TEAM}`), { symbol: 'NOTEMPTY' })
  await user.ok(`UPDATE NAMESPACE ${TEAM}`)
  t.same(above(bind, TEAM), cut(bind, TEAM), 'asked again, and the same')

  await t.test('also after a restart all of it is taken back', async t => {
    await a.close()
    const again = await agent(t, bind, { data })
    const user = await again.login(t)
    await user.ok(`DELETE FLOW x.${TEAM}`)
    await user.ok(`DELETE NAMESPACE ${TEAM}`)
    t.same(above(bind, TEAM), [])
    await user.ok(`CREATE NAMESPACE ${PLAIN} AGENT fnaa.unix.test`)
    t.same(
      above(bind, PLAIN),
      [`${PLAIN}. NS ns.${PLAIN}.`, `ns.${PLAIN}. A ${bind.host}`].sort(),
      'no DS for what is not signed',
    )
    t.match((await user.ok(`DESCRIBE NAMESPACE ${PLAIN}`)).lines.join(' '), 'ds=none')
    await user.ok(`DELETE NAMESPACE ${PLAIN}`)
    t.same(above(bind, PLAIN), [])
  })
})

t.test('what cannot be delegated is refused in words, and leaves nothing', { skip }, async t => {
  const bind = await server(t)
  const other = await Bind.start({ zones: [{ name: FAR }] })
  t.teardown(() => other.stop())
  const a = await agent(t, bind)
  const user = await a.login(t)
  const at = `AGENT fnaa.${FAR} NAMESERVER ${other.host}:${other.port}`
  const dead = await freePort()
  for (const [line, reply] of [
    [
      `CREATE NAMESPACE new.flows.unix.test AGENT fnaa.unix.test`,
      { symbol: 'NOTSUPPORTED', text: /make the zone at its name server/ },
    ],
    [
      `CREATE NAMESPACE new.flows.unix.test AGENT fnaa.new.test NAMESERVER ${other.host}:${other.port}`,
      { symbol: 'CONFLICT', text: /no zone of that name/ },
    ],
    [
      `CREATE NAMESPACE ${FAR} AGENT fnaa.${FAR} NAMESERVER 127.0.0.1:${dead}`,
      { symbol: 'UNAVAILABLE', text: /does not answer/ },
    ],
    [`CREATE NAMESPACE ${FAR} AGENT fnaa.${FAR}`, { symbol: 'UNAVAILABLE', text: /no address yet/ }],
    [
      `CREATE NAMESPACE ${FAR} AGENT fnaa.${FAR} NAMESERVER 169.254.169.254`,
      { symbol: 'DENIED', text: /may not be used/ },
    ],
    [`CREATE NAMESPACE ${FAR} NAMESERVER 127.0.0.1`, { symbol: 'BADVALUE' }],
    [`CREATE NAMESPACE ${FAR} AGENT fnaa.${FAR} NAMESERVER ns.example.test`, { symbol: 'BADVALUE' }],
    [`CREATE NAMESPACE ${FAR} AGENT fnaa.${FAR} NAMESERVER 127.0.0.1:0`, { symbol: 'BADVALUE' }],
  ] as const) {
    t.match(await user.say(line), reply, line)
    t.notOk(a.kernel.resources.get('Namespace', line.split(' ')[2]!), 'nothing is left')
  }
  t.same(above(bind, FAR), [])

  await t.test('names of our own below it', async t => {
    await user.ok(`CREATE FLOW deep.${FAR}`)
    t.match(await user.say(`CREATE NAMESPACE ${FAR} ${at}`), {
      symbol: 'CONFLICT',
      text: /flows of this agent lie below/,
    })
    await user.ok(`DELETE FLOW deep.${FAR}`)
  })

  await t.test('what other hands have made is not overwritten', async t => {
    bind.update('unix.test', [`update add ${FAR} 300 NS ns.elsewhere.test.`])
    t.match(await user.say(`CREATE NAMESPACE ${FAR} ${at}`), { symbol: 'EXISTS' })
    t.same(above(bind, FAR), [`${FAR}. NS ns.elsewhere.test.`])
    t.notOk(a.kernel.resources.get('Namespace', FAR))
    bind.update('unix.test', [`update delete ${FAR} NS`])
  })

  await t.test('what other hands have changed is not removed, until they have', async t => {
    await user.ok(`CREATE NAMESPACE ${FAR} ${at}`)
    t.same(above(bind, FAR), cut(other, FAR))
    t.match(
      (await user.ok(`DESCRIBE NAMESPACE ${FAR}`)).lines.join(' '),
      new RegExp(`agent=fnaa\\.${FAR} nameservers=`),
    )
    t.match((await user.ok(`DESCRIBE AGENT ${FAR}`)).lines, [
      `agent=fnaa.${FAR}`,
      `namespace=${FAR}`,
      `address=fnaa.${FAR}:61000`,
    ])
    bind.update('unix.test', [`update add ${FAR} 300 NS ns.elsewhere.test.`])
    t.match(await user.say(`DELETE NAMESPACE ${FAR}`), { symbol: 'CONFLICT', text: /changed by other hands/ })
    bind.update('unix.test', [`update delete ${FAR} NS`, `update delete ns.${FAR} A`])
    const gone = () => (a.kernel.resources.get('Namespace', FAR) ? undefined : true)
    t.ok(await a.kernel.resources.until('Namespace', FAR, gone, AbortSignal.timeout(60_000)))
    t.same(above(bind, FAR), [])
  })

  await t.test('without the key of the zone', async t => {
    await a.close()
    const weak = await agent(t, bind, { zoneKey: false })
    const user = await weak.login(t)
    t.match(await user.say(`CREATE NAMESPACE ${FAR} ${at}`), { code: 501, text: /zoneKeyFile/ })
    t.match(await user.ok(`CREATE NAMESPACE ${TEAM}`), { kind: 'ok' }, 'inside the zone above it needs nobody')
    t.same(
      above(bind, TEAM).filter(r => / (NS|DS) /.test(r)),
      [],
    )
  })
})

t.test("the child's keys change: UPDATE NAMESPACE reads them anew", { skip }, async t => {
  const bind = await server(t)
  const port = await freePort()
  const first = await Bind.start({ zones: [{ name: FAR }], port })
  const a = await agent(t, bind)
  const user = await a.login(t)
  await user.ok(`CREATE NAMESPACE ${FAR} AGENT fnaa.${FAR} NAMESERVER 127.0.0.1:${port}`)
  t.same(above(bind, FAR), cut(first, FAR))
  await first.stop()
  await user.ok(`UPDATE NAMESPACE ${FAR} TITLE x`)
  t.match(await user.say(`UPDATE NAMESPACE ${FAR}`), { symbol: 'UNAVAILABLE' })
  let running = await Bind.start({ zones: [{ name: FAR }], port })
  t.teardown(() => running.stop())
  const second = running
  const changed = async (before: Bind, zone: { name: string; records?: string[] }) => {
    await before.stop()
    running = await Bind.start({ zones: [zone], port })
    return running
  }
  await user.ok(`UPDATE NAMESPACE ${FAR}`)
  t.same(above(bind, FAR), cut(second, FAR))
  const stood = above(bind, FAR)
  const third = await changed(second, { name: FAR, records: ['@ NS deep.ns', 'deep.ns A 169.254.169.254'] })
  t.match(await user.say(`UPDATE NAMESPACE ${FAR}`), { symbol: 'DENIED' }, 'glue that leads to a metadata service')
  t.same(above(bind, FAR), stood)
  const fourth = await changed(third, { name: FAR })
  await user.ok(`UPDATE NAMESPACE ${FAR}`)
  t.same(above(bind, FAR), cut(fourth, FAR))
  const said = (line: string) => user.say(line)
  t.match(await said(`CREATE FLOW x.${FAR}`), { symbol: 'MOVED', address: { host: `fnaa.${FAR}`, port: 61_000 } })
  t.match(await said(`CREATE NAMESPACE deeper.${FAR}`), { symbol: 'MOVED' })
  const stranger = await a.anonymous(t)
  for (const line of [`DESCRIBE FLOW x.${FAR}`, `GET FLOWS ${FAR}`, `READ FLOW x.${FAR}`])
    t.match(await stranger.say(line), { code: 421, symbol: 'MOVED' }, line)
  t.ok(await stranger.ok('NOOP'), 'the session goes on')
})
