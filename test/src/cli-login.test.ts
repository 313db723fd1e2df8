import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { folder, single, type TestAgent } from './support/agents.js'
import { configFor, fnua } from './support/fnua.js'

/** Who logs in and how: stored passwords, TLS and its mechanisms, and readers without a name. */
let agent: TestAgent
let directory: string
t.before(async () => {
  agent = await single(t)
  directory = await folder(t)
  await agent.addUser('alice', 'alice-has-a-password')
})

t.test('login tries the password, and keeps it for its owner alone', async t => {
  const home = await folder(t)
  const env = { XDG_CONFIG_HOME: join(home, 'xdg') }
  const file = join(home, 'xdg', 'fnua', 'config.yml')
  const at = ['--agent', `127.0.0.1:${agent.port}`, '--user', 'alice']
  const wrong = await fnua([...at, 'login', '--password-stdin'], { env, input: 'wrong\n' })
  const again = /\(401 AUTHFAILED\)\ntry: fnua --user alice --password-stdin --agent \S+ login\n$/
  t.match(wrong, { code: 4, stderr: again })
  await t.rejects(stat(file), 'nothing is kept of a password that is wrong')
  const right = await fnua([...at, 'login', '--password-stdin'], { env, input: 'alice-has-a-password\n' })
  t.match(right, { code: 0, stdout: 'alice@unix.test\n', stderr: `kept in ${file}: user, password, address\n` })
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.match(await readFile(file, 'utf8'), /username: alice\n/)
  t.match(
    await fnua(['whoami'], { env }),
    { code: 0, stdout: 'alice@unix.test\n', stderr: '' },
    'and used from then on',
  )
  t.match(
    await fnua(['login'], { env, input: '' }),
    { code: 2, stderr: /a password is needed/ },
    'no terminal to ask on',
  )
})

t.test('an agent that speaks TLS from the first byte is found out, and remembered', async t => {
  const a = await single(t, { change: c => ({ ...c, listen: ['tls://127.0.0.1:0', 'tcp://127.0.0.1:0'] }) })
  const home = await folder(t)
  const env = { XDG_CONFIG_HOME: home }
  const ca = join(a.where.ca, 'ca.crt')
  const named = ['--agent', `fnaa.unix.test:${a.agent.addresses[0]!.port}`]
  const at = [...named, '--nameserver', `127.0.0.1:${a.where.dnsPort}`, '--user', 'test']
  const first = await fnua([...at, '--ca', ca, 'login', '--password-stdin'], { env, input: 'test\n' })
  t.match(first, { code: 0, stdout: 'test@unix.test\n' })
  const { agents } = parse(await readFile(join(home, 'fnua', 'config.yml'), 'utf8')) as { agents: unknown[] }
  t.match(agents, [{ tls: 'implicit' }])
  const began = performance.now()
  t.match(await fnua(['-d', 'whoami'], { env }), { code: 0, stdout: /^test@unix\.test$/m })
  t.ok(performance.now() - began < 10_000)
  t.match(
    await fnua([...at, '--password-stdin', 'whoami'], { env: { XDG_CONFIG_HOME: await folder(t) }, input: 'test\n' }),
    { code: 7, stderr: /certificate/ },
    'a CA that nobody knows is not passed over',
  )
})

t.test('login keeps all that it takes to come back: name server, address, CA, TLS; each agent its own', async t => {
  const home = await folder(t)
  const env = { XDG_CONFIG_HOME: home }
  const file = join(home, 'fnua', 'config.yml')
  const secret = { env, input: 'alice-has-a-password' }
  const ca = join(agent.where.ca, 'ca.crt')
  const server = `127.0.0.1:${agent.where.dnsPort}`
  const byName = ['--agent', 'fnaa.unix.test', '--nameserver', server, '--ca', 'ca.crt', '--tls', '--user', 'alice']
  const named = await fnua([...byName, 'login', '--password-stdin'], { ...secret, cwd: agent.where.ca })
  t.match(named, { code: 0, stderr: `kept in ${file}: user, password, nameserver, ca, tls\n` })
  const { agents } = parse(await readFile(file, 'utf8')) as { agents: unknown[] }
  t.strictSame(agents, [
    {
      name: 'fnaa.unix.test',
      fqdn: 'fnaa.unix.test',
      nameserver: server,
      ca,
      tls: 'required',
      username: 'alice',
      password: 'alice-has-a-password',
    },
  ])
  t.equal((await stat(file)).mode & 0o777, 0o600)
  const back = await fnua(['-d', 'whoami'], { env })
  t.match(back, { code: 0, stdout: 'alice@unix.test\n', stderr: /certificate of fnaa\.unix\.test verified/ })
  // Two agents at one address, each at a port of its own, are two entries.
  const other = await single(t)
  const [one, two] = [agent, other].map(a => `127.0.0.1:${a.port}`) as [string, string]
  t.match(await fnua(['--agent', one, '--user', 'alice', 'login', '--password-stdin'], secret), { code: 0 })
  t.match(await fnua(['--agent', two, '--user', 'test', 'login', '--password-stdin'], { env, input: 'test' }), {
    code: 0,
  })
  t.match(await fnua(['--agent', one, 'whoami'], { env }), { code: 0, stdout: 'alice@unix.test\n' })
  t.match(await fnua(['--agent', two, 'whoami'], { env }), { code: 0, stdout: 'test@unix.test\n' })
  t.match(await fnua(['whoami'], { env }), { code: 2, stderr: /there are several agents .*\ntry: .*--agent/ })
})

