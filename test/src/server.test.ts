import { once } from 'node:events'
import { connect as tlsConnect } from 'node:tls'
import t, { type Test as Tap } from 'tap'
import { folder, places, single, TestAgent } from './support/agents.js'
import { TurnableClock } from './support/clock.js'
import { ProcessAgent } from './support/process.js'
import { Raw } from './support/raw.js'

t.test('SIGTERM: 421 on the way out, nobody new, what is under way may end, exit 0', async t => {
  const [where] = await places(t, ['unix.test'])
  const agent = await (await ProcessAgent.prepare(t, where!)).start()
  const idle = await Raw.open(t, agent.where.port)
  await idle.login()
  const silent = await Raw.open(t, agent.where.port)
  await silent.line()
  const writer = await Raw.open(t, agent.where.port)
  await writer.login()
  await writer.say('CREATE FLOW late.flows.unix.test')
  await writer.say('WRITE FLOW late.flows.unix.test')
  const ended = agent.ended('SIGTERM')
  t.match(await idle.rest(), /^421 CLOSING [^\r]*\r\n$/)
  t.match(await silent.rest(), /^421 CLOSING [^\r]*\r\n$/)
  await t.rejects(Raw.open(t, agent.where.port), 'nobody new')
  t.same(await writer.say('the last event\r\n.'), ['220 OK written=1'], 'a write that had begun is finished')
  t.equal(await ended, 0)
  await agent.start()
  const client = await agent.login()
  t.teardown(() => client.connection.destroy())
  t.same(await client.read('late.flows.unix.test'), ['the last event'])
})

t.test('limits per source address and in all', async t => {
  const a = await single(t, { change: c => ({ ...c, limits: { perAddress: 3, connections: 4 } }) })
  for (let i = 0; i < 3; i++) t.match(await (await Raw.open(t, a.port)).line(), /^220 /)
  await tooMany(t, await Raw.open(t, a.port))
  const other = await Raw.openFrom(t, a.port, '127.9.9.9')
  await other.login()
  t.same(await other.say('NOOP'), ['220 OK'], 'another address is served')
  await tooMany(t, await Raw.openFrom(t, a.port, '127.9.9.10'))
})

/** On loopback the refusal comes at the login: a processor of the agent's own might have come (its reserve). */
async function tooMany(t: Tap, r: Raw): Promise<void> {
  await r.line()
  await r.say('AUTHENTICATE PLAIN')
  r.send(`${Buffer.from('\0test\0test').toString('base64')}\r\n`)
  t.match(await r.rest(), /^421 CLOSING too many connections/)
}

t.test('implicit TLS: greeting inside, ALPN, at least TLS 1.2; STARTTLS is not offered there', async t => {
  const data = await folder(t)
  const [where] = await places(t, ['unix.test'])
  const a = await new TestAgent(where!, {
    change: c => ({ ...c, data: `${data}/a`, listen: ['tls://127.0.0.1:0', 'tcp://127.0.0.1:0'] }),
  }).start()
  t.teardown(() => a.close())
  const ca = a.kernel.certificates!.ca!
  const open = (more: object) =>
    tlsConnect({
      host: '127.0.0.1',
      port: a.port,
      servername: 'fnaa.unix.test',
      ca,
      ALPNProtocols: ['fnap/1'],
      ...more,
    })
  const socket = open({})
  await once(socket, 'secureConnect')
  t.ok(socket.authorized)
  t.equal(socket.alpnProtocol, 'fnap/1')
  t.equal(socket.getProtocol(), 'TLSv1.3')
  const raw = new Raw(socket)
  t.teardown(() => socket.destroy())
  t.equal(await raw.line(), '220 fnaa.unix.test FNAA')
  t.match(await raw.say('CAPABILITIES', 3), ['220 DATA', 'version=FNAP/1', 'starttls=no'])
  const old = open({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })
  const [error] = (await once(old, 'error')) as [Error]
  t.match(error.message, /protocol|version|alert/i)
})

t.test('pipelining: replies in order, one write a chunk; states before and after login', async t => {
  const a = await single(t)
  const r = await Raw.open(t, a.port)
  await r.line()
  t.match(await r.say('GET FLOWS'), [/^401 AUTHREQUIRED /])
  t.match(await r.say('SUBSCRIBE x.y.z'), [/^401 AUTHREQUIRED /])
  t.match(await r.say('NOOP'), ['220 OK'])
  t.match(await r.say('AUTHENTICATE NOSUCH'), [/^404 UNKNOWNMECHANISM /])
  await r.say('AUTHENTICATE PLAIN')
  t.match(await r.say('*'), [/^400 CANCELLED /])
  await r.say('AUTHENTICATE PLAIN')
  t.match(await r.say(Buffer.from('\0test\0wrong').toString('base64')), [/^401 AUTHFAILED authentication failed$/])
  await r.say('AUTHENTICATE PLAIN')
  t.same(await r.say('AHRlc3QAdGVzdA=='), ['220 Authenticated'])
  t.match(await r.say('AUTHENTICATE PLAIN'), [/^409 BADSTATE /])
  t.match(await r.say('STARTTLS'), [/^409 BADSTATE /])
  r.send(
    'CREATE FLOW p.flows.unix.test\r\nDESCRIBE FLOW p.flows.unix.test\r\nNOOP\r\nWHOAMI\r\nNOSUCH\r\n\r\nDELETE FLOW p.flows.unix.test\r\nQUIT\r\nNOOP\r\n',
  )
  t.match((await r.rest()).split('\r\n'), [
    '220 OK p.flows.unix.test',
    '220 DATA',
    'flow=p.flows.unix.test',
    'type=fnap',
    'topic=p.flows.unix.test',
    /^server=fnaa\.unix\.test:\d+$/,
    '220 OK',
    '220 OK',
    '220 OK test@unix.test',
    /^404 UNKNOWNCOMMAND /,
    '220 OK p.flows.unix.test',
    '220 Bye',
    '',
  ])
})

t.test('the third failed login closes', async t => {
  const a = await single(t)
  const r = await Raw.open(t, a.port)
  await r.line()
  for (let i = 0; i < 2; i++) {
    await r.say('AUTHENTICATE PLAIN')
    t.match(await r.say(Buffer.from('\0test\0wrong').toString('base64')), [/^401 AUTHFAILED /])
  }
  await r.say('AUTHENTICATE PLAIN')
  r.send(`${Buffer.from('\0nobody\0wrong').toString('base64')}\r\n`)
  t.match(await r.rest(), /^401 AUTHFAILED authentication failed\r\n$/)
})

t.test('H30 lines a second: who says more is read later, and empty lines count', async t => {
  const clock = new TurnableClock()
  const a = await single(t, { clock, change: c => ({ ...c, limits: { linesPerSecond: 2 } }) })
  const r = await Raw.open(t, a.port)
  await r.login()
  r.send(`${'\r\n'.repeat(10)}${'NOOP\r\n'.repeat(10)}`)
  // Two of the twenty lines of these ten seconds were the login, ten were empty.
  for (let i = 0; i < 8; i++) t.equal(await r.line(), '220 OK')
  const other = await Raw.open(t, a.port)
  await other.login()
  t.same(await other.say('NOOP'), ['220 OK'], 'others are not held up')
  t.equal(r.buffered, '', 'the rest waits')
  clock.turn(10_000)
  for (let i = 0; i < 2; i++) t.equal(await r.line(), '220 OK')
})
