import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { folder, pair, type TestAgent } from './support/agents.js'
import { fnua, type Ran, startFnua } from './support/fnua.js'

/** Subscriptions across two organisations, with fnua on both sides. */
let a: TestAgent
let b: TestAgent
let config: string
t.before(async () => {
  const both = await pair(t)
  a = both.a
  b = both.b
  config = join(await folder(t), 'flow.yml')
  const entry = (name: string, agent: TestAgent) =>
    `  - { name: ${name}, fqdn: fnaa.${agent.where.domain}, address: '127.0.0.1:${agent.port}', username: test, password: test }\n`
  const namespaces = `namespaces:\n  - { name: ${a.namespace}, agent: a }\n  - { name: ${b.namespace}, agent: b }\n`
  await writeFile(config, `agents:\n${entry('a', a)}${entry('b', b)}${namespaces}`, { mode: 0o600 })
})
const run = (...args: string[]): Promise<Ran> => fnua(['--config', config, ...args])

t.test('the namespace of --local says which agent is the user’s own', async t => {
  t.match(await run('create', 'flow', 'open.flows.unix.test', '--visibility', 'public'), { code: 0 })
  const made = await run('subscribe', 'open.flows.unix.test', '--local', 'open.flows.emiliano.test')
  t.match(made, {
    code: 0,
    stdout: /^open\.flows\.emiliano\.test SUBSCRIBED TO [a-z2-7]{26}\.open\.flows\.unix\.test\n$/,
  })
  t.match(await run('subscribers', 'open.flows.unix.test'), {
    stdout: /^SUBSCRIBER .*\n[a-z2-7]{26} +test@emiliano\.test/,
  })
  t.match(await run('--agent', 'b', 'subscriptions'), {
    stdout: /open\.flows\.unix\.test +open\.flows\.emiliano\.test/,
  })
  const again = await run(
    'subscribe',
    'open.flows.unix.test',
    '--local',
    'open.flows.emiliano.test',
    '--from',
    'earliest',
  )
  t.match(again, { code: 3, stderr: /\(409 CONFLICT\)/ }, 'the same with other options')
})

t.test('--wait waits for the owner, who approves', async t => {
  await run('create', 'flow', 'asked.flows.unix.test', '--requests', 'yes')
  const words = ['--config', config, 'subscribe', 'asked.flows.unix.test', '--local', 'asked.flows.emiliano.test']
  const asking = startFnua(t, [...words, '--reason', 'for the "demo"', '--wait'], { input: '' })
  await asking.until(/ PENDING\n/)
  const id = asking.stdout.split(' ')[0] as string
  const requests = await run('--agent', 'a', 'get', 'requests')
  t.match(requests.stdout, new RegExp(`\n${id} +asked\\.flows\\.unix\\.test +test@emiliano\\.test .* for the "demo"`))
  t.match(await run('--agent', 'a', 'approve', id), { code: 0, stdout: `request/${id} approved\n` })
  const done = await asking.done
  t.match(done, { code: 0, stdout: new RegExp(`\nasked\\.flows\\.emiliano\\.test SUBSCRIBED TO ${id}\\.`) })
})

t.test('--wait ends with 4 when the owner says no', async t => {
  await run('create', 'flow', 'denied.flows.unix.test', '--requests', 'yes')
  const words = [
    '--config',
    config,
    'subscribe',
    'denied.flows.unix.test',
    '--local',
    'denied.flows.emiliano.test',
    '--wait',
  ]
  const asking = startFnua(t, words, { input: '' })
  await asking.until(/ PENDING\n/)
  const id = asking.stdout.split(' ')[0] as string
  t.match(await run('--agent', 'a', 'deny', id, '--reason', 'not now'), { code: 0, stdout: `request/${id} denied\n` })
  t.match(await asking.done, { code: 4, stderr: /\nerror: / })
})

/** A line for each who was cut off: what was cut, and when. */
const RECEIPT = String.raw`test@emiliano\.test is cut off from [a-z]+\.flows\.unix\.test \([a-z2-7]{26}\): sessions 20\S+Z, .*credential 20\S+Z\n`