t.test('a config without a password takes the one that login kept', async t => {
  const home = await folder(t)
  const env = { XDG_CONFIG_HOME: home }
  const project = await configFor(home, { port: agent.port, domain: 'unix.test' })
  const text = (await readFile(project, 'utf8'))
    .replace('username: test', 'username: alice')
    .replace(/ +password: test\n/, '')
  const { writeFile, mkdir } = await import('node:fs/promises')
  await mkdir(join(home, 'project'))
  await writeFile(join(home, 'project', '.flow.yml'), text)
  const cwd = join(home, 'project')
  t.match(await fnua(['login', '--password-stdin'], { env, cwd, input: 'alice-has-a-password' }), { code: 0 })
  t.equal(await readFile(join(cwd, '.flow.yml'), 'utf8'), text, 'a project’s file is not written to')
  t.match(await fnua(['whoami'], { env, cwd }), { code: 0, stdout: 'alice@unix.test\n', stderr: '' })
})

t.test('TLS: the certificate is checked, and SCRAM is bound to the channel', async t => {
  const config = await configFor(directory, { port: agent.port, domain: 'unix.test' })
  const ca = join(agent.where.ca, 'ca.crt')
  const bound = await fnua(['--config', config, '--tls', '--ca', ca, '-d', 'whoami'])
  t.match(bound, { code: 0, stdout: 'test@unix.test\n', stderr: /C: Sending command STARTTLS\n/ })
  t.match(bound.stderr, /TLS TLSv1\.3, certificate of fnaa\.unix\.test verified\n/)
  t.match(bound.stderr, /Authenticating with SCRAM-SHA-256-PLUS mechanism\n/)
  t.match(bound.stderr, /C: Sending command AUTHENTICATE SCRAM-SHA-256-PLUS \*\*\*\n/, 'masked')
  const unknown = await fnua(['--config', config, '--tls', 'whoami'])
  t.match(unknown, {
    code: 7,
    stdout: '',
    stderr: /^error: agent does not prove to be fnaa\.unix\.test: .*\ntry: .*--ca/,
  })
  const insecure = await fnua(['--config', config, '--tls', '--insecure', 'whoami'])
  t.match(insecure, { code: 0, stderr: /^warning: --insecure/ })
  const entry = await configFor(
    directory,
    { port: agent.port, domain: 'other.test' },
    `    tls: required\n    ca: ${ca}\n`,
  )
  t.match(
    await fnua(['--config', entry, 'whoami']),
    { code: 7, stderr: /does not prove to be fnaa\.other\.test/ },
    'another name',
  )
})

t.test('without a user: whoever owns the flow is found by DNS, and lets readers of public flows in', async t => {
  const owner = await agent.login(t)
  await owner.ok('CREATE FLOW open.flows.unix.test VISIBILITY public')
  await owner.ok('CREATE FLOW shut.flows.unix.test')
  await owner.write('open.flows.unix.test', 'hello')
  const server = `127.0.0.1:${agent.where.dnsPort}`
  const read = await fnua(['--nameserver', server, '-d', 'read', 'open.flows.unix.test'])
  t.equal(read.code, 0)
  t.equal(JSON.parse(read.stdout).data, 'hello')
  t.match(read.stderr, /Resolving TXT for _fnap\.flows\.unix\.test\. using server/)
  t.match(read.stderr, /Authenticating with ANONYMOUS mechanism/)
  t.match(await fnua(['--nameserver', server, 'read', 'shut.flows.unix.test']), { code: 5 })
  t.match(
    await fnua(['--nameserver', server, 'write', 'open.flows.unix.test'], { input: 'x' }),
    { code: 4 },
    'never a write',
  )
})

t.test('the environment', async t => {
  const config = await configFor(directory, { port: agent.port, domain: 'unix.test' })
  const env = { FNUA_CONFIG: config, FNUA_OUTPUT: 'json', FNUA_USER: 'alice', FNUA_PASSWORD: 'alice-has-a-password' }
  t.same(JSON.parse((await fnua(['whoami'], { env })).stdout), { whoami: 'alice@unix.test' })
  t.match(await fnua(['whoami', '-o', 'table'], { env }), { stdout: 'alice@unix.test\n' }, 'an option goes before it')
})
