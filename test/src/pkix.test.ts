import t from 'tap'
import { freePort, type TestAgent } from './support/agents.js'
import { claimant } from './support/claimant.js'
import { TurnableClock } from './support/clock.js'
import { Internet, unavailable as skip } from './support/internet.js'
import { meeting, trap } from './support/stranger.js'

const FLOW = 'time.flows.unix.test'
const LOCAL = 'time.flows.emiliano.test'

t.test('level pkix: unsigned zones, and certificates that are valid for the domains', { skip }, async t => {
  const net = await Internet.start(t, ['a', 'b'])
  const [a, b] = [await net.agent(t, 'a'), await net.agent(t, 'b')]
  const [owner, user] = [await a.login(t), await b.login(t)]
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)
  await owner.write(FLOW, 'one')
  t.same(await user.follow(LOCAL, 1, { from: { at: 'earliest' } }), ['one'])
  t.match((await owner.ok('GET PEERS')).lines, [/peer=emiliano\.test level=pkix/], 'by calling its host back')
  t.match((await user.ok('GET PEERS')).lines, [/peer=unix\.test level=pkix/], 'by the certificate of who was called')
})

/** The commands that an agent has run, with who said them. */
function heard(agent: TestAgent): string[] {
  const k = agent.kernel as { run: TestAgent['kernel']['run'] }
  const { run } = k
  const said: string[] = []
  k.run = (command, session) => {
    said.push(`${session.identity?.principal ?? 'nobody'}: ${command.id}`)
    return run(command, session)
  }
  return said
}

t.test('H21 a callback comes last, says FNAPKEY and nothing else, and begins no other', { skip }, async t => {
  const net = await Internet.start(t, ['a', 'b'])
  const [a, b] = [await net.agent(t, 'a'), await net.agent(t, 'b')]
  const [atA, atB] = [heard(a), heard(b)]
  const user = await b.login(t)
  atB.length = 0
  t.match(await user.say(`DESCRIBE FLOW ${FLOW}`), { symbol: 'NOTFOUND' }, 'they met')
  t.strictSame(
    atB.filter(s => s.startsWith('nobody')),
    ['nobody: STARTTLS', 'nobody: FNAPKEY'],
    'a has called b back',
  )
  t.strictSame(
    atA.filter(s => /FNAPKEY/.test(s)),
    [],
    'and b has not called a back for that',
  )
  b.kernel.peers.drop('unix.test')
  await user.say(`DESCRIBE FLOW other.flows.unix.test`)
  t.equal(atB.filter(s => /FNAPKEY/.test(s)).length, 1, 'the answer is remembered')

  const liar = await claimant(t, net, a, 'b', 'evil')
  await liar.publish()
  t.equal(
    await liar.login(() => Buffer.from(JSON.stringify({ sig: Buffer.alloc(64).toString('base64') }))),
    'AUTHFAILED',
  )
  t.equal(atB.filter(s => /FNAPKEY/.test(s)).length, 1, 'a signature that does not hold calls nobody')
  t.equal(await liar.login(), 'AUTHFAILED', 'the host of the domain does not know the key that stands in DNS')
  t.equal(atB.filter(s => /FNAPKEY/.test(s)).length, 2, 'it was asked')
  t.equal(await liar.login(), 'AUTHFAILED')
  t.equal(atB.filter(s => /FNAPKEY/.test(s)).length, 2, 'and the no is remembered')
  t.match(a.kernel.resources.get('Peer', 'emiliano.test')?.status, { level: 'pkix', suspended: undefined })
})

