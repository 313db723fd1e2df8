import { once } from 'node:events'
import { connect as tlsConnect } from 'node:tls'
import t, { type Test as Tap } from 'tap'
import { PASSWORD, single, type TestAgent, USER } from './support/agents.js'
import { Raw } from './support/raw.js'

const message = (user: string, password: string) => Buffer.from(`\0${user}\0${password}`).toString('base64')

t.test('wrong passwords from 150 connections do not keep a user of another address out', async t => {
  const a = await single(t)
  const flood = await Promise.all(Array.from({ length: 150 }, () => Raw.openFrom(t, a.port, '127.9.9.9')))
  const user = await Raw.open(t, a.port)
  await user.line()
  t.same(await user.say('AUTHENTICATE PLAIN'), ['220 OK'])
  let checked = 0
  let refused = 0
  let first = () => {}
  const begun = new Promise<void>(resolve => {
    first = resolve
  })
  for (const attacker of flood) {
    attacker.send(`AUTHENTICATE PLAIN ${message(USER, 'wrong')}\r\n`)
    attacker.socket.on('data', (d: Buffer) => {
      if (d.includes('401 AUTHFAILED ')) checked++
      if (d.includes('429 RATE 5 ')) refused++
      if (checked + refused > 0) first()
    })
  }
  await begun
  const before = checked
  t.same(await user.say(message(USER, PASSWORD)), ['220 Authenticated'])
  t.ok(checked - before <= 10, `${checked - before} of the attacker's passwords were checked first`)
  t.ok(refused >= 100, 'what passes the bound of an address is told to come again')
})

/** An agent with implicit TLS too, where five connections of one address are enough. */
function crowded(t: Tap): Promise<TestAgent> {
  return single(t, {
    change: c => ({ ...c, listen: [...c.listen, 'tls://127.0.0.1:0'], limits: { perAddress: 5, handshakeSeconds: 1 } }),
  })
}

t.test('a TLS handshake that is not finished counts as the connection that it is, and ends', async t => {
  const a = await crowded(t)
  const from = '127.9.9.9'
  const upgrading = await Promise.all(Array.from({ length: 3 }, () => Raw.openFrom(t, a.port, from)))
  for (const r of upgrading) t.match(await r.say('STARTTLS', 2), [/^220 fnaa/, '220 OK'])
  const implicit = await Promise.all([0, 1].map(() => Raw.openFrom(t, a.agent.addresses[1]!.port, from)))
  const more = await Raw.openFrom(t, a.port, from)
  await more.line()
  await more.say('AUTHENTICATE PLAIN')
  more.send(`${message(USER, PASSWORD)}\r\n`)
  t.match(await more.rest(), /^421 CLOSING too many connections/)
  await Promise.all([...upgrading, ...implicit].map(r => r.rest()))
  const later = await Raw.openFrom(t, a.port, from)
  await later.login()
  t.same(await later.say('NOOP'), ['220 OK'], 'when the handshakes have ended there is room again')
})

t.test('a connection keeps its place when it goes into TLS, and leaves it when it ends', async t => {
  const a = await crowded(t)
  const secure = async () => {
    const r = await Raw.open(t, a.port)
    await r.line()
    await r.say('STARTTLS')
    r.socket.removeAllListeners('data')
    const tls = tlsConnect({ socket: r.socket, rejectUnauthorized: false, ALPNProtocols: ['fnap/1'] })
    await once(tls, 'secureConnect')
    const raw = new Raw(tls)
    raw.send(`AUTHENTICATE PLAIN ${message(USER, PASSWORD)}\r\n`)
    if (!(await raw.line()).startsWith('220')) await raw.rest()
    return raw
  }
  const all = await Promise.all(Array.from({ length: 5 }, secure))
  const sixth = await secure()
  t.ok(sixth.closed)
  for (const r of all) t.same(await r.say('NOOP'), ['220 OK'])
  t.same(await all[0]!.say('QUIT'), ['220 Bye'])
  await all[0]!.rest()
  // The agent hears of the end a little later than we do: until then the place is taken.
  let next = await secure()
  for (let i = 0; i < 50 && next.closed; i++) next = await secure()
  t.same(await next.say('NOOP'), ['220 OK'])
})

t.test('processors of our own are not counted with the address of this machine, nor refused for it', async t => {
  const a = await crowded(t)
  const user = await a.login(t)
  await user.ok('CREATE FLOW in.flows.unix.test')
  for (let i = 0; i < 4; i++) await Raw.open(t, a.port).then(r => r.login())
  await user.ok('SUBSCRIBE in.flows.unix.test LOCAL out.flows.unix.test')
  await user.write('in.flows.unix.test', 'through')
  t.same(await user.follow('out.flows.unix.test', 1, { from: { at: 'earliest' } }), ['through'])
})

t.test('who pipelines thousands of commands waits for others, and is answered to the last', async t => {
  const a = await single(t)
  const each = 3000
  const flood = await Promise.all(Array.from({ length: 30 }, () => Raw.open(t, a.port)))
  const user = await Raw.open(t, a.port)
  await user.login()
  for (const attacker of flood) {
    await attacker.line()
    t.same(await attacker.say('AUTHENTICATE ANONYMOUS eA=='), ['220 Authenticated'])
  }
  for (const attacker of flood) attacker.socket.end('GET FLOWS FORMAT JSON\r\n'.repeat(each))
  const answers = () => flood.reduce((n, r) => n + r.buffered.split('220 OK\r\n').length - 1, 0)
  t.same(await user.say('NOOP'), ['220 OK'])
  const before = answers()
  t.ok(before < flood.length * each * 0.8, `${before} commands of the flood were answered first`)
  await Promise.all(flood.map(r => r.rest()))
  t.equal(answers(), flood.length * each, 'what was sent before the end is answered')
})
