import t from 'tap'
import { Internet, unavailable as skip } from './support/internet.js'

const soon = () => AbortSignal.timeout(60_000)

t.test('names in BIND, domains proved by DNSSEC', { skip }, async t => {
  const net = await Internet.start(t)
  const [a, b] = [await net.agent(t, 'a'), await net.agent(t, 'b')]
  const owner = await a.login(t)
  const user = await b.login(t)

  await t.test('a flow is found with dig, signed', async t => {
    await owner.ok('CREATE FLOW time.flows.unix.test VISIBILITY public')
    const said = net.resolver.dig('+adflag', 'PTR', 'time.flows.unix.test')
    t.match(said, /flags: [a-z ]*\bad\b/)
    t.match(said, /PTR\s+_flow\._tcp\.time\.flows\.unix\.test\./)
    t.match(net.a.dig('+short', 'SRV', '_flow._tcp.time.flows.unix.test'), `${net.port.a} fnaa.unix.test.`)
    t.match(
      net.a.dig('+short', 'PTR', '_flow._tcp.flows.unix.test'),
      'time._flow._tcp.flows.unix.test.',
      'listed for who browses',
    )
  })

  await t.test('another organisation subscribes to it by its name alone', async t => {
    await user.ok('SUBSCRIBE time.flows.unix.test LOCAL time.flows.emiliano.test')
    await owner.write('time.flows.unix.test', 'one', 'two')
    t.same(await user.follow('time.flows.emiliano.test', 2, { from: { at: 'earliest' } }), ['one', 'two'])
    t.match((await owner.ok('GET PEERS')).lines.join(), /emiliano\.test.*dnssec/)
  })

  await t.test('a name server that is down: said, waited for, nothing lost or left over', async t => {
    await net.a.kill()
    const create = 'CREATE FLOW late.flows.unix.test VISIBILITY listed'
    t.match(await owner.say(create), { code: 503, symbol: 'UNAVAILABLE', text: /names of late\.flows\.unix\.test/ })
    t.match((await owner.ok('DESCRIBE FLOW late.flows.unix.test FULL')).lines.join(' '), /NameServerUnavailable/)
    await net.a.start()
    const end = Date.now() + 20_000
    while (!/fnaa\.unix\.test/.test(net.a.dig('+short', 'SRV', 'late.flows.unix.test'))) {
      if (Date.now() > end) break
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    t.match(net.a.dig('+short', 'SRV', 'late.flows.unix.test'), 'fnaa.unix.test')
    await owner.ok('DELETE FLOW late.flows.unix.test')
    t.equal(net.a.dig('+short', 'SRV', 'late.flows.unix.test'), '')
  })

  await t.test('a name that somebody else has made is not overwritten, and no flow is left', async t => {
    net.a.update('unix.test', ['update add mine.flows.unix.test 300 TXT "by hand"'])
    t.match(await owner.say('CREATE FLOW mine.flows.unix.test VISIBILITY public'), {
      code: 409,
      symbol: 'EXISTS',
      text: /stands in DNS/,
    })
    t.match(net.a.dig('+short', 'TXT', 'mine.flows.unix.test'), '"by hand"')
    t.match(await owner.say('DESCRIBE FLOW mine.flows.unix.test'), { symbol: 'NOTFOUND' })
  })

  await t.test('H7: who may not read any more is cut off while the name server is down, too', async t => {
    const subscribers = async () => (await owner.ok('GET SUBSCRIBERS time.flows.unix.test ALL')).lines.join()
    t.match(await subscribers(), /phase=ready/)
    await net.a.kill()
    const reply = await owner.say('UPDATE FLOW time.flows.unix.test VISIBILITY private')
    t.match(reply, { code: 503, symbol: 'UNAVAILABLE' })
    t.match(await subscribers(), /phase=revoked/)
    await net.a.start()
    const end = Date.now() + 20_000
    while (!/NXDOMAIN/.test(net.a.dig('PTR', 'time.flows.unix.test')) && Date.now() < end)
      await new Promise(resolve => setTimeout(resolve, 100))
    t.match(net.a.dig('PTR', 'time.flows.unix.test'), /NXDOMAIN/, 'and its names go when it is back')
    await owner.ok('UPDATE FLOW time.flows.unix.test VISIBILITY public')
  })

  await t.test('a private flow is not in DNS, and going private takes it away', async t => {
    await owner.ok('CREATE FLOW secret.flows.unix.test')
    t.match(net.a.dig('SRV', 'secret.flows.unix.test'), /NXDOMAIN/)
    await owner.ok('UPDATE FLOW time.flows.unix.test VISIBILITY private')
    t.match(net.a.dig('PTR', 'time.flows.unix.test'), /NXDOMAIN/)
  })

  await t.test('going away leaves nothing behind', async t => {
    await owner.ok('DELETE FLOW time.flows.unix.test')
    t.equal(net.a.dig('+short', 'PTR', '_flow._tcp.flows.unix.test'), '')
  })

  await t.test('H13: made private and deleted while the name server is away: not listed afterwards', async t => {
    await owner.ok('CREATE FLOW secret-merger.flows.unix.test VISIBILITY public')
    t.match(net.a.dig('+short', 'PTR', '_flow._tcp.flows.unix.test'), 'secret-merger')
    net.a.suspend()
    t.match(await owner.say('UPDATE FLOW secret-merger.flows.unix.test VISIBILITY private'), { symbol: 'UNAVAILABLE' })
    const deleted = owner.say('DELETE FLOW secret-merger.flows.unix.test')
    const doomed = () => a.kernel.resources.get('Flow', 'secret-merger.flows.unix.test')?.deleting !== undefined
    await a.kernel.resources.until('Flow', 'secret-merger.flows.unix.test', () => doomed() || undefined, soon())
    net.a.resume()
    await deleted
    const gone = () => (a.kernel.resources.get('Flow', 'secret-merger.flows.unix.test') ? undefined : true)
    t.ok(await a.kernel.resources.until('Flow', 'secret-merger.flows.unix.test', gone, soon()))
    t.equal(net.a.dig('+short', 'PTR', '_flow._tcp.flows.unix.test'), '')
  })
})

t.test('H13: more public flows than a set of a name server holds', { skip }, async t => {
  const net = await Internet.start(t)
  const a = await net.agent(t, 'a')
  const users = await Promise.all(Array.from({ length: 8 }, () => a.login(t)))
  const [owner] = users as [(typeof users)[number]]
  const flow = (i: number) => `f${String(i).padStart(3, '0')}.flows.unix.test`
  const listed = () => net.a.dig('+short', '+tcp', 'PTR', '_flow._tcp.flows.unix.test').trim().split('\n').sort()
  const of = (i: number) => `f${String(i).padStart(3, '0')}._flow._tcp.flows.unix.test.`
  let next = 0
  await Promise.all(
    users.map(async user => {
      while (next < 102) await user.ok(`CREATE FLOW ${flow(next++)} VISIBILITY public`)
    }),
  )
  t.same(
    listed(),
    Array.from({ length: 100 }, (_, i) => of(i)),
    'the first hundred by name',
  )
  t.match(net.a.dig('+short', 'PTR', flow(101)), `_flow._tcp.${flow(101)}`, 'the others have their names all the same')
  t.match(net.a.dig('+short', 'SRV', of(101)), 'fnaa.unix.test')
  t.equal((await owner.ok('GET FLOWS flows.unix.test')).lines.length, 102, 'GET FLOWS is the whole catalogue')
  await owner.ok(`UPDATE FLOW ${flow(5)} VISIBILITY private`)
  t.notOk(listed().includes(of(5)), 'who becomes private leaves the list')
  t.ok(listed().includes(of(100)), 'and the next one comes in')
  await owner.ok(`DELETE FLOW ${flow(6)}`)
  t.notOk(listed().includes(of(6)))
  t.equal(listed().length, 100)
})
