import type { AuthService } from '@fnaa/core'
import t from 'tap'
import { folder, single, type TestAgent } from './support/agents.js'
import { configFor, fnua, type Ran, startFnua } from './support/fnua.js'

/** Who may what, as fnua tells it: what is left of a right, and what a reader is told who loses it. */
let agent: TestAgent
let config: string
t.before(async () => {
  agent = await single(t)
  config = await configFor(await folder(t), { port: agent.port, domain: 'unix.test' })
  await agent.addUser('eve', 'eve-has-a-password')
  await run('create', 'flow', 'x.flows.unix.test')
})
const run = (...args: string[]): Promise<Ran> => fnua(['--config', config, ...args])
const FLOW = ['on', 'flow', 'x.flows.unix.test']
const NOBODY =
  'no subscriber is cut off by it; sessions and logins at the broker that nothing gives any more have ended\n'
const NAMESPACE = ['on', 'namespace', 'flows.unix.test']

t.test('REVOKE says what still gives the right, and how to end that', async t => {
  await run('grant', 'read', ...FLOW, 'to', 'eve@unix.test')
  t.match(await run('revoke', 'read', ...FLOW, 'from', 'eve@unix.test'), { code: 0, stderr: NOBODY }, 'nothing is left')
  await run('grant', 'read,subscribe', ...FLOW, 'to', 'eve@unix.test')
  const half = await run('revoke', 'subscribe', ...FLOW, 'from', 'eve@unix.test')
  t.equal(half.stderr, `${NOBODY}eve@unix.test keeps read by the same grant\n`)
  await run('grant', 'read', ...FLOW, 'to', 'eve@unix.test')
  await run('grant', 'read,subscribe', ...FLOW, 'to', '*@unix.test')
  await run('grant', 'manage', ...NAMESPACE, 'to', 'eve@unix.test')
  const ran = await run('revoke', 'read', ...FLOW, 'from', 'eve@unix.test')
  t.match(ran, { code: 0, stdout: /^grant\/\S+ revoked\n$/ })
  t.match(
    ran.stderr,
    /\neve@unix\.test still may read, by the grant of read,subscribe to \*@unix\.test on flow x\.flows\.unix\.test; to end it: fnua --config \S+ revoke read,subscribe on flow x\.flows\.unix\.test from \*@unix\.test\n/,
  )
  t.match(
    ran.stderr,
    /still may read, by the grant of manage to eve@unix\.test on namespace flows\.unix\.test; to end it/,
  )
  const some = await run('revoke', 'subscribe', ...FLOW, 'from', '*@unix.test')
  t.match(
    some.stderr,
    /^eve@unix\.test still may subscribe, by the grant of manage to eve@/m,
    'some of those who had it',
  )
  t.match(some.stderr, /test@unix\.test owns x\.flows\.unix\.test, and still may all/)
  t.match(await run('-q', 'revoke', 'read', ...FLOW, 'from', '*@unix.test'), { code: 0, stderr: '' })
})

t.test('REVOKE says that a flow is open to all, and that flows of a namespace have grants of their own', async t => {
  await run('update', 'flow', 'x.flows.unix.test', '--visibility', 'public')
  await run('grant', 'read', ...FLOW, 'to', 'eve@unix.test')
  t.match(
    (await run('revoke', 'read', ...FLOW, 'from', 'eve@unix.test')).stderr,
    /may read: the flow is public; to end it: fnua /,
  )
  await run('update', 'flow', 'x.flows.unix.test', '--visibility', 'private')
  t.match(
    (await run('revoke', 'manage', ...NAMESPACE, 'from', 'eve@unix.test')).stderr,
    /single flow of flows\.unix\.test still counts/,
  )
})

t.test('the grants of a flow are shown with those of its namespace', async t => {
  await run('grant', 'read', ...FLOW, 'to', 'eve@unix.test')
  await run('grant', 'write', ...NAMESPACE, 'to', 'bob@unix.test')
  const { stdout, stderr } = await run('get', 'grants', '--on', 'flow/x.flows.unix.test')
  t.match(
    stdout,
    /\n\S+ +flow:x\.flows\.unix\.test +eve@unix\.test +read\n\S+ +namespace:flows\.unix\.test +bob@unix\.test +write\n$/,
  )
  t.equal(stderr, 'owner test@unix.test and visibility private count beside grants\n')
  const json = JSON.parse((await run('get', 'grants', '--on', 'flow/x.flows.unix.test', '-o', 'json')).stdout)
  t.match(json, [{ on: 'flow:x.flows.unix.test' }, { on: 'namespace:flows.unix.test' }])
  const page = await run('get', 'grants', '--on', 'flow/x.flows.unix.test', '--max', '5')
  t.notMatch(page.stdout, /namespace:/, 'a page is of one list')
  await run('grant', 'manage', ...FLOW, 'to', 'eve@unix.test')
  const eve = await fnua(['--config', config, '--user', 'eve', 'get', 'grants', '--on', 'flow/x.flows.unix.test'], {
    env: { FNUA_PASSWORD: 'eve-has-a-password' },
  })
  t.match(eve, {
    code: 0,
    stderr: /grants on the namespace flows\.unix\.test count here too; they are not shown to you/,
  })
})

