import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { dialogue, dig } from './support/dialogue.js'
import { fnua, startFnua } from './support/fnua.js'
import { EXAMPLE, flowYml, type Thesis, telnet, thesis } from './support/thesis.js'

/** T3, T4, T7, T9 and T12 to T14: fnua with the thesis's own file, against examples/thesis. */
let net: Thesis
let cwd: string
t.before(async () => {
  net = await thesis(t)
  cwd = await flowYml(t)
})
/** What the thesis's client is called with; `--config` and the name server are the reader's own. */
const at = (server: string) => ['--config=./flow.yml', '--nameserver', server]

/** Do the lines stand in the text, in this order, others between them or not? */
function inOrder(text: string, lines: readonly (string | RegExp)[]): string | null {
  const all = text.split('\n')
  let from = 0
  for (const line of lines) {
    const found = all.findIndex((l, i) => i >= from && (typeof line === 'string' ? l === line : line.test(l)))
    if (found < 0) return `missing: ${line}`
    from = found + 1
  }
  return null
}

/** The questions of T7, T9 and T12. */
const questions = (host: string, port: number, server: string): string[] => [
  `Resolving SRV for ${host}. using server ${server}`,
  `Executing query ${host}. IN 33 using server ${server}`,
  `Executing successful: [${host}. 300 IN SRV 0 0 ${port} ${host}.]`,
  `Nameserver to be used: ${server.split(':')[0]}`,
  `Resolving A for ${host}. using server ${server}`,
  `Executing query ${host}. IN 1 using server ${server}`,
  `Executing successful: [${host}. 300 IN A 127.0.0.1]`,
  `Resolved A to 127.0.0.1 for ${host}. using server ${server}`,
  `C: Connecting to 127.0.0.1:${port}`,
  `C: Got a response: 220 ${host} FNAA`,
  'C: Sending command AUTHENTICATE PLAIN',
  'C: Wrote (20 bytes written)',
  'C: Got a response: 220 OK',
  'C: Authentication string sent: ***',
  'C: Wrote (18 bytes written)',
  'C: Got a response: 220 Authenticated',
]

t.test('T4: the initial response of PLAIN', async t => {
  t.equal(Buffer.from('\0test\0test').toString('base64'), 'AHRlc3QAdGVzdA==')
})

t.test('T3: the file loads unchanged and selects agents by name', async t => {
  const text = await readFile(join(EXAMPLE, '.flow.yml'), 'utf8')
  t.notMatch(text, /address|nameserver/, 'it is the thesis’s file, without what fnua adds')
  const one = await fnua([...at(net.dns.unix), '--agent', 'fnaa-unix', 'whoami'], { cwd })
  t.match(one, { code: 0, stdout: 'test@unix.ar\n', stderr: '' })
  const two = await fnua([...at(net.dns.emiliano), '--agent', 'fnaa-emiliano', 'whoami'], { cwd })
  t.match(two, { code: 0, stdout: 'test@emiliano.ar\n' })
})

t.test('T7: create a flow with the CLI', async t => {
  const { unix } = net.dns
  const ran = await fnua([...at(unix), '-d', 'create', 'flow', 'time.flow.unix.ar'], { cwd, merged: true })
  t.equal(ran.code, 0)
  const expected = [
    ...questions('fnaa.unix.ar', net.unix, unix),
    'C: Sending command CREATE FLOW time.flow.unix.ar',
    'C: Wrote (31 bytes written)',
    'C: Server sent OK for command CREATE FLOW time.flow.unix.ar',
    'C: Sending command QUIT',
    'C: Wrote (6 bytes written)',
  ]
  t.equal(inOrder(ran.both, expected), null, 'the same lines in the same order')
  t.notMatch(ran.both, /AHRlc3/, 'the credential is masked')
  const sent = ran.both.split('\n').filter(l => /^C: (?:Sending command|Authentication string)/.test(l))
  t.equal(sent.length, 4, 'exactly four lines on the wire')
  const again = await fnua([...at(unix), 'create', 'flow', 'time.flow.unix.ar'], { cwd })
  t.match(again, {
    code: 3,
    stdout: '',
    stderr: /^error: .* \(409 EXISTS\)\ntry: fnua .*describe flow time\.flow\.unix\.ar\n$/,
  })
})

t.test('T9: describe with the CLI', async t => {
  const { unix } = net.dns
  const ran = await fnua([...at(unix), 'describe', 'flow', 'time.flow.unix.ar', '-d'], { cwd, merged: true })
  t.equal(ran.code, 0)
  const expected = [
    ...questions('fnaa.unix.ar', net.unix, unix),
    'C: Sending command DESCRIBE FLOW time.flow.unix.ar',
    'C: Wrote (33 bytes written)',
    'C: Server sent OK for command DESCRIBE FLOW time.flow.unix.ar',
  ]
  t.equal(inOrder(ran.both, expected), null)
  const between =
    /\nFlow time\.flow\.unix\.ar description:\n([\s\S]*)\nFlow time\.flow\.unix\.ar described successfully\nQuitting\n/
  t.match(
    between.exec(ran.both)?.[1],
    /^flow=time\.flow\.unix\.ar\ntype=fnap\ntopic=time\.flow\.unix\.ar\nserver=fnaa\.unix\.ar:\d+$/,
    'the four lines, in this order, and nothing else',
  )
  const plain = await fnua([...at(unix), 'describe', 'flow', 'time.flow.unix.ar'], { cwd })
  t.match(plain, { code: 0, stderr: '', stdout: /^flow=.*\ntype=.*\ntopic=.*\nserver=.*\n$/ })
})

