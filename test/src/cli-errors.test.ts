import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { folder, freePort, single, type Teardown, type TestAgent } from './support/agents.js'
import { fakeAgent, letting } from './support/fake-agent.js'
import { configFor, fnua, type Ran, startFnua } from './support/fnua.js'
import { ROOT, shell } from './support/start.js'

/** One shape of errors, and an exit code for each kind. */
let agent: TestAgent
let config: string
let directory: string
t.before(async () => {
  agent = await single(t)
  directory = await folder(t)
  config = await configFor(directory, { port: agent.port, domain: 'unix.test' })
})
const run = (...args: string[]): Promise<Ran> => fnua(['--config', config, ...args])
const SHAPE = /^error: [^\n]+\n(?:try: [^\n]+\n)?$/

t.test('2: wrong usage, said without asking anyone', async t => {
  const lists: [string[], RegExp][] = [
    [['no-such-command'], /unknown command/],
    [['create'], /fnua create needs one of namespace, flow/],
    [['create', 'flow'], /<flow> is missing\ntry: fnua help create flow/],
    [
      ['create', 'flow', 'x.flows.unix.test', '--colour', 'red'],
      /unknown option '--colour'\ntry: fnua help create flow/,
    ],
    [['create', 'flow', 'x.flows.unix.test', '--shards', '0'], /--shards is a number from 1/],
    [['get', 'flows', '-o', 'xml'], /-o, --output/],
    [['completion', 'csh'], /completion is for bash, zsh, fish/],
    [['--config', '/nonexistent.yml', 'whoami'], /there is no such file/],
    [['--nameserver', 'dns.example', '--agent', 'fnaa.x.test', 'whoami'], /--nameserver takes an IP address/],
  ]
  for (const [args, message] of lists) {
    const ran = await run(...args)
    t.match(ran, { code: 2, stdout: '', stderr: message }, args.join(' '))
    t.match(ran.stderr, SHAPE, 'one shape')
  }
})

t.test('3: a conflict', async t => {
  await run('create', 'flow', 'x.flows.unix.test')
  t.match(await run('create', 'flow', 'x.flows.unix.test'), {
    code: 3,
    stdout: '',
    stderr: /^error: [^\n]+ \(409 EXISTS\)\ntry: fnua --config \S+ describe flow x\.flows\.unix\.test\n$/,
  })
  t.match(await run('delete', 'namespace', 'flows.unix.test'), {
    code: 3,
    stderr: /\(409 NOTEMPTY\)\ntry: fnua --config \S+ get flows/,
  })
})

t.test('4: who one is, and what one may', async t => {
  const wrong = await fnua(['--config', config, 'whoami'], { env: { FNUA_PASSWORD: 'wrong' } })
  t.match(wrong, { code: 4, stderr: /\(401 AUTHFAILED\)\ntry: fnua --config \S+ login\n$/ })
  await agent.addUser('eve', 'eve-has-a-password')
  const eve = await fnua(['--config', config, '--user', 'eve', 'delete', 'flow', 'x.flows.unix.test'], {
    env: { FNUA_PASSWORD: 'eve-has-a-password' },
  })
  t.match(eve, { code: 5, stderr: /\(404 NOTFOUND\)/ }, 'what may not be seen does not exist')
  await run('update', 'flow', 'x.flows.unix.test', '--visibility', 'listed')
  const denied = await fnua(['--config', config, '--user', 'eve', 'read', 'x.flows.unix.test'], {
    env: { FNUA_PASSWORD: 'eve-has-a-password' },
  })
  t.match(denied, { code: 4, stderr: /\(403 DENIED\)\ntry: fnua --config \S+ --user eve whoami\n$/ })
  t.match(await fnua(['--config', config, '--user', 'eve', 'whoami']), {
    code: 4,
    stderr: /there is no password for eve/,
  })
})