t.test('a subscriber is limited and cut off', async t => {
  const [, id] = (await run('subscribers', 'open.flows.unix.test', '-o', 'name')).stdout.match(/^(\S+)\n/) as string[]
  t.match(await run('update', 'subscriber', 'open.flows.unix.test', id as string, '--limit', 'events=100'), { code: 0 })
  t.match(await run('remove', 'subscriber', 'open.flows.unix.test', id as string, '--reason', 'enough'), {
    code: 0,
    stdout: /removed\n$/,
    stderr: new RegExp(
      String.raw`^${RECEIPT}test@emiliano\.test had come by visibility: all of emiliano\.test are barred from open\.flows\.unix\.test until: fnua --config \S+ grant read,subscribe on flow open\.flows\.unix\.test to '\*@emiliano\.test'\n$`,
    ),
  })
  t.match(await run('--agent', 'b', 'describe', 'subscription', id as string), {
    stdout: /\nphase=(?:revoked|active|ending)/,
  })
})

t.test(
  'who is removed and still has a grant: what takes it away; a peer that has been here is no surprise',
  async t => {
    await run('create', 'flow', 'given.flows.unix.test')
    await run('grant', 'read,subscribe', 'on', 'flow', 'given.flows.unix.test', 'to', '*@emiliano.test')
    await run('subscribe', 'given.flows.unix.test', '--local', 'given.flows.emiliano.test')
    const ran = await run('remove', 'subscriber', 'given.flows.unix.test', 'emiliano.test')
    t.match(ran, {
      code: 0,
      stderr: new RegExp(
        String.raw`^${RECEIPT}test@emiliano\.test still may subscribe, by the grant of read,subscribe to \*@emiliano\.test on flow given\.flows\.unix\.test; to end it: fnua --config \S+ revoke `,
      ),
    })
    t.match(await run('--agent', 'a', 'update', 'peer', 'emiliano.test', '--blocked', 'no'), {
      code: 0,
      stderr: 'what was cut off stays so: they may subscribe again\n',
    })

    await t.test('revoke and block say who is cut off, and from what', async t => {
      const rights = ['read,subscribe', 'on', 'flow', 'given.flows.unix.test']
      const subscribed = () => run('subscribe', 'given.flows.unix.test', '--local', 'given.flows.emiliano.test')
      await subscribed()
      const revoked = await run('--agent', 'a', 'revoke', ...rights, 'from', '*@emiliano.test')
      t.match(revoked, { code: 0, stderr: new RegExp(`^${RECEIPT}$`) })
      await run('--agent', 'a', 'grant', ...rights, 'to', '*@emiliano.test')
      t.match(await subscribed(), { code: 0 })
      const blocked = await run('--agent', 'a', 'update', 'peer', 'emiliano.test', '--blocked', 'yes')
      t.match(blocked, { code: 0, stderr: new RegExp(`^(${RECEIPT}){2}$`) }, 'the one that was approved, too')
      t.match(await run('--agent', 'a', 'update', 'peer', 'emiliano.test', '--blocked', 'no'), {
        code: 0,
        stderr: 'what was cut off stays so: they may subscribe again\n',
      })
    })
  },
)

t.test(
  'a flow that becomes private, a namespace that is taken back, a flow that goes: who is cut off is said',
  async t => {
    const to = (flow: string) =>
      run('subscribe', `${flow}.flows.unix.test`, '--local', `${flow}.flows.emiliano.test`, '--mode', 'fnap')
    await run('create', 'flow', 'shown.flows.unix.test', '--visibility', 'public')
    t.match(await to('shown'), { code: 0 })
    const shut = await run('update', 'flow', 'shown.flows.unix.test', '--visibility', 'private')
    t.match(shut, { code: 0, stderr: new RegExp(`^${RECEIPT}$`) })
    const all = ['read,subscribe', 'on', 'namespace', 'flows.unix.test']
    await run('grant', ...all, 'to', '*@emiliano.test')
    t.match(await to('shown'), { code: 0 })
    const taken = await run('revoke', ...all, 'from', '*@emiliano.test')
    t.match(taken, { code: 0, stderr: new RegExp(`^${RECEIPT}what is granted on a single flow`) })
    await run('grant', ...all, 'to', '*@emiliano.test')
    t.match(await to('shown'), { code: 0 })
    t.match(await run('delete', 'flow', 'shown.flows.unix.test'), {
      code: 0,
      stderr: /^test@emiliano\.test is cut off, for the flow is gone \([a-z2-7]{26}\)\n$/,
    })
  },
)
