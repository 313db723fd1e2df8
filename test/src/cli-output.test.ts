import t from 'tap'
import { folder, single, type TestAgent } from './support/agents.js'
import { configFor, fnua, type Ran, startFnua } from './support/fnua.js'

/** What goes to standard output, in each format; standard error stays empty unless something is worth a word. */
let agent: TestAgent
let config: string
t.before(async () => {
  agent = await single(t)
  config = await configFor(
    await folder(t),
    { port: agent.port, domain: 'unix.test' },
    'namespaces:\n  - { name: flows.unix.test, agent: agent }\n',
  )
})
const run = (...args: string[]): Promise<Ran> => fnua(['--config', config, ...args])

t.test('changes say what was done, in every format', async t => {
  t.match(await run('create', 'flow', 'a.flows.unix.test', '--visibility', 'public', '--title', 'The "A"'), {
    code: 0,
    stdout: 'flow/a.flows.unix.test created\n',
    stderr: '',
  })
  t.match(await run('-o', 'name', 'create', 'flow', 'b.flows.unix.test'), { stdout: 'b.flows.unix.test\n' })
  const json = await run('create', 'flow', 'c.flows.unix.test', '-o', 'json')
  t.same(JSON.parse(json.stdout), { kind: 'flow', name: 'c.flows.unix.test', state: 'created' })
  t.match(await run('delete', 'flow', 'c.flows.unix.test'), { stdout: 'flow/c.flows.unix.test deleted\n' })
  t.match(await run('grant', 'read', 'flow', 'a.flows.unix.test', '*@emiliano.test'), {
    stdout: /^grant\/\S+ granted\n$/,
  })
  t.match(await run('revoke', 'read', 'on', 'flow', 'a.flows.unix.test', 'from', '*@emiliano.test'), { code: 0 })
})

t.test('lists', async t => {
  t.match(await run('get', 'flows'), { code: 0, stdout: 'FLOW\na.flows.unix.test\nb.flows.unix.test\n', stderr: '' })
  t.match(await run('get', 'fl', 'flows.unix.test', '-o', 'name'), { stdout: 'a.flows.unix.test\nb.flows.unix.test\n' })
  t.match(await run('get', 'flows', '--max', '1', '--after', 'a.flows.unix.test', '-o', 'name'), {
    stdout: 'b.flows.unix.test\n',
  })
  const json = JSON.parse((await run('get', 'flows', '-o', 'json')).stdout) as Record<string, unknown>[]
  t.match(json, [
    { flow: 'a.flows.unix.test', visibility: 'public', about: { title: 'The "A"' } },
    { flow: 'b.flows.unix.test' },
  ])
  t.match((await run('get', 'flows', '-o', 'yaml')).stdout, /^- flow: a\.flows\.unix\.test\n/)
  t.match(await run('get', 'brokers'), { stdout: /^BROKER +TYPE +STATE\n/ })
  for (const noun of [
    'namespaces',
    'agents',
    'processors',
    'processor-types',
    'nameservers',
    'peers',
    'grants',
    'requests',
    'subscriptions',
    'access',
  ]) {
    t.match(await run('get', noun), { code: 0 }, noun)
  }
  t.match(await run('subscriptions'), { code: 0, stdout: '', stderr: 'no subscriptions\n' })
  t.match(await run('subscribers', 'a.flows.unix.test', '-q'), { code: 0, stdout: '', stderr: '' })
})

t.test('one thing', async t => {
  t.match(await run('describe', 'flow', 'flow://A.flows.unix.test.'), {
    stdout: /^flow=a\.flows\.unix\.test\ntype=fnap\ntopic=\S+\nserver=\S+\n$/,
    stderr: '',
  })
  t.match(
    (await run('describe', 'flow', 'a.flows.unix.test', '--full')).stdout,
    /\ntitle=The "A"\n/,
    'values are decoded',
  )
  t.match(JSON.parse((await run('describe', 'flow', 'a.flows.unix.test', '-o', 'json')).stdout), {
    flow: 'a.flows.unix.test',
    requests: false,
  })
  t.match(await run('describe', 'flow', 'a.flows.unix.test', '-o', 'name'), { stdout: 'a.flows.unix.test\n' })
  t.match(await run('describe', 'namespace', 'flows.unix.test'), { stdout: /^namespace=flows\.unix\.test\n/ })
  t.match(await run('describe', 'agent', 'flows.unix.test'), { stdout: /^agent=fnaa\.unix\.test\n/ })
  t.match(await run('describe', 'broker', 'broker-embedded'), { code: 0 })
  t.match(await run('describe', 'nameserver', 'dns-embedded'), { code: 0 })
})