t.test('5: not found', async t => {
  t.match(await run('describe', 'flow', 'nothing.flows.unix.test'), {
    code: 5,
    stderr: /\(404 NOTFOUND\)\ntry: fnua --config \S+ get flows\n$/,
  })
  const nowhere =
    /lies in no namespace .* \(404 NOTFOUND\)\ntry: a name in flows\.unix\.test, or fnua --config \S+ create namespace other\.unix\.test\n$/
  t.match(await run('create', 'flow', 'a.other.unix.test'), { code: 5, stderr: nowhere })
  const local = ['subscribe', 'x.flows.unix.test', '--local', 'x.other.unix.test']
  t.match(await run(...local), { code: 5, stderr: nowhere }, 'LOCAL too')
  t.match(await run('remove', 'subscriber', 'x.flows.unix.test', 'nobody@unix.test'), {
    code: 5,
    stderr:
      /\(404 NOTFOUND\)\ntry: fnua --config \S+ get subscribers x\.flows\.unix\.test --all, or fnua --config \S+ get flows\n$/,
  })
  t.match(await run('unsubscribe', 'nothing.flows.unix.test'), { code: 0 }, 'UNSUBSCRIBE has ended what there is not')
})

t.test('6: later, perhaps', async t => {
  const busy = await fakeAgent(
    t,
    letting(() => '429 RATE 7 slow down'),
  )
  const file = await configFor(directory, { port: busy.port, domain: 'busy.test' })
  t.match(await fnua(['--config', file, 'whoami']), {
    code: 6,
    stderr: 'error: slow down (429 RATE)\ntry: again in 7 s\n',
  })
  const down = await fakeAgent(
    t,
    letting(() => '503 UNAVAILABLE no broker'),
  )
  const other = await configFor(directory, { port: down.port, domain: 'down.test' })
  t.match(await fnua(['--config', other, 'get', 'flows']), {
    code: 6,
    stderr: /^error: no broker \(503 UNAVAILABLE\)\ntry: the same command again/,
  })
})

t.test('7: nobody there, or nobody we know', async t => {
  const nobody = await configFor(directory, { port: await freePort(), domain: 'nobody.test' })
  t.match(await fnua(['--config', nobody, 'whoami']), {
    code: 7,
    stdout: '',
    stderr:
      /^error: agent cannot be reached: no agent is running there: nothing listens at 127\.0\.0\.1:\d+\ntry: start the agent/,
  })
  const web = await fakeAgent(t, () => null, 'HTTP/1.1 400 Bad Request')
  const file = await configFor(directory, { port: web.port, domain: 'web.test' })
  t.match(await fnua(['--config', file, 'whoami']), { code: 7, stderr: SHAPE })
  const silent = await configFor(directory, { port: await freePort(), domain: 'dns.test' })
  const dns = await fnua(['--config', silent, '--nameserver', `127.0.0.1:${await freePort()}`, 'whoami'])
  t.match(
    dns,
    { code: 7, stderr: /^error: fnaa\.dns\.test: the name server \S+ does not answer\ntry: .*--nameserver/ },
    'a named server goes before the address',
  )
})

t.test('7: what DNS says, each in its own words', async t => {
  const own = `127.0.0.1:${agent.where.dnsPort}`
  const at = (server: string, host: string) => fnua(['--nameserver', server, '--agent', host, 'whoami'])
  t.match(await at(own, 'fnaa.nowhere.test'), {
    code: 7,
    stderr:
      /^error: fnaa\.nowhere\.test: the name server \S+ refuses to answer for it \(REFUSED\)\ntry: .*--nameserver/,
  })
  t.match(await at(own, 'fnaa.nothing.unix.test'), {
    code: 7,
    stderr:
      /^error: fnaa\.nothing\.unix\.test does not exist in DNS \(NXDOMAIN, said by \S+\): .*\ntry: check the spelling/,
  })
  t.match(await at(await failing(t), 'fnaa.nowhere.test'), {
    code: 7,
    stderr: /^error: fnaa\.nowhere\.test: the name server \S+ could not find it out \(SERVFAIL\)\ntry: .* in a while/,
  })
})

