import { parseItem } from '@fnaa/protocol'
import t from 'tap'
import { type Client, eventually, folder, pair, single, type TestAgent } from './support/agents.js'
import { configFor, fnua } from './support/fnua.js'

const FLOW = 'time.flows.unix.test'
const LOCAL = 'time.flows.emiliano.test'
const REASON = 'moved: "220 OK", see ñandú'
const quoted = `"${REASON.replaceAll('"', '\\"')}"`
const earliest = { from: { at: 'earliest' } }

const phase = (b: TestAgent, wanted: string) =>
  eventually(b, () => b.kernel.resources.list('Subscription').find(s => s.status.phase === wanted), wanted)
const listed = async (user: Client) => parseItem((await user.ok('GET SUBSCRIPTIONS')).lines[0]!)

t.test('REMOVE … REASON reaches who is removed', async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  const user = await b.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)
  t.equal((await listed(user)).get('reason'), undefined)
  await owner.ok(`REMOVE SUBSCRIBER ${FLOW} emiliano.test REASON ${quoted}`)
  const s = await phase(b, 'revoked')
  t.match(
    await listed(user),
    new Map([
      ['phase', 'revoked'],
      ['reason', REASON],
    ]),
  )
  t.match(JSON.parse((await user.ok('GET SUBSCRIPTIONS FORMAT JSON')).lines[0]!), [{ reason: REASON }])
  t.match((await user.ok(`DESCRIBE SUBSCRIPTION ${s.name}`)).lines.join('\n'), /reason=moved/)
  const config = await configFor(await folder(t), { port: b.port, domain: 'emiliano.test' })
  t.match((await fnua(['--config', config, 'get', 'subscriptions', '-o', 'table'])).stdout, REASON)
})

t.test('DENY … REASON reaches who asked, and who asks again', async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  const user = await b.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY listed REQUESTS yes`)
  const { id } = await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)
  await owner.ok(`DENY ${id} REASON ${quoted}`)
  await phase(b, 'revoked')
  t.equal((await listed(user)).get('reason'), REASON)
  t.match(await user.say(`SUBSCRIBE ${FLOW} LOCAL other.flows.emiliano.test`), {
    symbol: 'DENIED',
    text: /ask again in 30 days reason=moved/,
  })
})

t.test('the same inside one agent, where a right ends', async t => {
  const a = await single(t)
  const owner = await a.login(t)
  await a.addUser('eve', 'eves password')
  const eve = await a.login(t, 'eve', 'eves password')
  await owner.ok(`CREATE FLOW ${FLOW}`)
  await owner.ok(`GRANT read,subscribe ON FLOW ${FLOW} TO eve@unix.test`)
  await eve.ok(`SUBSCRIBE ${FLOW} LOCAL one.eve.example`)
  await owner.ok(`REVOKE read,subscribe ON FLOW ${FLOW} FROM eve@unix.test`)
  await phase(a, 'revoked')
  t.equal((await listed(eve)).get('reason'), 'the grant was revoked')
})

t.test('a subscription at a domain that is blocked here fails at once, and goes on where it was', async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  const user = await b.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)
  await owner.write(FLOW, 'before')
  await user.follow(LOCAL, 1, earliest)
  await user.ok('UPDATE PEER unix.test BLOCKED yes')
  t.equal((await listed(user)).get('phase'), 'failed')
  t.match((await user.ok('GET SUBSCRIPTIONS FORMAT JSON')).lines[0], /DENIED the domain of the flow is blocked here/)
  await owner.write(FLOW, 'meanwhile')
  const another = await user.say(`SUBSCRIBE ${FLOW} LOCAL other.flows.emiliano.test`)
  t.match(another, { symbol: 'DENIED', text: /blocked here/ })
  await user.ok('UPDATE PEER unix.test BLOCKED no')
  await phase(b, 'active')
  t.same(await user.follow(LOCAL, 2, earliest), ['before', 'meanwhile'])
  await user.ok('UPDATE PEER unix.test BLOCKED yes')
  await user.ok(`UNSUBSCRIBE ${LOCAL}`)
  t.equal(b.kernel.resources.count('Subscription'), 0, 'it can be ended all the same')
})

t.test('a subscription that the provider cut off without a word is not active', async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  const user = await b.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL}`)
  await owner.ok('UPDATE PEER emiliano.test BLOCKED yes')
  await phase(b, 'starting')
  const [s] = b.kernel.resources.list('Subscription')
  b.kernel.subscriptions.markDue(s!.name)
  b.kernel.queue.add(`Subscription/${s!.name}`)
  await eventually(b, () => b.kernel.resources.list('Subscription')[0]?.status.error, 'it says why')
  t.equal((await listed(user)).get('phase'), 'starting')
  await owner.ok('UPDATE PEER emiliano.test BLOCKED no')
  b.kernel.subscriptions.markDue(s!.name)
  b.kernel.queue.add(`Subscription/${s!.name}`)
  await phase(b, 'revoked')
  t.equal((await listed(user)).get('reason'), 'the domain is blocked')
})

t.test('UNSUBSCRIBE says whether there was something to end', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW}`)
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL copy.flows.unix.test`)
  t.match(await user.say('UNSUBSCRIBE never.flows.unix.test'), { code: 220, text: '' })
  t.match(await user.say('UNSUBSCRIBE copy.flows.unix.test'), { code: 220, text: 'copy.flows.unix.test' })
  t.match(await user.say('UNSUBSCRIBE copy.flows.unix.test'), { code: 220, text: '' })
  const config = await configFor(await folder(t), { port: a.port, domain: 'unix.test' })
  const run = (...args: string[]) => fnua(['--config', config, 'unsubscribe', 'never.flows.unix.test', ...args])
  t.match(await run(), { code: 0, stdout: 'subscription/never.flows.unix.test nothing to end\n' })
  t.match(JSON.parse((await run('-o', 'json')).stdout), { state: 'nothing to end' })
})

t.test('a subscription whose flow nobody was asked for yet ends at once', async t => {
  const { b } = await pair(t)
  const user = await b.login(t)
  const other = await b.login(t)
  // The name server of both refuses to answer for it: perhaps it does later.
  const asked = user.say('SUBSCRIBE time.flows.nosuch.test LOCAL misspelt.flows.emiliano.test')
  const s = await eventually(
    b,
    () => b.kernel.resources.list('Subscription').find(x => x.status.error !== undefined),
    'an error',
  )
  t.match(s.status, { phase: 'resolving', error: /could not be resolved.*REFUSED/ })
  t.equal((await other.ok(`UNSUBSCRIBE ${s.name}`)).kind, 'ok')
  t.same(b.kernel.resources.list('Subscription'), [])
  t.match(await asked, { kind: 'error' }, 'who waits for it is told')
})
