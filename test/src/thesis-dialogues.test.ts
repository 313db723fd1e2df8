import { once } from 'node:events'
import { connect } from 'node:net'
import { FnapConnection } from '@fnaa/client'
import t from 'tap'
import { dialogue, dig, LOGIN } from './support/dialogue.js'
import { Raw } from './support/raw.js'
import { CREDENTIAL, type Thesis, telnet, thesis } from './support/thesis.js'

/** T2, T6, T8, T10 and T11 of the thesis, as telnet shows them, against examples/thesis. */
let net: Thesis
t.before(async () => {
  net = await thesis(t)
})

t.test('T2: the greeting, then silence', async t => {
  const raw = await Raw.open(t, net.unix)
  t.equal(await raw.line(), '220 fnaa.unix.ar FNAA')
  await dialogue(t, raw, [])
  const other = await Raw.open(t, net.emiliano)
  t.equal(await other.line(), '220 fnaa.emiliano.ar FNAA')
})

t.test('T6: authenticate', async t => {
  const raw = await Raw.open(t, net.unix)
  t.equal(await raw.line(), '220 fnaa.unix.ar FNAA')
  await dialogue(t, raw, LOGIN)
})

t.test('T8: create a flow by hand', async t => {
  const raw = await Raw.open(t, net.unix)
  await raw.line()
  await dialogue(t, raw, [...LOGIN, ['CREATE FLOW time.flows.unix.ar', '220 OK time.flows.unix.ar']])
  await dialogue(t, raw, [['CREATE FLOW time.flow.unix.ar', '220 OK time.flow.unix.ar']])
  // L1102: the queue is there, and once others may see the flow, so are its names.
  const [described] = await raw.say('DESCRIBE FLOW time.flows.unix.ar FULL', 1)
  t.equal(described, '220 DATA')
  const lines = [await raw.line()]
  while (lines.at(-1) !== '220 OK') lines.push(await raw.line())
  t.ok(
    lines.some(l => /^epoch=./.test(l)),
    'the broker has a queue, which has an identity',
  )
  await dialogue(t, raw, [['UPDATE FLOW time.flows.unix.ar VISIBILITY public', '220 OK time.flows.unix.ar']])
  const { unix } = net.dns
  t.same(await dig(unix, 'time.flows.unix.ar', 'PTR'), ['PTR _flow._tcp.time.flows.unix.ar'])
  t.same(await dig(unix, '_flow._tcp.time.flows.unix.ar', 'SRV'), [`SRV 30 30 ${net.unix} fnaa.unix.ar`])
  t.same(await dig(unix, '_queue._flow._tcp.time.flows.unix.ar', 'SRV'), [`SRV 30 30 ${net.unix} fnaa.unix.ar`])
  t.match(await dig(unix, '_queue._flow._tcp.time.flows.unix.ar', 'TXT'), [/broker-type=fnap/])
  t.same(await dig(unix, 'time.flows.unix.ar', 'SRV'), [`SRV 0 0 ${net.unix} fnaa.unix.ar`], 'as the prototype asks')
  t.same(await dig(unix, 'fnaa.unix.ar', 'A'), ['A 127.0.0.1'])
})

const DESCRIBED = [
  'DESCRIBE FLOW time.flows.unix.ar',
  '220 DATA',
  'flow=time.flows.unix.ar',
  'type=fnap',
  /^topic=.+$/,
  /^server=fnaa\.unix\.ar:\d+$/,
  '220 OK',
] as const

t.test('T10: describe by hand', async t => {
  const raw = await Raw.open(t, net.unix)
  await raw.line()
  await dialogue(t, raw, [...LOGIN, DESCRIBED])
  // What the thesis prints in L1155 is a misprint, and names another user.
  const wrong = await Raw.open(t, net.unix)
  await wrong.line()
  await dialogue(t, wrong, [
    ['AUTHENTICATE PLAIN', '220 OK'],
    ['AHR1c30AdGVzdA==', /^401 AUTHFAILED /],
  ])
})

