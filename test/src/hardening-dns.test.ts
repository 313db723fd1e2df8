import { Bind } from '@fnaa/services'
import t from 'tap'
import { eventually, single } from './support/agents.js'
import { MINUTE, TurnableClock } from './support/clock.js'
import { Internet, unavailable as skip } from './support/internet.js'

const FLOW = 'time.flows.unix.test'
const LOCAL = 'time.flows.emiliano.test'

t.test('H12: the flows key can write _fnap and _fnapkey below, and nobody believes it', { skip }, async t => {
  const net = await Internet.start(t)
  const [, b] = [await net.agent(t, 'a'), await net.agent(t, 'b')]
  const user = await b.login(t)
  // What BIND's policy does not forbid: a domain of one's own making, with its key and its agent.
  const forged = (owner: string, data: string) => net.a.update('unix.test', [`update add ${owner} 60 ${data}`], 'agent')
  forged('_fnap.x.flows.unix.test', 'TXT "v=FNAP1; d=x.flows.unix.test"')
  forged('_fnap._tcp.x.flows.unix.test', `SRV 0 0 ${net.port.b} fnaa.emiliano.test.`)
  forged('k1._fnapkey.x.flows.unix.test', `TXT "v=FNAP1; k=ed25519; p=${Buffer.alloc(32, 1).toString('base64')}"`)
  net.resolver.flush('unix.test')
  t.match(
    net.resolver.dig('+adflag', 'TXT', '_fnap.x.flows.unix.test'),
    /flags: [a-z ]*\bad\b/,
    'signed by the zone itself',
  )
  const reply = await user.say('DESCRIBE FLOW secret.x.flows.unix.test')
  t.match(reply, { code: 503, symbol: 'UNAVAILABLE' }, 'a domain is the apex of a zone')
  t.equal(b.kernel.resources.count('Peer'), 0)
  t.throws(() => forged('_fnap.unix.test', 'TXT "v=FNAP1; d=unix.test"'), /REFUSED/, 'that the policy forbids')
  t.throws(() => forged('k1._fnapkey.unix.test', 'TXT "v=FNAP1; k=ed25519; p="'), /REFUSED/)
})

t.test('H12: a subscription keeps the domain that it was made with', { skip }, async t => {
  const net = await Internet.start(t)
  const clock = new TurnableClock()
  const a = await net.agent(t, 'a')
  const b = await net.agent(t, 'b', { clock })
  const [owner, user] = [await a.login(t), await b.login(t)]
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)
  const [s] = b.kernel.resources.list('Subscription')
  const records = ['_fnap TXT "v=FNAP1; d=flows.unix.test"', `_fnap._tcp SRV 0 0 ${net.port.a} fnaa.unix.test.`]
  const child = await Bind.start({ zones: [{ name: 'flows.unix.test', records }] })
  t.teardown(() => child.stop())
  net.write(
    'a',
    'update delete _fnap.flows.unix.test. TXT',
    'update delete _fnap._tcp.flows.unix.test. SRV',
    'update add flows.unix.test. 60 NS ns.flows.unix.test.',
    'update add ns.flows.unix.test. 60 A 127.0.0.1',
    `update add flows.unix.test. 60 DS ${child.ds('flows.unix.test')}`,
  )
  net.resolver.stub('flows.unix.test', `${child.host}:${child.port}`)
  net.resolver.flush('unix.test')
  clock.turn(10 * MINUTE)
  b.kernel.subscriptions.markDue(s!.name)
  b.kernel.queue.add(`Subscription/${s!.name}`)
  const failed = () => b.kernel.resources.list('Subscription').find(x => x.status.phase === 'failed')
  const row = await eventually(b, failed, 'it does not follow the name to another domain')
  t.match(row.status.error, /^CONFLICT another domain speaks for the flow now; UNSUBSCRIBE and SUBSCRIBE/)
  t.equal(row.status.peer, 'unix.test')
})

/** Every name that a walk along a zone's NSEC records shows (RFC 4034 §4): whoever asks can do that. */
function walked(bind: Bind, zone: string): string[] {
  const names: string[] = []
  for (let at = zone; !names.includes(at); ) {
    names.push(at)
    at = /NSEC\s+(\S+)\.\s/.exec(bind.dig('+noall', '+answer', '+dnssec', 'NSEC', at))?.[1] ?? zone
  }
  return names
}

