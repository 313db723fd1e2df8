import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls'
import { FnapConnection, type PeerInfo } from '@fnaa/client'
import t from 'tap'
import { folder, pair, places, single, type Teardown, TestAgent } from './support/agents.js'
import { fakeAgent, letting } from './support/fake-agent.js'
import { configFor, fnua } from './support/fnua.js'
import { Raw } from './support/raw.js'
import { meeting, type StrangerOptions, trap } from './support/stranger.js'

const FLOW = 'time.flows.unix.test'
const DOMAINKEY = 'DOMAINKEY-ED25519'
const SELF = { self: 'emiliano.test', target: 'unix.test' }

type Answer = NonNullable<StrangerOptions['answer']>

/** STARTTLS by hand. */
async function secured(t: Teardown, port: number, more: ConnectionOptions = {}): Promise<Raw> {
  const raw = await Raw.open(t, port)
  await raw.line()
  await raw.say('STARTTLS')
  raw.socket.removeAllListeners('data')
  const tls = tlsConnect({ socket: raw.socket, rejectUnauthorized: false, ALPNProtocols: ['fnap/1'], ...more })
  await once(tls, 'secureConnect')
  return new Raw(tls)
}

/** A resolver that says AD to every answer of the one behind it: what a validating one says of signed zones. */
async function validating(t: Teardown, behind: number): Promise<string> {
  const socket = createSocket('udp4')
  socket.on('message', (question, from) => {
    const onward = createSocket('udp4')
    onward.once('message', answer => {
      answer[3]! |= 0x20
      socket.send(answer, from.port, from.address)
      onward.close()
    })
    onward.send(question, behind, '127.0.0.1')
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(() => socket.close())
  return `127.0.0.1:${socket.address().port}`
}

t.test("H16 each side goes by the level of the other's key", async t => {
  const [wa, wb] = await places(t, ['unix.test', 'emiliano.test'])
  const servers = [await validating(t, wb!.dnsPort)]
  const a = await new TestAgent(wa!).start()
  t.teardown(() => a.close())
  const b = await new TestAgent(wb!, {
    change: config => ({ ...config, resolver: { servers, trustAd: true }, trust: {} }),
  }).start()
  t.teardown(() => b.close())
  await (await a.login(t)).ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  await (await b.login(t)).ok(`SUBSCRIBE ${FLOW} LOCAL time.flows.emiliano.test`)
  t.equal(b.kernel.resources.list('Subscription')[0]?.status.level, 'dnssec', 'b has seen a signed key')
  t.equal(b.kernel.resources.get('Peer', 'unix.test')?.status.level, 'dnssec')
  t.equal(a.kernel.resources.by('Subscriber', 'flow', FLOW)[0]?.status.level, 'dns', 'a has not')
  t.equal(a.kernel.resources.get('Peer', 'emiliano.test')?.status.level, 'dns')
})

t.test('H16 a level that does not suffice to one of the two is enough to refuse', async t => {
  for (const strict of ['fnaa.unix.test', 'fnaa.emiliano.test']) {
    const { a, b } = await pair(t, { change: c => (c.host === strict ? { ...c, trust: {} } : c) })
    await (await a.login(t)).ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
    t.match(await (await b.login(t)).say(`DESCRIBE FLOW ${FLOW}`), { code: 502, symbol: 'REMOTE' }, strict)
    t.notOk((strict === a.agent.kernel.config.host ? a : b).kernel.resources.list('Peer').length, 'nobody was met')
  }
})

t.test('H17 the domain is the server name; one connection a domain; no session is resumed', async t => {
  const answer = (line: string, v: { say(text: string): void }) => {
    if (!line.startsWith('DESCRIBE FLOW ')) return false
    v.say('220 DATA\r\nflow=x\r\n220 OK')
    return true
  }
  const { stranger, b } = await meeting(t, { answer })
  await (await stranger.agent.login(t)).ok('CREATE NAMESPACE other.evil.test')
  const user = await b.login(t)
  await user.ok('DESCRIBE FLOW x.flows.evil.test')
  await user.ok('DESCRIBE FLOW y.other.evil.test')
  t.equal(stranger.visits.length, 1, 'two namespaces of one domain: one connection')
  const expected = { servername: 'evil.test', alpn: 'fnap/1', version: 'TLSv1.3', resumed: false }
  t.strictSame(stranger.visits[0]!.tls, expected)
  stranger.visits[0]!.socket.destroy()
  await stranger.until(() => (stranger.visits[0]!.closed ? true : undefined), 'closed')
  await user.ok('DESCRIBE FLOW z.flows.evil.test')
  t.strictSame(stranger.visits[1]!.tls, expected, 'the second one is a fresh session')
})

t.test('H17 a greeting that does not end in FNAA is not an agent', async t => {
  const o: { greeting: string } = { greeting: '' }
  const { stranger, b } = await meeting(t, o)
  const user = await b.login(t)
  for (const greeting of ['220 mail.evil.test ESMTP', '220 FNAA evil.test', 'SSH-2.0-x']) {
    o.greeting = greeting
    t.match(await user.say('DESCRIBE FLOW x.flows.evil.test'), { code: 502, symbol: 'REMOTE' }, greeting)
    const last = stranger.visits.at(-1)!
    await stranger.until(() => (last.closed ? true : undefined), 'closed')
    t.strictSame(last.lines, [], 'nothing was said to it')
  }
  t.equal(stranger.visits.length, 3)
})

t.test('H18 nothing before 220 Authenticated is acted on', async t => {
  const bait = await trap(t)
  const moved = `421 MOVED 127.0.0.1:${bait.port}`
  const say = (begin: string, text: string) => (line: string, v: { say(text: string): void }) => {
    if (!line.startsWith(begin)) return false
    v.say(text)
    return true
  }
  const tricks: readonly (readonly [string, StrangerOptions])[] = [
    ['as the greeting', { greeting: moved }],
    ['to STARTTLS', { early: say('STARTTLS', moved) }],
    ['to CAPABILITIES', { answer: say('CAPABILITIES', moved) }],
    ['to AUTHENTICATE', { answer: say('AUTHENTICATE', moved) }],
    ['a login that did not take place', { answer: say('AUTHENTICATE', '220 Authenticated') }],
    ['data for a challenge', { answer: say('AUTHENTICATE', '220 DATA\r\nflow=x\r\n220 OK') }],
    ['421 CLOSING to a command', { answer: say('DESCRIBE', '421 CLOSING bye') }],
    ['a symbol of its own to a command', { answer: say('DESCRIBE', '499 constructor x') }],
  ]
  const now: { greeting?: string; early?: Answer; answer?: Answer } = {}
  const { stranger, b } = await meeting(t, now)
  const user = await b.login(t)
  for (const [name, trick] of tricks) {
    Object.assign(now, { greeting: undefined, early: undefined, answer: undefined }, trick)
    const before = stranger.visits.length
    t.match(await user.say('DESCRIBE FLOW x.flows.evil.test'), { code: 502, symbol: 'REMOTE' }, name)
    t.ok(await user.ok('NOOP'), 'the session of our user goes on')
    const asked = stranger.visits.slice(before).some(v => v.lines.some(l => l.startsWith('DESCRIBE')))
    t.equal(asked, name.includes('command'), `${name}: a command is sent to who has proved itself only`)
    b.kernel.peers.drop('evil.test')
  }
  t.equal(bait.sprung(), 0, 'nobody went where it said')
})

t.test("H18 a user's client shows MOVED, and neither follows it nor logs in there", async t => {
  const bait = await trap(t)
  const moved = `421 MOVED 127.0.0.1:${bait.port}`
  const agents = [
    await fakeAgent(t, () => undefined, moved),
    await fakeAgent(t, () => moved),
    await fakeAgent(
      t,
      letting(() => moved),
    ),
  ]
  for (const agent of agents) {
    const config = await configFor(await folder(t), { port: agent.port, domain: 'unix.test' })
    const ran = await fnua(['--config', config, 'describe', 'flow', FLOW])
    t.not(ran.code, 0)
    t.match(ran.stderr, /MOVED|127\.0\.0\.1/, 'it is shown')
  }
  t.equal(bait.sprung(), 0)
})

t.test('H19 the capabilities of this TLS session are signed', async t => {
  const { a, b } = await pair(t)
  const mechanism = b.kernel.mechanisms.get(DOMAINKEY)!
  const open = async () => {
    const socket = connect(a.port, '127.0.0.1')
    await once(socket, 'connect')
    const c = await FnapConnection.connect(socket)
    t.teardown(() => c.destroy())
    return c
  }
  const tls = { servername: 'unix.test', certificate: 'recorded', alpn: 'required' } as const
  const login = (c: FnapConnection, peer: PeerInfo) =>
    c.authenticate(DOMAINKEY, mechanism.initiate!(peer as never, SELF))

  const honest = await open()
  await honest.starttls(tls)
  await honest.capabilities()
  t.match(await login(honest, honest.peerInfo()), { type: 'domain', principal: 'unix.test' })

  const stripped = await open()
  await stripped.starttls(tls)
  await stripped.capabilities()
  const peer = stripped.peerInfo()
  t.match(peer.capabilities, /SCRAM-SHA-256-PLUS/)
  const shorter = { ...peer, capabilities: peer.capabilities.replace(',SCRAM-SHA-256-PLUS', '') }
  await t.rejects(login(stripped, shorter), { code: 'FNA_ERR_DENIED' }, 'a mechanism was taken off the list: I sees it')

  const early = await open()
  await early.capabilities()
  const before = early.peerInfo().capabilities
  await early.starttls(tls)
  t.equal(early.peerInfo().capabilities, '', 'what was said before STARTTLS is forgotten')
  await t.rejects(login(early, early.peerInfo()), { code: 'FNA_ERR_DENIED' }, 'I refuses')
  const other = await open()
  await other.starttls(tls)
  await t.rejects(login(other, { ...other.peerInfo(), capabilities: before }), /401 AUTHFAILED/, 'R refuses')
})

t.test('H19 the messages are JSON with exactly their members', async t => {
  const a = await single(t)
  const cn = Buffer.alloc(24, 7).toString('base64')
  const first = { n: 'emiliano.test', s: '2026a', t: 'unix.test', cn }
  const bad: Readonly<Record<string, string>> = {
    'one more': JSON.stringify({ ...first, x: 'y' }),
    'one less': JSON.stringify({ ...first, cn: undefined }),
    'one twice': JSON.stringify(first).replace('{', '{"n":"unix.test",'),
    'not a string': JSON.stringify({ ...first, s: 1 }),
    nested: JSON.stringify({ ...first, s: ['a'] }),
    'a domain in capitals': JSON.stringify({ ...first, n: 'Emiliano.test' }),
    'a short nonce': JSON.stringify({ ...first, cn: 'AAAA' }),
    'not ours': JSON.stringify({ ...first, t: 'evil.test' }),
    'ours as theirs': JSON.stringify({ ...first, n: 'unix.test', t: 'unix.test' }),
  }
  for (const [name, text] of Object.entries(bad)) {
    const raw = await secured(t, a.port)
    await raw.say('CAPABILITIES', 11)
    const line = `AUTHENTICATE ${DOMAINKEY} ${Buffer.from(text).toString('base64')}`
    t.strictSame(await raw.say(line), ['401 AUTHFAILED authentication failed'], name)
  }
  const raw = await secured(t, a.port)
  await raw.say('CAPABILITIES', 11)
  t.match(await raw.say(`AUTHENTICATE ${DOMAINKEY} ${Buffer.from(JSON.stringify(first)).toString('base64')}`), [
    /^334 /,
  ])
})

t.test('H20 agents require ALPN of each other', async t => {
  const { stranger, b } = await meeting(t, { alpn: [] })
  t.match(await (await b.login(t)).say('DESCRIBE FLOW x.flows.evil.test'), { code: 502 }, 'I: not selected')
  t.notOk(stranger.visits.some(v => v.lines.some(l => l.startsWith('AUTHENTICATE'))))
  const a = await single(t)
  const raw = await secured(t, a.port, { ALPNProtocols: undefined as never })
  await raw.say('CAPABILITIES', 11)
  const first = { n: 'emiliano.test', s: '2026a', t: 'unix.test', cn: Buffer.alloc(24).toString('base64') }
  const line = `AUTHENTICATE ${DOMAINKEY} ${Buffer.from(JSON.stringify(first)).toString('base64')}`
  t.match(await raw.say(line), [/^401 AUTHFAILED /], 'R: none offered')
})

t.test('H21 FNAPKEY is answered inside TLS only', async t => {
  const a = await single(t)
  const clear = await Raw.open(t, a.port)
  await clear.line()
  t.match(await clear.say('FNAPKEY 2026a unix.test'), [/^403 TLSREQUIRED /])
  const [selector] = Object.values(a.kernel.loaded)
    .flatMap(l => (l.plugin.id === 'auth-domainkey' ? [l.service] : []))
    .map(s => s as unknown as { records(c: object): Promise<readonly { owner: string }[]> })
  const [set] = await selector!.records({ signal: AbortSignal.timeout(5000) })
  const [name] = set!.owner.split('._fnapkey.')
  const raw = await secured(t, a.port)
  t.match(await raw.say(`FNAPKEY ${name} unix.test`, 3), ['220 DATA', /^v=FNAP1; k=ed25519; p=\S+$/, '220 OK'])
  t.match(await raw.say(`FNAPKEY ${name} emiliano.test`), [/^404 NOTFOUND /])
  t.match(await raw.say('FNAPKEY none unix.test'), [/^404 NOTFOUND /])
})

t.test('H22 without the exporter of TLS 1.3 neither -PLUS nor DOMAINKEY is offered', async t => {
  const a = await single(t)
  const auth = async (raw: Raw) => (await raw.say('CAPABILITIES', 11)).find(l => l.startsWith('auth='))
  t.equal(await auth(await secured(t, a.port)), `auth=ANONYMOUS,${DOMAINKEY},PLAIN,SCRAM-SHA-256,SCRAM-SHA-256-PLUS`)
  const old = await secured(t, a.port, { maxVersion: 'TLSv1.2' })
  t.equal(await auth(old), 'auth=ANONYMOUS,PLAIN,SCRAM-SHA-256')
  for (const name of ['SCRAM-SHA-256-PLUS', DOMAINKEY])
    t.match(await old.say(`AUTHENTICATE ${name}`), [/^403 TLSREQUIRED /], name)
})

/** An address of this machine that others reach it by. */
const outward = Object.values(networkInterfaces())
  .flat()
  .find(i => i && !i.internal && i.family === 'IPv4')?.address

t.test('H22 loopback means both ends: else no password goes in clear', { skip: !outward && 'no address' }, async t => {
  const a = await single(t, { change: c => ({ ...c, listen: ['tcp://0.0.0.0:0'] }) })
  const open = async (host: string, localAddress: string) => {
    const socket = connect({ host, port: a.port, localAddress })
    await once(socket, 'connect')
    t.teardown(() => socket.destroy())
    const raw = new Raw(socket)
    await raw.line()
    const said = (await raw.say('CAPABILITIES', 11)).find(l => l.startsWith('auth='))
    return { said, plain: (await raw.say('AUTHENTICATE PLAIN'))[0]! }
  }
  t.match(await open('127.0.0.1', '127.0.0.9'), { said: 'auth=ANONYMOUS,PLAIN,SCRAM-SHA-256', plain: /^220 OK/ })
  for (const [host, from] of [
    [outward!, '127.0.0.1'],
    ['127.0.0.1', outward!],
    [outward!, outward!],
  ] as const)
    t.match(await open(host, from), { said: 'auth=ANONYMOUS', plain: /^403 TLSREQUIRED / }, `${from} to ${host}`)
})
