import t from 'tap'
import { STEPS as ALL } from '../../core/dist/resources/steps.js'
import type { Client } from './support/agents.js'
import { places } from './support/agents.js'
import { ProcessAgent } from './support/process.js'
import { Random, seedOf } from './support/random.js'

// Kill -9 at every step of CREATE FLOW, SUBSCRIBE, UNSUBSCRIBE, DELETE FLOW. After the restart nothing is half-made, nothing
// lost, and the command that the client repeats ends well. `npm run test:kill -- --kills N --seed S` runs more of them.
const KILLS = Number(process.env['FNAAD_KILLS'] ?? 60)
const SEED = seedOf()
// The embedded broker lets nobody in: those of ways in at a broker are in modes-kill.test.ts.
const STEPS = ALL.filter(
  step => !/^access|^namespace|queue-|-fed|cut-(access|feed|queue)|^subscriber\.(fed|marked)/.test(step),
)
const FLOW = 'time.flows.unix.test'
const LOCAL = 'copy.flows.unix.test'

/** The commands of one round, each with the answers that mean that its work is done. */
const ROUND = [
  { line: `CREATE FLOW ${FLOW} VISIBILITY public`, done: ['EXISTS'] },
  { line: `SUBSCRIBE ${FLOW} LOCAL ${LOCAL} FROM earliest`, done: [] },
  { line: `UNSUBSCRIBE ${LOCAL}`, done: [] },
  { line: `DELETE FLOW ${LOCAL}`, done: ['NOTFOUND'] },
  { line: `DELETE FLOW ${FLOW}`, done: ['NOTFOUND'] },
]

t.setTimeout(120_000 + KILLS * 10_000)
t.test(`${KILLS} kills at named steps, seed ${SEED}`, async t => {
  const random = new Random(SEED)
  const [where] = await places(t, ['unix.test'])
  // Each round leaves the tombstone of a subscription.
  const agent = await (await ProcessAgent.prepare(t, where!, { limits: { userSubscriptions: 100_000 } })).start()
  const passed = new Map<string, number>()
  let client = await agent.login()
  let kills = 0
  for (let round = 0; kills < KILLS && round < KILLS * 4; round++) {
    // Every step once, then at random.
    const step = round < STEPS.length ? STEPS[round]! : random.pick(STEPS)
    await agent.arm(`${step}:${1 + random.below(2)}`)
    const written: string[] = []
    for (const { line, done } of ROUND) {
      client = await untilDone(agent, client, line, done)
      if (line.startsWith('SUBSCRIBE')) client = await eventsPass(t, agent, client, written, round)
    }
    // The step may be one that comes after the answer.
    if (!(await agent.arm(''))) client = await restart(agent)
    if (deaths > kills) {
      kills = deaths
      passed.set(step, (passed.get(step) ?? 0) + 1)
      if (kills % 100 === 0) t.comment(`${kills} kills`)
    }
    await nothingLeft(t, client, step)
  }
  t.comment(`seed ${SEED}: ${kills} kills; by step: ${[...passed].map(([s, n]) => `${s} ${n}`).join(', ')}`)
  t.ok(kills >= KILLS, `${kills} kills happened`)
  client.connection.destroy()
})

let deaths = 0

/** Repeats a command, over restarts, until its work is done. */
async function untilDone(agent: ProcessAgent, from: Client, line: string, done: readonly string[]): Promise<Client> {
  let client = from
  for (let tries = 0; tries < 20; tries++) {
    try {
      const reply = await client.say(line)
      if (reply.kind !== 'error' || done.includes(reply.symbol ?? '')) return client
      if (!reply.temporary && reply.symbol !== 'BUSY')
        throw new Error(`${line}: ${reply.code} ${reply.symbol} ${reply.text}`)
      if (reply.code === 421) client = await restart(agent)
    } catch (e) {
      if (/: 4\d\d /.test((e as Error).message)) throw e
      client = await restart(agent)
    }
  }
  throw new Error(`${line}: not done after 20 tries; ${agent.log}`)
}

async function restart(agent: ProcessAgent): Promise<Client> {
  await agent.died()
  deaths++
  await agent.start()
  return agent.login()
}

/** What is acknowledged at the source arrives in the local flow, whatever dies. */
async function eventsPass(
  t: Tap.Test,
  agent: ProcessAgent,
  from: Client,
  written: string[],
  round: number,
): Promise<Client> {
  let client = from
  for (let tries = 0; tries < 10; tries++) {
    try {
      const event = `event ${round}.${tries}`
      const reply = await client.write(FLOW, event)
      if (reply.kind === 'error') throw new Error(`WRITE: ${reply.symbol}`)
      written.push(event)
      const seen = await client.follow(LOCAL, written.length, { from: { at: 'earliest' } })
      for (const e of written) if (!seen.includes(e)) throw new Error(`lost ${e}`)
      return client
    } catch (e) {
      if ((e as Error).message.startsWith('lost')) throw e
      client = await restart(agent)
    }
  }
  t.fail('events do not pass')
  return client
}

async function nothingLeft(t: Tap.Test, client: Client, step: string): Promise<void> {
  for (const list of ['GET FLOWS', 'GET SUBSCRIPTIONS', 'GET PROCESSORS']) {
    const { lines } = await client.ok(list)
    if (lines.length > 0) t.fail(`${list} after a kill at ${step}: ${lines.join('; ')}`)
  }
}

declare namespace Tap {
  type Test = { fail(m: string): unknown }
}
