import type { AuthService } from '@fnaa/core'
import t from 'tap'
import { eventually, freePort, places, TestAgent } from './support/agents.js'
import { DAY, MINUTE, TurnableClock } from './support/clock.js'
import { Internet, PORT, unavailable } from './support/organisation.js'
import { meeting, Stranger, type StrangerOptions, trap } from './support/stranger.js'

const ASK = 'DESCRIBE FLOW x.flows.evil.test'
const FLOW = 'time.flows.unix.test'
const LOCAL = 'time.flows.emiliano.test'

type Answer = NonNullable<StrangerOptions['answer']>
const to =
  (begin: string, text: () => string): Answer =>
  (line, v) => {
    if (!line.startsWith(begin)) return false
    v.say(text())
    return true
  }
const found = to('DESCRIBE', () => '220 DATA\r\nflow=x.flows.evil.test\r\n220 OK')

t.test('H18 an agent follows MOVED of a proved owner, and proves the domain again there', async t => {
  let next = 0
  const { stranger, b } = await meeting(t, { answer: to('DESCRIBE', () => `421 MOVED 127.0.0.1:${next}`) })
  const there = await stranger.branch(t, { answer: found })
  next = there.port
  const user = await b.login(t)
  t.match(await user.ok(ASK), { lines: ['flow=x.flows.evil.test'] })
  t.equal(there.visits.length, 1)
  const asked = there.visits[0]!.lines
  t.ok(asked.findIndex(l => l.startsWith('AUTHENTICATE')) < asked.findIndex(l => l.startsWith('DESCRIBE')))
  t.equal(there.visits[0]!.tls?.servername, 'evil.test', 'the domain, not the address, is whom it wants')
  await user.ok('DESCRIBE FLOW y.flows.evil.test')
  t.equal(stranger.visits.length, 1, 'and stays there as long as the connection does')
})

t.test('H18 at most three in a row', async t => {
  const ports: number[] = []
  const hop = (i: number) => ({ answer: to('DESCRIBE', () => `421 MOVED 127.0.0.1:${ports[i]}`) })
  const { stranger, b } = await meeting(t, hop(0))
  const hops = [await stranger.branch(t, hop(1)), await stranger.branch(t, hop(2)), await stranger.branch(t, hop(3))]
  const end = await stranger.branch(t, { answer: found })
  ports.push(...hops.map(h => h.port), end.port)
  const user = await b.login(t)
  t.match(await user.say(ASK), { code: 502, symbol: 'REMOTE' })
  t.same(
    [stranger, ...hops, end].map(s => s.visits.length),
    [1, 1, 1, 1, 0],
  )
  ports[2] = end.port
  b.kernel.peers.drop('evil.test')
  t.match(await user.ok(ASK), { lines: ['flow=x.flows.evil.test'] }, 'three are followed')
  ports.fill(stranger.port)
  b.kernel.peers.drop('evil.test')
  // Another flow: what was answered is remembered for a moment.
  t.match(await user.say('DESCRIBE FLOW y.flows.evil.test'), { code: 502, symbol: 'REMOTE' }, 'in a circle')
})

t.test('H18 MOVED leads nowhere where the domain does not prove itself, or the address may not be used', async t => {
  const bait = await trap(t)
  const [we, wb, wm] = await places(t, ['evil.test', 'emiliano.test', 'mallory.test'])
  let target = ''
  await Stranger.start(t, we!, { answer: to('DESCRIBE', () => `421 MOVED ${target}`) })
  const mallory = await Stranger.start(t, wm!, { answer: found })
  const b = await new TestAgent(wb!).start()
  t.teardown(() => b.close())
  const user = await b.login(t)
  target = `127.0.0.1:${mallory.port}`
  t.match(await user.say(ASK), { code: 502, symbol: 'REMOTE' }, 'another domain is there')
  t.notOk(
    mallory.visits.some(v => v.lines.some(l => l.startsWith('DESCRIBE'))),
    'which was told nothing',
  )
  target = `127.0.0.1:${bait.port}`
  t.match(await user.say(ASK), { code: 502, symbol: 'REMOTE' }, 'nobody is there')
  for (const address of ['169.254.169.254:80', '10.0.0.1:61000']) {
    target = address
    t.match(await user.say(ASK), { code: 503, symbol: 'UNAVAILABLE' }, address)
  }
  target = 'nonsense'
  t.match(await user.say(ASK), { code: 502, symbol: 'REMOTE' })
  t.equal(b.kernel.resources.list('Peer').filter(p => p.name !== 'evil.test').length, 0, 'nobody else was met')
})

