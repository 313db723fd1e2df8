import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { places } from './support/agents.js'
import { ProcessAgent } from './support/process.js'

// Kill -9 at every step of a copy's life and of ACCESS FLOW, at the owner: what is repeated ends well, nothing acknowledged is
// lost, and nothing is left over at the broker.
const FLOW = 'time.flows.unix.test'
const LOCAL = 'copy.flows.unix.test'
const STEPS = [
  'subscriber.queue-absent',
  'subscriber.queue-made',
  'subscriber.marked',
  'access.stored',
  'access.granted',
  'subscriber.issued',
  'subscriber.fed',
  'subscriber.ready',
  'subscriber.cut-sessions',
  'subscriber.cut-access',
  'subscriber.cut-feed',
  'subscriber.cut-queue',
  'access.ready',
  'access.cut',
]

t.setTimeout(600_000)
t.test('killed at each step', async t => {
  const [where] = await places(t, ['unix.test'])
  const agent = await ProcessAgent.prepare(t, where!)
  // Its config, with the broker that lets others in.
  const config = join(where!.data, 'fnaad.config.ts')
  const text = (await readFile(config, 'utf8')).replace('export default', 'const all =')
  const plugin = JSON.stringify(new URL('./support/letting-broker.js', import.meta.url).href)
  const own = `import letting from ${plugin}\nexport default { ...all, plugins: [...all.plugins, letting({})] }\n`
  await writeFile(config, text + own)
  await agent.start()
  let client = await agent.login()
  t.teardown(() => client.connection.destroy())

  let deaths = 0
  /** Again and again, over restarts, until it is done. */
  const done = async (line: string, also: readonly string[] = []): Promise<readonly string[]> => {
    for (let tries = 0; ; tries++) {
      try {
        if (!agent.alive) {
          deaths++
          await agent.start()
          client = await agent.login()
        }
        const reply = await client.say(line)
        if (reply.kind !== 'error' || also.includes(reply.symbol ?? '')) return reply.lines ?? []
        if (!reply.temporary && reply.symbol !== 'BUSY') throw new Error(`${line}: ${reply.symbol} ${reply.text}`)
      } catch (e) {
        if (
          tries > 20 ||
          !/clos|ended|ECONN|socket|destroyed|CLOSING|UNAVAILABLE|over/i.test(String((e as Error).message))
        )
          throw e
        await agent.died()
      }
    }
  }

  for (const step of STEPS) {
    await t.test(step, async t => {
      await done(`CREATE FLOW ${FLOW} BROKER broker-letting`, ['EXISTS'])
      const before = deaths
      await agent.arm(`${step}:1`)
      await done(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE copy FROM earliest`)
      let written = false
      while (!written)
        written = await client.write(FLOW, step).then(
          r => r.kind !== 'error',
          async () => {
            await done('NOOP')
            return false
          },
        )
      await done('NOOP')
      const seen = async (): Promise<unknown[]> => {
        for (;;) {
          try {
            return await client.follow(LOCAL, 1, { from: { at: 'earliest' } })
          } catch {
            await done('NOOP')
          }
        }
      }
      t.same(await seen(), [step], 'what was acknowledged comes')
      await done(`ACCESS FLOW ${FLOW} READ`)
      await done(`REMOVE ACCESS ${FLOW} read`, ['NOTFOUND'])
      await done(`UNSUBSCRIBE ${LOCAL}`)
      if (!(await agent.arm(''))) await agent.died()
      await done('NOOP')
      t.equal(deaths, before + 1, 'it was killed there')
      await done(`DELETE FLOW ${LOCAL}`, ['NOTFOUND'])
      await done(`DELETE FLOW ${FLOW}`, ['NOTFOUND'])
      for (const list of ['GET FLOWS', 'GET SUBSCRIPTIONS', 'GET PROCESSORS', 'GET ACCESS'])
        t.same(await done(list), [], list)
    })
  }
})