t.test('H13: private flows are in DNS in no way, and one that becomes private leaves it', { skip }, async t => {
  const net = await Internet.start(t)
  const owner = await (await net.agent(t, 'a')).login(t)
  const about = (label: string) => walked(net.a, 'unix.test').filter(n => n.includes(label))
  await owner.ok('CREATE FLOW secret.flows.unix.test')
  await owner.ok('CREATE FLOW open.flows.unix.test VISIBILITY public')
  await owner.ok('CREATE FLOW found.flows.unix.test VISIBILITY listed')
  t.strictSame(about('secret'), [])
  for (const name of ['secret.flows.unix.test', '_flow._tcp.secret.flows.unix.test'])
    for (const type of ['ANY', 'PTR', 'SRV', 'TXT'])
      t.match(net.a.dig(type, name), /status: NXDOMAIN/, `${type} ${name}, as of a name that never was`)
  const names = ['open.flows', '_flow._tcp.open.flows', '_queue._flow._tcp.open.flows', 'open._flow._tcp.flows']
  t.same(about('open').sort(), names.map(n => `${n}.unix.test`).sort(), 'the walk does find what is there')
  t.match(net.a.dig('+short', 'PTR', '_flow._tcp.flows.unix.test'), /^open\._flow\._tcp\.flows\.unix\.test\.\n$/)

  for (const label of ['open', 'found']) {
    await owner.ok(`UPDATE FLOW ${label}.flows.unix.test VISIBILITY private`)
    t.strictSame(about(label), [], `${label}: nothing is left of it`)
  }
  t.equal(net.a.dig('+short', 'PTR', '_flow._tcp.flows.unix.test'), '')
  t.match(net.a.dig('+short', 'TXT', '_fnap.flows.unix.test'), /d=unix\.test/, 'the agent is found all the same')
  const b = await net.agent(t, 'b')
  await owner.ok('GRANT read,subscribe ON FLOW secret.flows.unix.test TO test@emiliano.test')
  await (await b.login(t)).ok(`SUBSCRIBE secret.flows.unix.test LOCAL ${LOCAL}`)
  t.strictSame(about('secret'), [], 'and a subscriber does not put it there')
})

t.test('H15: of a flow and a namespace that want one name at once, one gets it', async t => {
  const a = await single(t)
  const users = await Promise.all([a.login(t), a.login(t)])
  for (let i = 0; i < 20; i++) {
    const name = `twice${i}.flows.unix.test`
    const said = await Promise.all([users[0]!.say(`CREATE FLOW ${name}`), users[1]!.say(`CREATE NAMESPACE ${name}`)])
    t.equal(said.filter(r => r.kind === 'ok').length, 1, `${name}: ${said.map(r => r.symbol ?? 'OK')}`)
    const made = [a.kernel.resources.get('Flow', name), a.kernel.resources.get('Namespace', name)].filter(Boolean)
    t.equal(made.length, 1)
  }
})

t.test('H15: no flow or namespace takes the name of an agent, here or of a namespace below', async t => {
  const a = await single(t, { change: c => ({ ...c, advertise: 'front.unix.test:61000' }) })
  const user = await a.login(t)
  await user.ok('CREATE NAMESPACE unix.test')
  const ns = a.kernel.resources.get('Namespace', 'flows.unix.test')!
  const child = { ...ns.spec, agent: 'fnaa.team.unix.test' }
  const made = { kind: 'Namespace', name: 'team.unix.test', spec: child, finalizers: [] } as const
  await a.kernel.resources.create(made, { signal: AbortSignal.timeout(5000) })
  for (const host of ['fnaa.unix.test', 'front.unix.test', 'fnaa.team.unix.test'])
    for (const line of [`CREATE FLOW ${host}`, `CREATE NAMESPACE ${host}`, `SUBSCRIBE x.evil.test LOCAL ${host}`]) {
      const reply = await user.say(line)
      t.match(reply, { kind: 'error' }, line)
      t.match(['CONFLICT', 'MOVED'].includes(reply.symbol!), true, `${line}: ${reply.symbol}`)
    }
})