t.test(
  'F11 the provider moves to another host: events go on, its domain is proved again',
  { skip: unavailable },
  async t => {
    const internet = await Internet.start(t)
    const a = await internet.found('unix.test', { zoneKey: true })
    const b = await internet.found('emiliano.test')
    await a.type('create', 'flow', FLOW, '--visibility', 'public')
    await b.type('subscribe', FLOW, '--local', LOCAL)
    await a.write(FLOW, 'one')
    const reader = b.follow(t, LOCAL)
    await reader.until(/one/)
    const srv = () => b.resolver.dig('+short', 'SRV', '_fnap._tcp.flows.unix.test')
    t.match(srv(), `${PORT} fnaa.unix.test.`)

    // Its state goes to the new host; what stays behind says where.
    const moved = await internet.move(a)
    const ours = (name: string) => a.bind.dig('+short', 'SRV', name)
    t.match(ours('_fnap._tcp.flows.unix.test'), `${PORT} fnaa2.unix.test.`, 'the new one wrote its names')
    t.match(ours(`_flow._tcp.${FLOW}`), `${PORT} fnaa2.unix.test.`, "and its flows'")
    t.match(srv(), `${PORT} fnaa.unix.test.`, 'others remember the old place')
    await moved.write(FLOW, 'two')
    await reader.until(/one[\s\S]*two/)
    t.match(srv(), `${PORT} fnaa.unix.test.`, 'and still did: it was the old agent that told them')
    await t.rejects(
      a.type('create', 'flow', 'other.flows.unix.test'),
      /fnaa2\.unix\.test:61000/,
      'a user is shown where to',
    )
  },
)

t.test('F11 a provider that has gone without a word is looked up anew', async t => {
  const [wa, wb] = await places(t, ['unix.test', 'emiliano.test'])
  const first = await new TestAgent(wa!).start()
  const b = await new TestAgent(wb!).start()
  t.teardown(() => b.close())
  const owner = await first.login(t)
  for (const name of ['x', 'y']) await owner.ok(`CREATE FLOW ${name}.flows.unix.test VISIBILITY public`)
  const user = await b.login(t)
  await user.ok('DESCRIBE FLOW x.flows.unix.test')
  const before = first.port
  await first.close()
  const second = await new TestAgent({ ...wa!, port: await freePort() }).start()
  t.teardown(() => second.close())
  t.not(second.port, before)
  t.ok(await user.ok('DESCRIBE FLOW y.flows.unix.test'), 'though the old SRV is good for five minutes')
})

t.test('F12 a name that was asked for before it existed is found at once', { skip: unavailable }, async t => {
  // Absences are remembered as long as their zones allow: 30 seconds.
  const internet = await Internet.start(t, 300)
  const a = await internet.found('unix.test', { zoneKey: true })
  const b = await internet.found('emiliano.test')
  const late = 'late.new.unix.test'
  await t.rejects(b.type('subscribe', late, '--local', LOCAL), /NOTFOUND/)
  await t.rejects(a.type('describe', 'flow', late), /NOTFOUND/)
  for (const side of [a, b]) t.match(side.resolver.dig('PTR', late), /NXDOMAIN/)
  for (const side of [a, b]) t.match(side.resolver.dig('TXT', '_fnap.new.unix.test'), /NXDOMAIN/)
  await a.type('create', 'namespace', 'new.unix.test')
  await a.type('create', 'flow', late, '--visibility', 'public')
  t.match(a.bind.dig('+short', 'PTR', late), `_flow._tcp.${late}.`, 'it stands in DNS')
  await b.type('subscribe', late, '--local', LOCAL, '--from', 'earliest')
  await a.write(late, 'one')
  await b.follow(t, LOCAL).until(/one/)
  t.match(b.resolver.dig('PTR', late), /NXDOMAIN/, 'whose resolver still remembers that there was none')
  t.match(b.resolver.dig('TXT', '_fnap.new.unix.test'), /NXDOMAIN/)
  t.match(await a.type('describe', 'flow', late), late)
})

