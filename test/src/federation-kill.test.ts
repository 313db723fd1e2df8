import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { type Client, places, type Teardown } from './support/agents.js'
import { ProcessAgent } from './support/process.js'

const FLOW = 'time.flows.unix.test'
const LOCAL = 'time.flows.emiliano.test'
const SUBSCRIBE = `SUBSCRIBE ${FLOW} LOCAL ${LOCAL} FROM earliest`
const idOf = (line: string | undefined) => /[a-z2-7]{26}/.exec(line ?? '')![0]

async function two(t: Teardown): Promise<{ a: ProcessAgent; b: ProcessAgent; owner: Client }> {
  const [wa, wb] = await places(t, ['unix.test', 'emiliano.test'])
  const a = await (await ProcessAgent.prepare(t, wa!)).start()
  const b = await (await ProcessAgent.prepare(t, wb!)).start()
  const owner = await a.login()
  t.teardown(() => owner.connection.destroy())
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  return { a, b, owner }
}

/** The command again and again, over the restart of its agent. */
async function again(agent: ProcessAgent, line: string): Promise<{ client: Client; lines: readonly string[] }> {
  for (let tries = 0; ; tries++) {
    if (!agent.alive) await agent.start()
    const client = await agent.login()
    try {
      const reply = await client.ok(line)
      return { client, lines: reply.lines }
    } catch (e) {
      client.connection.destroy()
      if (tries > 20) throw e
      await pause(100)
    }
  }
}

for (const [name, step] of [
  ['F1 the subscriber is killed before it stores the reply', 'subscribe.agreed'],
  ['F1 and before it stores the credential', 'subscribe.secret-kept'],
  ['F17 killed between "processor started" and "status written"', 'subscribe.processor-started'],
] as const) {
  t.test(`${name}: the same endpoint, one processor, nothing left over`, async t => {
    const { b, owner } = await two(t)
    const first = await b.login()
    await b.arm(step)
    await t.rejects(first.say(SUBSCRIBE), 'it dies')
    await b.died()
    const { client, lines } = await again(b, SUBSCRIBE)
    t.teardown(() => client.connection.destroy())
    const subscribers = (await owner.ok(`GET SUBSCRIBERS ${FLOW}`)).lines
    t.equal(subscribers.length, 1, 'one at the provider')
    t.match(subscribers[0], new RegExp(`^subscriber=${idOf(lines[0])} `), 'the same id')
    t.equal((await client.ok('GET PROCESSORS')).lines.length, 1)
    t.equal((await client.ok('GET SUBSCRIPTIONS')).lines.length, 1)
    await owner.write(FLOW, 'once')
    t.same(await client.follow(LOCAL, 1, { from: { at: 'earliest' } }), ['once'])
  })
}

t.test('F2 the provider is killed while it provisions: the retry finishes it', async t => {
  const { a, b, owner } = await two(t)
  owner.connection.destroy()
  await a.arm('subscriber.positioned')
  const user = await b.login()
  t.teardown(() => user.connection.destroy())
  const subscribed = again(b, SUBSCRIBE)
  await a.died()
  await a.start()
  const { client } = await subscribed
  t.teardown(() => client.connection.destroy())
  const now = await a.login()
  t.teardown(() => now.connection.destroy())
  t.equal((await now.ok(`GET SUBSCRIBERS ${FLOW}`)).lines.length, 1)
  await now.write(FLOW, 'after all')
  t.same(await client.follow(LOCAL, 1, { from: { at: 'earliest' } }), ['after all'])
})

t.test('F9 the agent is killed, its host lives on, a new agent starts: one writer only', async t => {
  const { b, owner } = await two(t)
  const { client } = await again(b, SUBSCRIBE)
  await owner.write(FLOW, '1')
  await client.follow(LOCAL, 1, { from: { at: 'earliest' } })
  client.connection.destroy()
  const hosts = await b.children()
  t.ok(hosts.length >= 1)
  // Asleep it does not notice that its pipe has ended, whatever wakes it later.
  for (const pid of hosts) process.kill(pid, 'SIGSTOP')
  await b.kill()
  await owner.write(FLOW, '2', '3')
  await b.start()
  const now = await b.login()
  t.teardown(() => now.connection.destroy())
  t.same(await now.follow(LOCAL, 3, { from: { at: 'earliest' } }), ['1', '2', '3'])
  for (const pid of hosts) {
    try {
      process.kill(pid, 'SIGCONT')
    } catch {
      // It has gone already.
    }
  }
  await owner.write(FLOW, '4')
  await now.follow(LOCAL, 4, { from: { at: 'earliest' } })
  t.same(await now.read(LOCAL), ['1', '2', '3', '4'], 'the old host has written nothing')
  for (const pid of hosts) t.notOk(await lives(pid), 'and has gone')
})

async function lives(pid: number): Promise<boolean> {
  for (let i = 0; i < 100; i++) {
    try {
      process.kill(pid, 0)
    } catch {
      return false
    }
    await pause(50)
  }
  return true
}
