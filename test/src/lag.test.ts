import { connect } from 'node:net'
import { type Call, type DriverHost, loadDriver } from '@fnaa/core'
import t from 'tap'
import { CONFIG, eventually, pair, single } from './support/agents.js'

/** How far behind a reader is: never a number that was right some seconds ago. */

t.test('the driver of fnap counts down what comes between two heartbeats', async t => {
  const agent = await single(t)
  const user = await agent.login(t)
  await user.ok('CREATE FLOW time.flows.unix.test')
  await user.write('time.flows.unix.test', 'one', 'two', 'three')
  const c: Call = { signal: AbortSignal.timeout(60_000) }
  const host = {
    foreign: false,
    log: agent.kernel.log,
    dial: async ({ port }: { port: number }) => connect(port, '127.0.0.1'),
  } as unknown as DriverHost
  const driver = await loadDriver('@fnaa/broker-fnap/driver', CONFIG)
  const endpoint = {
    type: 'fnap',
    servers: [`127.0.0.1:${agent.port}`],
    queue: 'time.flows.unix.test',
    tls: { servername: 'fnaa.unix.test', ca: agent.kernel.certificates!.ca! },
  }
  const credential = { mechanism: 'SCRAM-SHA-256', values: { user: 'test', password: 'test' } }
  const wire = await driver.open(endpoint, credential, host, c)
  t.teardown(() => wire.close())
  const start = { epoch: '', shards: {} }
  const source = await wire.source({ reader: 'lag', epoch: 1, from: { at: 'position', position: start } }, c)
  t.teardown(() => source.close())
  const lag = async () => (await source.lag(c)).shards['*']
  t.equal((await lag())?.behind, 3, 'the first heartbeat')
  let come = 0
  for await (const piece of source.read(c)) {
    come += 'count' in piece ? piece.count : 0
    if (come === 3) break
  }
  t.strictSame(await lag(), { behind: 0, behindMs: 0 }, 'all has come, whenever the next heartbeat is')
})

t.test('a subscription has no lag before it is measured, and none of a run that has ended', async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  await owner.ok('CREATE FLOW time.flows.unix.test VISIBILITY public')
  const user = await b.login(t)
  await user.ok('SUBSCRIBE time.flows.unix.test LOCAL time.flows.emiliano.test')
  const shown = async () => (await user.ok('GET SUBSCRIPTIONS')).lines[0] ?? ''
  t.match(await shown(), /phase=active lag-events=0 lag-ms=0 gaps=0/, 'an active one has been measured')
  const [s] = b.kernel.resources.list('Subscription')
  await user.ok(`STOP SUBSCRIPTION ${s!.name}`)
  await eventually(
    b,
    () => b.kernel.resources.get('Subscription', s!.name)?.status.phase === 'stopped' || undefined,
    'stopped',
  )
  t.notMatch(await shown(), /lag-/, 'nobody measures it any more')
})