for (const minutes of [10, -10]) {
  t.test(`F14 clocks ${minutes} minutes apart: nothing breaks`, async t => {
    const [wa, wb] = await places(t, ['unix.test', 'emiliano.test'])
    const [ours, theirs] = [new TurnableClock(), new TurnableClock()]
    theirs.turn(minutes * MINUTE)
    const a = await new TestAgent(wa!, { clock: ours }).start()
    const b = await new TestAgent(wb!, { clock: theirs }).start()
    t.teardown(() => Promise.all([a.close(), b.close()]))
    const owner = await a.login(t)
    const user = await b.login(t)
    await owner.ok(`CREATE FLOW ${FLOW}`)
    // Times that its owner names are of its own clock.
    const soon = new Date(ours.now() + 3 * DAY).toISOString()
    await owner.ok(`GRANT subscribe,read ON FLOW ${FLOW} TO emiliano.test EXPIRES ${soon}`)
    await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)
    await owner.write(FLOW, 'one')
    t.same(await user.follow(LOCAL, 1, { from: { at: 'earliest' } }), ['one'])
    const mine = () => b.kernel.resources.list('Subscription')[0]!
    const lease = Date.parse(mine().status.renewBy!) - theirs.now()
    t.ok(Math.abs(lease - 7 * DAY) < MINUTE, 'a lease is a duration: a week from now, by each clock')
    const held = Date.parse(a.kernel.resources.list('Subscriber')[0]!.status.leaseUntil!) - ours.now()
    t.ok(Math.abs(held - 7 * DAY) < MINUTE)

    await t.test('a key that was rotated meanwhile', async t => {
      const keys = a.kernel.loaded.find(l => l.plugin.manifest.kind === 'auth' && /domainkey/.test(l.plugin.id))!
      const rotate = (keys.service as AuthService).admin.find(x => x.name === 'key rotate')!
      await rotate.run([], {}, { signal: AbortSignal.timeout(10_000) })
      await a.agent.publishKeys()
      b.kernel.peers.drop('unix.test')
      await owner.ok(`UPDATE FLOW ${FLOW} VISIBILITY listed`)
      t.match(await user.ok(`DESCRIBE FLOW ${FLOW}`), { kind: 'data' })
    })

    await t.test('days pass, the lease is renewed', async t => {
      for (let day = 0; day < 2; day++) {
        const before = mine().status.renewBy
        for (const clock of [ours, theirs]) clock.turn(DAY)
        b.kernel.subscriptions.poke(mine().name)
        const renewed = () => (mine().status.renewBy === before ? undefined : true)
        await eventually(b, renewed, 'renewed')
      }
      // The sessions of before have been silent for days.
      await (await a.login(t)).write(FLOW, 'two')
      t.same(await (await b.login(t)).follow(LOCAL, 2, { from: { at: 'earliest' } }), ['one', 'two'])
    })

    await t.test('what ends, ends by the clock of who said so', async t => {
      for (const clock of [ours, theirs]) clock.turn(DAY + 11 * MINUTE)
      const phase = await eventually(
        b,
        () => (mine().status.phase === 'active' ? undefined : mine().status.phase),
        'the grant has ended',
      )
      t.equal(phase, 'revoked')
    })
  })
}
