import t from 'tap'
import { Internet, unavailable as skip } from './support/internet.js'

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
})
