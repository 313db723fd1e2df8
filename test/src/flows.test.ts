import { setTimeout as pause } from 'node:timers/promises'
import type { BrokerService } from '@fnaa/core'
import t from 'tap'
import { single } from './support/agents.js'
import { DAY, TurnableClock } from './support/clock.js'
import { Raw } from './support/raw.js'

t.test('exists is not success: a queue that was there is never taken, TOPIC adopts it and keeps it', async t => {
  const a = await single(t)
  const owner = await a.login(t)
  const broker = a.kernel.brokers.default!.service as BrokerService
  const c = { signal: AbortSignal.timeout(20_000) }
  await broker.createQueue('there.flows.unix.test', {}, c)
  t.match(await owner.say('CREATE FLOW there.flows.unix.test'), { symbol: 'EXISTS' })
  t.same((await owner.ok('GET FLOWS')).lines, [], 'nothing half-made')
  await owner.ok('CREATE FLOW adopted.flows.unix.test TOPIC there.flows.unix.test')
  t.match((await owner.ok('DESCRIBE FLOW adopted.flows.unix.test')).lines[2], 'topic=there.flows.unix.test')
  await owner.write('adopted.flows.unix.test', 'kept')
  await owner.ok('DELETE FLOW adopted.flows.unix.test')
  t.ok(await broker.describeQueue('there.flows.unix.test', c), 'deleting the flow keeps the topic')
  t.match(await owner.say('CREATE FLOW none.flows.unix.test TOPIC nosuch'), { symbol: 'NOTFOUND' })
  await owner.ok('CREATE FLOW mine.flows.unix.test')
  t.match(await owner.say('CREATE FLOW mine.flows.unix.test'), { symbol: 'EXISTS' }, 'also with equal options')
  await owner.ok('DELETE FLOW mine.flows.unix.test')
  t.equal(await broker.describeQueue('mine.flows.unix.test', c), null)
  await owner.ok('CREATE FLOW kept.flows.unix.test ONDELETE retain')
  await owner.ok('DELETE FLOW kept.flows.unix.test')
  t.ok(await broker.describeQueue('kept.flows.unix.test', c), 'ONDELETE retain')
  await a.addUser('eve', 'eves password')
  const eve = await a.login(t, 'eve', 'eves password')
  await owner.ok('GRANT manage ON NAMESPACE flows.unix.test TO eve@unix.test')
  t.match(
    await eve.say('CREATE FLOW e.flows.unix.test TOPIC there.flows.unix.test'),
    { symbol: 'DENIED' },
    'TOPIC needs manage on the broker',
  )
})

t.test('READ: earliest, latest, a time, MAX, FOLLOW, a cursor', async t => {
  const a = await single(t)
  const owner = await a.login(t)
  await owner.ok('CREATE FLOW r.flows.unix.test')
  await owner.write('r.flows.unix.test', '1', '2')
  await pause(20)
  const between = new Date().toISOString()
  await pause(20)
  await owner.write('r.flows.unix.test', '3', '4')
  t.same(await owner.read('r.flows.unix.test'), ['1', '2', '3', '4'])
  t.same(await owner.read('r.flows.unix.test', { max: 3 }), ['1', '2', '3'])
  t.same(await owner.read('r.flows.unix.test', { from: { at: 'latest' } }), [])
  t.same(await owner.read('r.flows.unix.test', { from: { at: 'time', time: Date.parse(between) } }), ['3', '4'])
  const cursor = { from: { at: 'cursor', label: 'c' }, max: 1 }
  for (const n of ['1', '2', '3', '4']) t.same(await owner.read('r.flows.unix.test', cursor), [n])
  t.same(await owner.read('r.flows.unix.test', cursor), [])
  const other = await a.login(t)
  const following = other.follow('r.flows.unix.test', 2)
  while (!(await owner.ok('WHOAMI')) || a.kernel.sessions.size < 2 || ![...a.kernel.sessions].some(s => s.streaming))
    await pause(5)
  await owner.write('r.flows.unix.test', '5', '6')
  t.same(await following, ['5', '6'], 'FOLLOW begins at latest and ends after MAX')
  t.match(await owner.say('READ FLOW r.flows.unix.test FROM POSITION'), { code: 400 })
})

t.test('retention by time and by bytes; an update of it', async t => {
  const clock = new TurnableClock()
  const a = await single(t, { clock })
  const owner = await a.login(t)
  await owner.ok('CREATE FLOW old.flows.unix.test RETENTION 1d')
  await owner.write('old.flows.unix.test', 'yesterday')
  clock.turn(2 * DAY)
  const now = await a.login(t)
  await now.write('old.flows.unix.test', 'today')
  for (let i = 0; i < 200 && (await now.read('old.flows.unix.test')).length > 1; i++) {
    clock.turn(60_000)
    await pause(10)
  }
  t.same(await now.read('old.flows.unix.test'), ['today'])
  await now.ok('UPDATE FLOW old.flows.unix.test RETENTION 7d RETENTIONBYTES 1M SHARDS 2')
  t.match(
    (await now.ok('DESCRIBE FLOW old.flows.unix.test FULL')).lines.join(' '),
    /shards=2 retention=7d retention-bytes=1048576/,
  )
  t.match(await now.say('UPDATE FLOW old.flows.unix.test SHARDS 1'), { symbol: 'CONFLICT' })
})