t.test('H21 who is called back: the domain, by its certificate, and not too often', { skip }, async t => {
  const net = await Internet.start(t, ['a', 'b'])
  const clock = new TurnableClock()
  const a = await net.agent(t, 'a', { clock })
  const bait = await trap(t)
  const liar = await claimant(t, net, a, 'b', 'evil')
  await liar.publish()
  const srv = (port: number) =>
    net.write(
      'b',
      'update delete _fnap._tcp.emiliano.test. SRV',
      `update add _fnap._tcp.emiliano.test. 60 SRV 0 0 ${port} fnaa.emiliano.test.`,
    )
  const later = () => clock.turn(400_000)

  srv(a.port)
  t.equal(await liar.login(), 'AUTHFAILED', 'a host with the certificate of another domain: ours')
  later()
  net.write('b', 'update delete _fnap._tcp.emiliano.test. SRV')
  t.equal(await liar.login(), 'AUTHFAILED', 'no host at all')
  later()
  srv(await freePort())
  t.equal(await liar.login(), 'UNAVAILABLE', 'nobody is there now: no answer is not a no')
  later()
  srv(bait.port)
  t.equal(await liar.login(), 'UNAVAILABLE', 'somebody who hangs up')
  t.equal(bait.sprung(), 1)
  t.equal(a.kernel.resources.count('Peer'), 0)

  const before = bait.sprung()
  for (let i = 0; i < 12; i++) {
    const another = await claimant(t, net, a, 'b', `k${i}`)
    await another.publish()
    t.equal(await another.login(), 'UNAVAILABLE')
  }
  t.ok(bait.sprung() - before <= 10, 'a network and a domain have ten failed callbacks at once')
  t.ok(bait.sprung() - before >= 8)
})

t.test('H21 callbacks that are under way count as failed until they are not', async t => {
  const trust = { dns: [] }
  const { stranger, b } = await meeting(t, { early: () => true }, { change: c => ({ ...c, trust }) })
  let refused = 0
  const calls = Array.from({ length: 30 }, (_, n) => {
    const key = { selector: `s${n}`, fingerprint: `f${n}` }
    const who = { type: 'domain', principal: 'evil.test', level: 'dns', key } as const
    return b.kernel.pins.raised(who, '192.0.2.5').catch(() => refused++)
  })
  await stranger.until(() => (refused === 20 ? true : undefined), 'the others are told to come later')
  await stranger.until(() => (stranger.visits.length === 10 ? true : undefined), 'ten are called')
  for (const visit of stranger.visits) visit.socket.destroy()
  await Promise.all(calls)
  t.equal(stranger.visits.length, 10)
})

t.test('pkix: a certificate for the host alone vouches for no domain', { skip }, async t => {
  const net = await Internet.start(t, ['a', 'b'])
  const a = await net.agent(t, 'a')
  const b = await net.agent(t, 'b', { names: ['fnaa.emiliano.test'] })
  await (await a.login(t)).ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  t.match(await (await b.login(t)).say(`DESCRIBE FLOW ${FLOW}`), { symbol: 'REMOTE' })
  t.equal(a.kernel.resources.count('Peer'), 0, 'level dns: nobody was met')
})

t.test('pkix: where it does not suffice, or dns does, nobody is called', { skip }, async t => {
  const net = await Internet.start(t, ['a', 'b'])
  const b = await net.agent(t, 'b')
  const atB = heard(b)
  for (const [trust, met] of [
    [{ levels: ['dnssec'] as const }, 0],
    [{ dns: ['emiliano.test'] }, 1],
  ] as const) {
    const a = await net.agent(t, 'a', { change: c => ({ ...c, trust: { ...c.trust, ...trust } }) })
    await (await b.login(t)).say(`DESCRIBE FLOW ${FLOW}`)
    t.equal(a.kernel.resources.count('Peer'), met, JSON.stringify(trust))
    await a.close()
    b.kernel.peers.drop('unix.test')
  }
  t.strictSame(
    atB.filter(s => /FNAPKEY/.test(s)),
    [],
  )
})

t.test('bogus is not insecure: a signed zone that does not validate is no business of pkix', { skip }, async t => {
  const net = await Internet.start(t)
  const [a, b] = [await net.agent(t, 'a'), await net.agent(t, 'b')]
  const atB = heard(b)
  net.registry.update('test', [
    'update delete emiliano.test. DS',
    `update add emiliano.test. 60 DS 1 13 2 ${'00'.repeat(32)}`,
  ])
  net.resolver.flush('test')
  const liar = await claimant(t, net, a, 'b', 'evil')
  await liar.publish()
  t.equal(await liar.login(), 'UNAVAILABLE')
  t.strictSame(atB, [], 'nobody was called back')
})
