import { randomBytes } from 'node:crypto'
import type { Reply } from '@fnaa/client'
import { mintId } from '@fnaa/protocol'
import t, { type Test as Tap } from 'tap'
import { eventually, pair, single, type TestAgent } from './support/agents.js'
import { DAY, TurnableClock } from './support/clock.js'

const FLOW = 'time.flows.unix.test'

/** One command of b's agent to a's. */
async function say(b: TestAgent, line: string): Promise<Reply> {
  const c = { signal: AbortSignal.timeout(20_000) }
  return b.kernel.peers.request(await b.kernel.peers.find(FLOW, c), line, c)
}
const id = () => mintId(randomBytes(16))
const subscribe = (b: TestAgent, flow = FLOW, i = id()) => say(b, `SUBSCRIBE ${flow} ID ${i} GEN 1 ACCEPT fnap`)
const unsubscribe = (b: TestAgent, i: string, flow = FLOW) => say(b, `UNSUBSCRIBE ${flow} ID ${i} GEN 2`)

async function churn(b: TestAgent, times: number, flow = FLOW): Promise<void> {
  for (let n = 0; n < times; n++) {
    const i = id()
    const reply = await subscribe(b, flow, i)
    if (reply.kind === 'error') throw new Error(`${n}: ${reply.code} ${reply.symbol} ${reply.text}`)
    await unsubscribe(b, i, flow)
  }
}

async function bounded(t: Tap, clock = new TurnableClock()) {
  const limits = { domainSubscriptions: 3 }
  const agents = await pair(t, { clock, change: c => ({ ...c, limits }) })
  const owner = await agents.a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  return { ...agents, owner, clock }
}

t.test(
  'H9 a domain that subscribes and unsubscribes in turn is stopped, and what it holds can still be ended',
  async t => {
    const { a, b, owner, clock } = await bounded(t)
    const kept = id()
    await subscribe(b, FLOW, kept)
    await churn(b, 3)
    t.match(await subscribe(b), { code: 429, symbol: 'QUOTA' })
    t.match(await subscribe(b, FLOW, kept), { kind: 'data' }, 'a repeat is no new one')
    t.same((await owner.ok(`GET SUBSCRIBERS ${FLOW}`)).lines.length, 1)
    const all = (await owner.ok(`GET SUBSCRIBERS ${FLOW} ALL`)).lines
    t.equal(all.filter(l => l.includes('phase=gone')).length, 3)
    t.match(await unsubscribe(b, kept), { code: 220 })
    t.equal(a.kernel.resources.count('Subscriber'), 4)
    await owner.ok('UPDATE PEER emiliano.test QUOTA subscriptions=5')
    await churn(b, 1)
    t.match(await subscribe(b), { code: 429, symbol: 'QUOTA' })
    clock.turn(61 * DAY)
    const none = () => (a.kernel.resources.count('Subscriber') === 0 ? true : undefined)
    t.ok(await eventually(a, none, 'tombstones are forgotten in their time'))
    t.match(await subscribe(b), { kind: 'data' })
  },
)

t.test('H9 requests that are asked and taken back in turn count too', async t => {
  const { a, b, owner } = await bounded(t)
  await owner.ok('CREATE FLOW asked.flows.unix.test REQUESTS yes')
  await churn(b, 3, 'asked.flows.unix.test')
  t.match(await subscribe(b, 'asked.flows.unix.test'), { code: 429, symbol: 'QUOTA' })
  t.equal(a.kernel.resources.count('Subscriber'), 3)
  t.equal(a.kernel.resources.count('Request'), 0)
})

t.test('H9 new subscriptions of a domain: so many at once, then one a second', async t => {
  const clock = new TurnableClock()
  const { a } = await bounded(t, clock)
  const { quotas } = a.kernel
  const ask = (peer: string) =>
    quotas.subscriber({ peer, for: peer, flow: FLOW }).then(
      () => 'yes',
      e => `${e.symbol}`,
    )
  const answers: string[] = []
  for (let i = 0; i < 220 && answers.at(-1) !== 'RATE'; i++) answers.push(await ask('evil.test'))
  t.ok(answers.length > 200 && answers.length < 215, `${answers.length - 1} at once`)
  t.equal(await ask('other.test'), 'yes', 'others are not slowed')
  clock.turn(1500)
  const more: string[] = []
  // The clock goes on meanwhile: one for each second of it.
  for (let i = 0; i < 20 && more.at(-1) !== 'RATE'; i++) more.push(await ask('evil.test'))
  t.match(more, ['yes', /^/], 'one more after a second')
  t.equal(more.at(-1), 'RATE', 'and then no more')
})

t.test('a user of our own has so many subscriptions, aliases and processors, and no more', async t => {
  const limits = { userSubscriptions: 2, userProcessors: 1 }
  const a = await single(t, { change: c => ({ ...c, limits }) })
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  for (const n of [1, 2]) await owner.ok(`CREATE FLOW f${n}.flows.unix.test`)
  await a.addUser('eve', 'eves password')
  const eve = await a.login(t, 'eve', 'eves password')
  const first = await eve.ok(`SUBSCRIBE ${FLOW} LOCAL one.eve.example`)
  await eve.ok(`SUBSCRIBE ${FLOW} LOCAL two.eve.example`)
  t.same((await eve.ok(`SUBSCRIBE ${FLOW} LOCAL one.eve.example`)).lines, first.lines, 'a repeat is no new one')
  const more = await eve.say(`SUBSCRIBE ${FLOW} LOCAL three.eve.example`)
  t.match(more, { code: 429, symbol: 'QUOTA', text: /you have 2 subscriptions.*UNSUBSCRIBE/ })
  for (const name of ['one', 'two']) await eve.ok(`UNSUBSCRIBE ${name}.eve.example`)
  t.match(await eve.say(`SUBSCRIBE ${FLOW} LOCAL one.eve.example`), { symbol: 'QUOTA', text: /ended/ }, 'churn')
  await owner.ok(`SUBSCRIBE ${FLOW} LOCAL theirs.example`)
  await owner.ok('REPLICATE f1.flows.unix.test f2.flows.unix.test')
  t.match(await owner.say(`REPLICATE ${FLOW} f1.flows.unix.test`), { symbol: 'QUOTA', text: /DELETE PROCESSOR/ })
})

t.test('SHARDS has a bound, which the error names', async t => {
  const a = await single(t)
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW}`)
  for (const line of ['CREATE FLOW wide.flows.unix.test SHARDS 999999999', `UPDATE FLOW ${FLOW} SHARDS 1001`])
    t.match(await owner.say(line), { code: 400, symbol: 'BADVALUE', text: /^SHARDS .*from 1 to 1000/ })
  await owner.ok('CREATE FLOW wide.flows.unix.test SHARDS 1000')
  await owner.write('wide.flows.unix.test', 'one')
  t.same(await owner.read('wide.flows.unix.test'), ['one'])
  await owner.ok(`SUBSCRIBE wide.flows.unix.test LOCAL copy.flows.unix.test FROM earliest`)
  t.same(await owner.follow('copy.flows.unix.test', 1, { from: { at: 'earliest' } }), ['one'])
})