t.test('namespaces: create, describe, quota, not empty, delete', async t => {
  const a = await single(t)
  const owner = await a.login(t)
  await owner.ok('CREATE NAMESPACE team.unix.test QUOTA flows=1 TITLE "The team"')
  t.match(
    (await owner.ok('DESCRIBE NAMESPACE team.unix.test')).lines.join(' '),
    /namespace=team.unix.test owner=test@unix.test broker=broker-embedded zone=unix.test .*flows=0 title=The%20team/,
  )
  await owner.ok('CREATE FLOW a.team.unix.test')
  t.match(await owner.say('CREATE FLOW b.team.unix.test'), { symbol: 'QUOTA' })
  t.match(await owner.say('DELETE NAMESPACE team.unix.test'), { symbol: 'NOTEMPTY' })
  await owner.ok('DELETE FLOW a.team.unix.test')
  await owner.ok('DELETE NAMESPACE team.unix.test')
  t.match(await owner.say('CREATE NAMESPACE team.elsewhere.test'), { code: 400 }, 'only in a domain of ours')
  t.same((await owner.ok('GET NAMESPACES')).lines, ['namespace=flows.unix.test'])
})

t.test("grants: rights, expiry by the clock, the caller's own, paging and JSON", async t => {
  const clock = new TurnableClock()
  const a = await single(t, { clock })
  await a.addUser('bob', 'bobs password')
  const owner = await a.login(t)
  const bob = await a.login(t, 'bob', 'bobs password')
  for (const n of ['a', 'b', 'c']) await owner.ok(`CREATE FLOW ${n}.flows.unix.test`)
  await owner.ok(
    `GRANT read ON FLOW a.flows.unix.test TO bob@unix.test EXPIRES ${new Date(clock.now() + DAY).toISOString()}`,
  )
  await owner.ok('GRANT describe ON FLOW b.flows.unix.test TO *@unix.test LIMIT bytes=1M,events=100')
  t.match((await bob.ok('GET GRANTS')).lines, [
    /on=flow:a.flows.unix.test to=bob@unix.test rights=read expires=|on=flow:b/,
    /on=flow:/,
  ])
  t.match(
    (await owner.ok('GET GRANTS ON FLOW b.flows.unix.test')).lines[0],
    /to=\*@unix.test rights=describe limit=bytes=1048576,events=100$/,
  )
  t.same((await bob.ok('GET FLOWS SHARED')).lines, ['flow=a.flows.unix.test', 'flow=b.flows.unix.test'])
  t.same((await owner.ok('GET FLOWS MAX 1 AFTER a.flows.unix.test')).lines, ['flow=b.flows.unix.test'])
  t.match(JSON.parse((await owner.ok('GET FLOWS FORMAT JSON')).lines[0]!), [
    { flow: 'a.flows.unix.test', visibility: 'private' },
    {},
    {},
  ])
  const reading = bob.follow('a.flows.unix.test', 1).catch(() => 'cut')
  while (![...a.kernel.sessions].some(s => s.streaming)) await pause(5)
  clock.turn(DAY + 1000)
  t.equal(await reading, 'cut', 'a stream ends with the grant that it stood on')
  const again = await a.login(t, 'bob', 'bobs password')
  t.match(await again.say('READ FLOW a.flows.unix.test'), { symbol: 'NOTFOUND' })
})

t.test('a limit holds: events a second', async t => {
  const a = await single(t)
  await a.addUser('bob', 'bobs password')
  const owner = await a.login(t)
  const bob = await a.login(t, 'bob', 'bobs password')
  await owner.ok('CREATE FLOW l.flows.unix.test')
  await owner.ok('GRANT read ON FLOW l.flows.unix.test TO bob@unix.test LIMIT events=10')
  for (let i = 0; i < 4; i++)
    await owner.write('l.flows.unix.test', ...Array.from({ length: 10 }, (_, j) => `${i}${j}`))
  const started = Date.now()
  t.equal((await bob.read('l.flows.unix.test')).length, 40)
  t.ok(Date.now() - started >= 1500, 'forty events at ten a second, a second of them at once')
})

t.test('a line of a megabyte is one event; a flood of empty lines is refused', async t => {
  const a = await single(t)
  const owner = await a.login(t)
  await owner.ok('CREATE FLOW long.flows.unix.test')
  await owner.write('long.flows.unix.test', 'x'.repeat(1_000_000))
  t.equal(((await owner.read('long.flows.unix.test'))[0] as string).length, 1_000_000)
  const r = await Raw.open(t, a.port)
  await r.login()
  await r.say('WRITE FLOW long.flows.unix.test')
  r.send(`${'\r\n'.repeat(140_000)}.\r\n`)
  t.match(await r.rest(), /^413 TOOLONG /)
})

t.test('a private alias is listed to its user; an administrator sees it in GET SUBSCRIPTIONS ALL', async t => {
  const a = await single(t)
  const admin = await a.login(t)
  await a.addUser('alice', 'alice-has-a-password')
  const alice = await a.login(t, 'alice', 'alice-has-a-password')
  await admin.ok('CREATE FLOW x.flows.unix.test VISIBILITY public')
  await alice.ok('SUBSCRIBE x.flows.unix.test LOCAL mine.x.elsewhere.test')
  const listed = async (who: typeof admin) => (await who.ok('GET FLOWS')).lines
  t.same(await listed(alice), ['flow=mine.x.elsewhere.test', 'flow=x.flows.unix.test'])
  t.same(await listed(admin), ['flow=x.flows.unix.test'])
  t.match(await admin.say('DESCRIBE FLOW mine.x.elsewhere.test'), { kind: 'error' }, 'nor is it shown')
  t.match((await admin.ok('GET SUBSCRIPTIONS ALL')).lines, [/ local=mine\.x\.elsewhere\.test /])
})
