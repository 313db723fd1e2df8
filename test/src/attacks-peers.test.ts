import t from 'tap'
import { eventually, places, type Teardown, TestAgent } from './support/agents.js'
import { Stranger, type StrangerOptions } from './support/stranger.js'

/** More subscriptions than the queue has workers. */
const MANY = 24

/** A stranger, evil.test, whose flows our agent of emiliano.test subscribes to. */
async function meeting(t: Teardown, o: StrangerOptions): Promise<{ stranger: Stranger; b: TestAgent }> {
  const [we, wb] = await places(t, ['evil.test', 'emiliano.test'])
  const stranger = await Stranger.start(t, we!, o)
  const b = await new TestAgent(wb!).start()
  t.teardown(() => b.close())
  return { stranger, b }
}

t.test('a provider that never answers holds no worker: other work goes on', async t => {
  const { stranger, b } = await meeting(t, { answer: line => line.startsWith('SUBSCRIBE') })
  for (let i = 0; i < MANY; i++) {
    const client = await b.login(t)
    void client.say(`SUBSCRIBE f${i}.flows.evil.test LOCAL l${i}.flows.emiliano.test`).catch(() => undefined)
  }
  await stranger.until(() => stranger.visits.find(v => v.lines.some(l => l.startsWith('SUBSCRIBE'))), 'it was asked')
  await eventually(
    b,
    () => (b.kernel.resources.list('Subscription').length === MANY ? true : undefined),
    'all wishes are stored',
  )
  const client = await b.login(t)
  t.equal((await client.say('CREATE FLOW other.flows.emiliano.test')).kind, 'ok')
  t.ok(
    stranger.visits.every(v => !v.closed),
    'while all of them wait',
  )
})

t.test('a provider that calls every wish too old is not asked in a loop', async t => {
  let asked = 0
  const { b } = await meeting(t, {
    answer: (line, visit) => {
      const gen = /^SUBSCRIBE .* GEN (\d+)/.exec(line)?.[1]
      if (gen === undefined) return false
      asked++
      visit.say(`409 STALE ${gen}`)
      return true
    },
  })
  const client = await b.login(t)
  void client.say('SUBSCRIBE f.flows.evil.test LOCAL l.flows.emiliano.test').catch(() => undefined)
  const s = await eventually(
    b,
    () => b.kernel.resources.list('Subscription').find(s => s.status.error?.startsWith('REMOTE')),
    'the error is shown',
  )
  t.equal(s.spec.wish, 2, 'raised once')
  t.equal(asked, 2, 'and asked again once before it waits')
})