t.test('words', async t => {
  t.match(await run('whoami'), { stdout: 'test@unix.test\n', stderr: '' })
  t.same(JSON.parse((await run('whoami', '-o', 'json')).stdout), { whoami: 'test@unix.test' })
  t.match(await run('noop'), { stdout: 'ok\n' })
  t.match(
    await fnua(['--agent', `127.0.0.1:${agent.port}`, 'capabilities']),
    { code: 0, stdout: /^version=FNAP\/1\n/ },
    'before login',
  )
  t.match(await run('agent-help', 'create', 'flow'), { stdout: /^CREATE FLOW flow / })
  t.match(await run('api', 'DESCRIBE FLOW a.flows.unix.test'), {
    code: 0,
    stdout: /^220 DATA\nflow=[\s\S]*\n220 OK\n$/,
  })
  t.match(await run('api', 'CREATE', 'FLOW', 'a.flows.unix.test'), {
    code: 3,
    stdout: /^409 EXISTS /,
    stderr: /^error: /,
  })
  t.match(await run('api', 'NOSUCH'), { code: 1, stdout: /^404 UNKNOWNCOMMAND / })
  t.match(await run('version'), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
  t.match(await run('--version'), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
})

t.test('help', async t => {
  t.match(await fnua([]), { code: 0, stdout: /^Usage: fnua /, stderr: '' })
  t.match(await fnua(['help']), { code: 0, stdout: /Topics of fnua help:/ })
  t.match(await fnua(['help', 'exit-codes']), { code: 0, stdout: / 130 {2}ended by Ctrl-C/ })
  t.match(await fnua(['help', 'grant']), {
    code: 0,
    stdout: /^Usage: fnua grant <rights> \[on\] <namespace\|flow> <name> \[to\] <who>/,
  })
  t.match(await fnua(['create', 'flow', '--help']), { code: 0, stdout: /--visibility <public\|listed\|private>/ })
  t.match(await fnua(['help', 'nothing']), { code: 2 })
  t.match(await fnua(['__complete', '--', 'create', 'f']), { code: 0, stdout: 'flow\n' })
})

t.test('--watch prints what changes, until Ctrl-C', async t => {
  const watch = startFnua(t, ['--config', config, 'watch', 'get', 'flows', '--interval', '0.1', '-o', 'json'])
  await watch.until(/"added".*b\.flows/)
  await run('create', 'flow', 'w.flows.unix.test')
  await watch.until(/\{"change":"added","item":\{"flow":"w\.flows\.unix\.test"/)
  await run('update', 'flow', 'w.flows.unix.test', '--visibility', 'public')
  await watch.until(/\{"change":"changed","item":\{"flow":"w\.flows\.unix\.test".*"public"/)
  await run('delete', 'flow', 'w.flows.unix.test')
  await watch.until(/\{"change":"removed","item":\{"flow":"w\.flows\.unix\.test"/)
  watch.child.kill('SIGINT')
  t.match(await watch.done, { code: 130, stderr: '' })
  const table = startFnua(t, ['--config', config, 'get', 'flows', '--watch', '--interval', '0.1'])
  await table.until(/^FLOW\na\.flows\.unix\.test\nb\.flows\.unix\.test\n/)
  await run('create', 'flow', 'x.flows.unix.test')
  await table.until(/\nx\.flows\.unix\.test\n/)
  table.child.kill('SIGINT')
  t.equal((await table.done).stdout, 'FLOW\na.flows.unix.test\nb.flows.unix.test\nx.flows.unix.test\n')
})

t.test('a subscription within one agent, and its steering', async t => {
  const made = await run(
    'subscribe',
    'a.flows.unix.test',
    '--local',
    'copy.flows.unix.test',
    '--from',
    'earliest',
    '-o',
    'json',
  )
  const { subscription, endpoint } = JSON.parse(made.stdout) as { subscription: string; endpoint: string }
  t.equal(endpoint, `${subscription}.a.flows.unix.test`)
  t.match(await run('get', 'subscriptions', '-o', 'name'), { stdout: `${subscription}\n` })
  t.match(await run('pause', 'flow', 'copy.flows.unix.test'), { code: 0, stdout: /paused\n$/ })
  t.match(await run('resume', 'subscription', subscription), {
    code: 0,
    stdout: `subscription/${subscription} resumed\n`,
  })
  t.match(await run('stop', 'subscription', subscription), { code: 0 })
  t.match(await run('unsubscribe', 'copy.flows.unix.test'), { code: 0, stdout: /ended\n$/ })
})