/** A name server that says SERVFAIL to everything. @returns `host:port` */
async function failing(t: Teardown): Promise<string> {
  const socket = createSocket('udp4')
  socket.on('message', (query, from) => {
    const answer = Buffer.from(query)
    answer.writeUInt16BE(0x8182, 2)
    socket.send(answer, from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(() => socket.close())
  return `127.0.0.1:${socket.address().port}`
}

t.test('a flow of another organisation: subscribe first, by a command that works as it is typed', async t => {
  const file = await configFor(
    directory,
    { port: agent.port, domain: 'unix.test' },
    'namespaces:\n  - name: flows.unix.test\n    agent: agent\n',
  )
  const read = await fnua(['--config', file, 'read', 'time.flows.emiliano.test'], { cwd: ROOT })
  t.match(read, { code: 5, stderr: /^error: the flow is of another organisation, .*: subscribe first/ })
  const [, hint = ''] = /\ntry: subscribe first: (.*)\n$/.exec(read.stderr) ?? []
  t.equal(
    hint,
    `npx fnua --config ${file} subscribe time.flows.emiliano.test --local time.flows.unix.test`,
    'in a clone, with the options that were given',
  )
  await run('create', 'flow', 'twice.flows.unix.test')
  const twice = await fnua(['--config', file, 'create', 'flow', 'twice.flows.unix.test'], { cwd: ROOT })
  const typed = /\ntry: (.*)\n$/.exec(twice.stderr)?.[1] ?? 'false'
  t.match(await shell(typed), { code: 0, out: /flow=twice\.flows\.unix\.test/ }, typed)
})

t.test('130: Ctrl-C', async t => {
  const mute = await fakeAgent(t, () => undefined)
  const file = await configFor(directory, { port: mute.port, domain: 'mute.test' })
  const running = startFnua(t, ['--config', file, '-d', 'whoami'])
  await running.until(/Sending command AUTHENTICATE/, 'stderr')
  running.child.kill('SIGINT')
  t.match(await running.done, { code: 130, signal: null })
})

t.test('an agent that says it has moved is not followed, and nothing is logged in there', async t => {
  const evil = await fakeAgent(
    t,
    letting(() => '220 OK'),
  )
  const moved = await fakeAgent(
    t,
    letting(() => `421 MOVED localhost.evil.test:${evil.port}`),
  )
  const file = await configFor(directory, { port: moved.port, domain: 'moved.test' })
  t.match(await fnua(['--config', file, 'get', 'flows']), {
    code: 1,
    stderr: /does not log in where it is sent \(421 MOVED\)/,
  })
  t.same(evil.lines, [])
  const early = await fakeAgent(t, () => `421 MOVED localhost.evil.test:${evil.port}`)
  const other = await configFor(directory, { port: early.port, domain: 'early.test' })
  t.match(await fnua(['--config', other, 'get', 'flows']), { code: 1 })
  t.notMatch(early.lines.join('\n'), /AHRlc3QA/, 'nor was the password given away')
})

t.test('a password goes only where it was asked for as it should be', async t => {
  const downgrade = await fakeAgent(t, line =>
    line === 'CAPABILITIES' ? '220 DATA\r\nversion=FNAP/1\r\nstarttls=no\r\n220 OK' : '403 TLSREQUIRED use TLS',
  )
  const file = await configFor(directory, { port: downgrade.port, domain: 'downgrade.test' })
  t.match(await fnua(['--config', file, 'whoami']), { code: 4, stderr: /the agent takes no password here/ })
  t.notMatch(downgrade.lines.join('\n'), /AHRlc3QA/)
})

t.test('what an agent says cannot steer the terminal', async t => {
  const rude = await fakeAgent(
    t,
    letting(() => '404 NOTFOUND \x1b[2J\u202eevil'),
  )
  const file = await configFor(directory, { port: rude.port, domain: 'rude.test' })
  t.match(await fnua(['--config', file, 'get', 'flows']), {
    code: 5,
    stderr: /error: \\x1b\[2J\\u202eevil \(404 NOTFOUND\)/,
  })
})

t.test('config errors say file and line', async t => {
  const file = join(directory, 'bad.yml')
  await writeFile(file, 'agents:\n   name: fnaa-unix\n    fqdn: fnaa.unix.ar\n')
  t.match(await fnua(['--config', file, 'whoami']), { code: 2, stderr: /^error: config \S+bad\.yml:\d+:\d+: / })
})

t.test('a domain that has never been here may be blocked, and that is said', async t => {
  const ran = await run('update', 'peer', 'emilano.test', '--blocked', 'yes')
  t.match(ran, {
    code: 0,
    stdout: 'peer/emilano.test updated\n',
    stderr:
      /^emilano\.test has not been here yet, and has no subscriptions: this holds when it comes\. .* fnua --config \S+ get peers\n$/,
  })
})