t.test('T12 to T14: subscribe with the CLI, across two agents', async t => {
  const { unix, emiliano } = net.dns
  const make = ['create', 'flow', 'time.flows.unix.ar', '--visibility', 'public']
  t.match(await fnua([...at(unix), ...make], { cwd }), { code: 0 })
  const before = net.log().length
  // As the thesis prints it, the single dash included.
  const words = [
    '--config=./flow.yml',
    'subscribe',
    'time.flows.unix.ar',
    '-nameserver',
    emiliano,
    '-d',
    '--agent',
    'fnaa-emiliano',
  ]
  const ran = await fnua(words, { cwd, merged: true })
  t.equal(ran.code, 0)
  const local = 'emiliano.ar-time.flows.unix.ar'
  const line = `SUBSCRIBE time.flows.unix.ar LOCAL ${local}`
  const expected = [
    'Initializing initConfig',
    'Using config file: ./flow.yml',
    'Subscribe to flow',
    'Agent selected: fnaa-emiliano',
    'Resolving FNAA FQDN fnaa.emiliano.ar',
    'Starting FQDN resolution with 127.0.0.1',
    `Resolving SRV for fnaa.emiliano.ar. using server ${emiliano}`,
    `Executing query fnaa.emiliano.ar. IN 33 using server ${emiliano}`,
    `FNAA FQDN Resolved to fnaa.emiliano.ar. port ${net.emiliano}`,
    `Resolving A for fnaa.emiliano.ar. using server ${emiliano}`,
    `Resolved A to 127.0.0.1 for fnaa.emiliano.ar. using server ${emiliano}`,
    `C: Connecting to 127.0.0.1:${net.emiliano}`,
    'C: Got a response: 220 fnaa.emiliano.ar FNAA',
    'Connected to FNAA',
    'Authenticating with PLAIN mechanism',
    'C: Sending command AUTHENTICATE PLAIN',
    'C: Wrote (20 bytes written)',
    'C: Got a response: 220 OK',
    'C: Authentication string sent: ***',
    'C: Wrote (18 bytes written)',
    'C: Got a response: 220 Authenticated',
    'Authenticated',
    `Executing command ${line}`,
    `C: Sending command ${line}`,
    'C: Wrote (67 bytes written)',
    `C: Server sent OK for command ${line}`,
    `Flow ${local} subscription created successfully`,
    /^Server responded: emiliano\.ar-time\.flows\.unix\.ar SUBSCRIBED TO [a-z2-7]{26}\.time\.flows\.unix\.ar$/,
    /^emiliano\.ar-time\.flows\.unix\.ar SUBSCRIBED TO [a-z2-7]{26}\.time\.flows\.unix\.ar$/,
    'Quitting',
    'C: Sending command QUIT',
    'C: Wrote (6 bytes written)',
    'Connection closed',
  ]
  t.equal(inOrder(ran.both, expected), null, 'the lines of the thesis, in its order')
  const endpoint = /SUBSCRIBED TO (\S+)/.exec(ran.both)?.[1] as string

  await t.test('an event of the source arrives in the local flow', async t => {
    const reader = startFnua(
      t,
      [...at(emiliano), '--agent', 'fnaa-emiliano', 'read', local, '--from', 'earliest', '--max', '1', '--follow'],
      { cwd, input: '' },
    )
    const wrote = await fnua([...at(unix), 'write', 'time.flows.unix.ar'], { cwd, input: 'tick' })
    t.match(wrote, { code: 0, stderr: 'wrote 1 event\n' })
    const read = await reader.done
    t.equal(read.code, 0)
    t.equal(JSON.parse(read.stdout).data, 'tick')
  })

  await t.test('T13: the subscribing agent found the other and proved its domain, without a password', async t => {
    const logins = net
      .log()
      .slice(before)
      .map(l => l['audit'] as Record<string, string> | undefined)
    t.ok(logins.some(a => a?.['what'] === 'login' && a['who'] === 'emiliano.ar' && a['level'] === 'dns'))
    t.notMatch(JSON.stringify(net.log()), /AHRlc3QAdGVzdA|"password"/, 'no credential in any log')
    t.same(
      await dig(emiliano, 'time.flows.unix.ar', 'SRV'),
      [`SRV 0 0 ${net.unix} fnaa.unix.ar`],
      'by the flow’s own name',
    )
  })

  await t.test('T14: endpoint, processor and names at the source', async t => {
    const owner = await telnet(t, net.unix)
    const id = endpoint.split('.')[0] as string
    await dialogue(t, owner, [
      [
        'GET SUBSCRIBERS time.flows.unix.ar',
        '220 DATA',
        new RegExp(`^subscriber=${id} who=test@emiliano\\.ar mode=fnap phase=ready `),
        '220 OK',
      ],
    ])
    t.same(await dig(unix, endpoint, 'PTR'), [`PTR _flow._tcp.${endpoint}`], 'publishEndpoints is on')
    t.match(await dig(unix, `_queue._flow._tcp.${endpoint}`, 'TXT'), [/broker-type=fnap/])
    const user = await telnet(t, net.emiliano)
    await dialogue(t, user, [
      [
        'GET PROCESSORS',
        '220 DATA',
        new RegExp(`^processor=${id} type=bridge phase=running sources=\\S+ sinks=${local.replaceAll('.', '\\.')}$`),
        '220 OK',
      ],
    ])
  })

  await t.test('the same again is the same subscription', async t => {
    const again = await fnua([...words.filter(w => w !== '-d')], { cwd })
    t.match(again, { code: 0, stdout: `${local} SUBSCRIBED TO ${endpoint}\n`, stderr: '' })
  })
})
