import t from 'tap'
import { type Client, pair } from './support/agents.js'

// A local flow that SUBSCRIBE makes has as many shards as its source.
const FLOW = 'time.flows.unix.test'

const shards = async (user: Client, flow: string) =>
  (await user.ok(`DESCRIBE FLOW ${flow} FULL`)).lines.find(l => l.startsWith('shards='))

t.test('a local flow is made with the source’s shards, and each key keeps its order', async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  const user = await b.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} SHARDS 3 VISIBILITY public`)
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL time.flows.emiliano.test`)
  t.equal(await shards(user, 'time.flows.emiliano.test'), 'shards=3')
  const keys = Array.from({ length: 8 }, (_, i) => `k${i}`)
  for (let n = 0; n < 5; n++) {
    for (const key of keys) {
      const sink = await owner.connection.write(`WRITE FLOW ${FLOW} KEY ${key}`)
      await sink.send(`${key} ${n}`)
      await sink.end()
    }
  }
  const got = (await user.follow('time.flows.emiliano.test', 40, { from: { at: 'earliest' } })) as string[]
  for (const key of keys)
    t.same(
      got.filter(line => line.startsWith(`${key} `)),
      [0, 1, 2, 3, 4].map(n => `${key} ${n}`),
      key,
    )

  await t.test('an alias too; one that is there stays as it is', async t => {
    await user.ok(`SUBSCRIBE ${FLOW} LOCAL mine.example.com`)
    t.equal(await shards(user, 'mine.example.com'), 'shards=3')
    await user.ok('CREATE FLOW one.flows.emiliano.test')
    await user.ok(`SUBSCRIBE ${FLOW} LOCAL one.flows.emiliano.test`)
    t.equal(await shards(user, 'one.flows.emiliano.test'), 'shards=1')
  })

  await t.test('after UPDATE FLOW the next subscriber hears of it', async t => {
    await owner.ok(`UPDATE FLOW ${FLOW} SHARDS 5`)
    await user.ok(`SUBSCRIBE ${FLOW} LOCAL more.flows.emiliano.test`)
    t.equal(await shards(user, 'more.flows.emiliano.test'), 'shards=5')
  })
})
