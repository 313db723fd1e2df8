import t from 'tap'
import { Internet, PORT, unavailable as skip } from './support/organisation.js'

t.test('two hosts with real names', { skip }, async t => {
  const internet = await Internet.start(t)
  const [a, b] = [await internet.found('unix.test'), await internet.found('emiliano.test')]
  const flow = 'time.flows.unix.test'
  const local = 'time.flows.emiliano.test'

  await t.test('a user of one subscribes to a flow of the other by its name alone, and events arrive', async t => {
    await a.type('create', 'flow', flow, '--visibility', 'public')
    await b.type('subscribe', flow, '--local', local)
    await a.write(flow, 'one', 'two')
    const reader = b.follow(t, local)
    await reader.until(/one[\s\S]*two/)
    t.match(await b.type('describe', 'peer', 'unix.test'), /dnssec/, 'each has seen a signed key of the other')
    t.match(await a.type('describe', 'peer', 'emiliano.test'), /dnssec/)
  })

  await t.test('the flow is found from the other host by referral from the top, signed', async t => {
    const said = b.resolver.dig('+adflag', 'PTR', flow)
    t.match(said, /flags: [a-z ]*\bad\b/)
    t.match(said, `_flow._tcp.${flow}.`)
    t.match(b.resolver.dig('+short', 'SRV', '_fnap._tcp.flows.unix.test'), `${PORT} fnaa.unix.test.`)
  })

  await t.test('the link is cut: it is said, and it goes on when the link is back', async t => {
    const reader = b.follow(t, local)
    b.host.cut()
    await a.write(flow, 'three')
    await b.until(/FNA_ERR_TIMEOUT|FNA_ERR_UNAVAILABLE/, 'get', 'subscriptions')
    t.notMatch(reader.stdout, /three/)
    await a.write(flow, 'four')
    b.host.heal()
    await reader.until(/one[\s\S]*two[\s\S]*three[\s\S]*four/)
    await b.until(new RegExp(`${local}.*active(?!.*FNA_ERR)`), 'get', 'subscriptions')
  })

  await t.test("packets that vanish for a moment are nobody's business", async t => {
    const reader = b.follow(t, local)
    await reader.until(/four/)
    a.host.cut()
    await a.write(flow, 'five')
    a.host.heal()
    await reader.until(/five/)
    t.notMatch(await b.type('get', 'subscriptions'), /FNA_ERR/)
  })

  await t.test('where private addresses are not allowed, a name that leads to one leads nowhere', async t => {
    await b.restart(text => text.replace('"allow":["10.53.0.0/24"]', '"allow":[]'))
    await t.rejects(b.type('describe', 'flow', flow), /address that may not be used/)
    await b.restart()
    t.match(await b.type('describe', 'flow', flow), flow)
  })
})