t.test('a reader who is cut is told why, as far as it can be known', async t => {
  const env = { FNUA_PASSWORD: 'eve-has-a-password' }
  const following = async () => {
    await run('grant', 'read', ...FLOW, 'to', 'eve@unix.test')
    const words = ['--config', config, '--user', 'eve', 'read', 'x.flows.unix.test', '--follow', '--from', 'earliest']
    const reader = startFnua(t, words, { input: '', env })
    await reader.until(/"data"/)
    return reader
  }
  await fnua(['--config', config, 'write', 'x.flows.unix.test'], { input: 'one\n' })
  const hidden = await following()
  await run('revoke', 'manage,read', ...FLOW, 'from', 'eve@unix.test')
  const told =
    /^error: reading x\.flows\.unix\.test was ended by its agent: you may no longer read it, or it is gone \(404 NOTFOUND\)\ntry: fnua --config \S+ --user eve describe flow x\.flows\.unix\.test, or fnua .* get grants\n$/
  t.match(await hidden.done, { code: 5, stderr: told })
  await run('grant', 'describe', ...FLOW, 'to', 'eve@unix.test')
  const known = await following()
  await run('revoke', 'read', ...FLOW, 'from', 'eve@unix.test')
  t.match(await known.done, { code: 4, stderr: /you may no longer read it.* \(403 DENIED\)/ })
  const cut = await following()
  agent.kernel.sessions.cut(s => s.identity?.principal === 'eve@unix.test')
  t.match(await cut.done, {
    code: 7,
    stderr: /broke off: the agent closed the connection; it would let you read again\ntry: /,
  })
  const account = await following()
  const sasl = agent.kernel.loaded.find(l => l.plugin.id === 'auth-sasl')!.service as AuthService
  await sasl.admin.find(c => c.name === 'user disable')!.run(['eve'], {}, { signal: AbortSignal.timeout(10_000) })
  t.match(await account.done, {
    code: 4,
    stderr: /you can no longer log in \(401 AUTHFAILED\)\ntry: fnua --config \S+ --user eve login\n$/,
  })
})

t.test('REVOKE does not say of who is barred that the flow is open', async t => {
  const flow = 'barred.flows.unix.test'
  const on = ['on', 'flow', flow]
  await agent.addUser('ann', 'a long password')
  await run('create', 'flow', flow, '--visibility', 'public')
  await run('grant', 'manage', ...NAMESPACE, 'to', 'ann@unix.test')
  const ann = await agent.login(t, 'ann', 'a long password')
  await ann.ok('CREATE FLOW hers.flows.unix.test')
  await run('revoke', 'manage', ...NAMESPACE, 'from', 'ann@unix.test')
  await ann.ok(`SUBSCRIBE ${flow} LOCAL hers.flows.unix.test`)
  const removed = await run('remove', 'subscriber', flow, 'ann@unix.test', '-o', 'json')
  t.match(JSON.parse(removed.stdout), {
    kind: 'subscriber',
    state: 'removed',
    receipts: [{ who: 'ann@unix.test', flow, phase: 'revoked', cause: { reason: 'removed by the owner' } }],
  })
  t.match(removed.stderr, /ann@unix\.test had come by visibility, and is barred from barred\.flows\.unix\.test until: /)
  await run('grant', 'read', ...on, 'to', 'ann@unix.test')
  const { stderr } = await run('revoke', 'read', ...on, 'from', 'ann@unix.test')
  t.match(stderr, /\nann@unix\.test was removed before, and is barred from barred\.flows\.unix\.test\n$/)
})

t.test('what is misspelt or missing is said, with what was typed', async t => {
  for (const [words, said] of [
    [['update', 'flow', 'x.flows.unix.test'], /^error: say what to change: .*--visibility/],
    [
      ['get', 'grants', '--on', 'flwo/x.flows.unix.test'],
      /flwo\/x\.flows\.unix\.test is neither flow\/NAME nor namespace\/NAME/,
    ],
    [['grant', 'raed', ...FLOW, 'to', 'eve@unix.test'], /; this is "raed"/],
  ] as const)
    t.match(await run(...words), { code: 2, stderr: said })
})