t.test('T11: subscribe by hand, at the agent that owns the flow', async t => {
  const raw = await Raw.open(t, net.unix)
  await raw.line()
  const seen = await dialogue(t, raw, [
    ...LOGIN,
    [
      'SUBSCRIBE time.flows.unix.ar LOCAL emiliano.ar-time.flows.unix.ar',
      '220 DATA',
      /^[a-z2-7]{26}\.time\.flows\.unix\.ar$/,
      '220 OK',
    ],
  ])
  const endpoint = seen[3] as string
  // Afterwards (L1244 to L1249): the endpoint is served, is fed, and has its names.
  await dialogue(t, raw, [
    [
      `DESCRIBE FLOW ${endpoint}`,
      '220 DATA',
      `flow=${endpoint}`,
      'type=fnap',
      /^topic=/,
      /^server=fnaa\.unix\.ar:/,
      '220 OK',
    ],
  ])
  const { unix } = net.dns
  t.same(await dig(unix, endpoint, 'PTR'), [`PTR _flow._tcp.${endpoint}`])
  t.same(await dig(unix, `_flow._tcp.${endpoint}`, 'SRV'), [`SRV 30 30 ${net.unix} fnaa.unix.ar`])
  t.match(await dig(unix, `_queue._flow._tcp.${endpoint}`, 'TXT'), [/broker-type=fnap/])
  await dialogue(t, raw, [
    ['WRITE FLOW time.flows.unix.ar', /^354 /],
    ['tick\r\n.', '220 OK written=1'],
  ])
  await dialogue(t, raw, [
    ['READ FLOW emiliano.ar-time.flows.unix.ar FROM earliest MAX 1 FOLLOW', '220 DATA', /"data":"tick"/, '220 OK'],
  ])
})

t.test("what the author's programs do on the wire", async t => {
  await t.test('names as typed: upper case, a final dot, the scheme', async t => {
    const raw = await telnet(t, net.unix)
    await dialogue(t, raw, [
      ['describe flow flow://TIME.flows.unix.ar.', ...DESCRIBED.slice(1)],
      ['DESC fl time.flows.unix.ar', ...DESCRIBED.slice(1)],
      ['get ns', '220 DATA', 'namespace=flow.unix.ar', 'namespace=flows.unix.ar', '220 OK'],
    ])
  })
  await t.test('no error and no data holds what stands for success', async t => {
    const raw = await telnet(t, net.unix)
    for (const bad of [
      'NOSUCH',
      'DESCRIBE FLOW 220.flows.unix.ar',
      'CREATE FLOW 220',
      'CREATE FLOW time.flows.unix.ar',
    ]) {
      const [line] = await raw.say(bad)
      t.match(line, /^4\d\d [A-Z]+ /, bad)
      t.notMatch(line?.slice(3), /220/, bad)
    }
  })
  await t.test('the credential goes out whatever the answer to AUTHENTICATE was', async t => {
    const raw = await Raw.open(t, net.unix)
    await raw.line()
    const [refused] = await raw.say('AUTHENTICATE NOSUCH')
    t.match(refused, /^404 UNKNOWNMECHANISM /)
    const [line] = await raw.say(CREDENTIAL)
    t.notMatch(line, /AHRl|220/, 'neither echoed nor taken for a success')
  })
  await t.test('a bare LF gets one 400 that says how lines end, and the connection closes', async t => {
    const raw = await Raw.open(t, net.unix)
    await raw.line()
    raw.send('AUTHENTICATE PLAIN\n')
    const rest = await raw.rest()
    t.match(rest, /^400 BADLINE [^\r\n]*CRLF[^\r\n]*\r\n$/)
  })
  await t.test('its own client library: one command at a time, PLAIN without an initial response', async t => {
    const socket = connect(net.unix, '127.0.0.1')
    await once(socket, 'connect')
    const lines: string[] = []
    const connection = await FnapConnection.connect(socket, { trace: l => lines.push(`${l.direction} ${l.line}`) })
    await connection.command('NOOP')
    await connection.quit()
    t.same(lines, ['receive 220 fnaa.unix.ar FNAA', 'send NOOP', 'receive 220 OK', 'send QUIT', 'receive 220 Bye'])
  })
})

t.test('a failed log-in leaves the state, the third closes', async t => {
  const raw = await Raw.open(t, net.unix)
  await raw.line()
  const wrong = Buffer.from('\0test\0wrong').toString('base64')
  const failing = [
    ['AUTHENTICATE PLAIN', '220 OK'],
    [wrong, /^401 AUTHFAILED /],
  ] as const
  await dialogue(t, raw, [...failing, ['AUTHENTICATE PLAIN', '220 OK'], ['*', /^400 CANCELLED /], ...failing])
  await raw.say('AUTHENTICATE PLAIN')
  t.match(await raw.say(wrong), [/^401 AUTHFAILED /])
  t.equal(await raw.rest(), '', 'closed')
})
