import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Avahi, avahiUnavailable } from '@fnaa/services'
import t from 'tap'
import { folder } from './support/agents.js'
import { fnua } from './support/fnua.js'
import { Internet, PORT, unavailable } from './support/organisation.js'

// What is registered, by the tools of others: on a host that knows nothing of us.
const skip = unavailable || (avahiUnavailable() ?? false)
const NS = 'flows.unix.test'

t.test('a stranger looks what there is', { skip }, async t => {
  const internet = await Internet.start(t)
  const unix = await internet.found('unix.test')
  await unix.restart(text => text.replace('p1()', 'p1({ anonymous: true })'))
  const title = ['--title', 'What time it is']
  await unix.type('create', 'flow', `time.${NS}`, '--visibility', 'public', ...title)
  await unix.type('create', 'flow', `a.b--c.${NS}`, '--visibility', 'public')
  await unix.type('create', 'flow', `listed.${NS}`, '--visibility', 'listed')
  await unix.type('create', 'flow', `secret.${NS}`)
  const host = await internet.network.host()
  const resolver = await internet.resolver(host)

  await t.test('delv validates it by itself, from the top on', async t => {
    const said = resolver.delv('test', 'PTR', `time.${NS}`)
    t.match(said, /^; fully validated$/m)
    t.match(said, new RegExp(`\\sPTR\\s+_flow\\._tcp\\.time\\.${NS}\\.$`, 'm'))
    t.match(resolver.delv('test', 'SRV', `_flow._tcp.time.${NS}`), `${PORT} fnaa.unix.test.`)
    t.match(
      resolver.delv('test', 'PTR', `secret.${NS}`),
      /negative response, fully validated/,
      'that there is none, too',
    )
  })

  await t.test('avahi-browse finds the public flows, and where they are', async t => {
    const avahi = await Avahi.start(host)
    t.teardown(() => avahi.stop())
    t.match(avahi.browse('-a', '-d', NS), `;time;_flow._tcp;${NS}`, 'whatever services there are')
    const found = avahi
      .browse('-r', '-d', NS, '_flow._tcp')
      .split('\n')
      .filter(line => line.startsWith('='))
      .map(line => line.split(';'))
      .map(([, , , label, , , at, address, port, text]) => ({ label, at, address, port, text }))
    const at = { at: 'fnaa.unix.test', address: unix.host.address, port: String(PORT) }
    t.match(
      found.sort((x, y) => (x.label! < y.label! ? -1 : 1)),
      [
        { label: 'a--b----c', ...at, text: `"flow=a.b--c.${NS}"` },
        { label: 'time', ...at, text: `"flow=time.${NS}"` },
      ],
    )
    t.equal(found.length, 2, 'and no others')
  })

  await t.test('nsupdate: the operator looks and writes beside the agent, the agent may not everything', async t => {
    const update = (...lines: string[]) => unix.bind.update('unix.test', lines)
    t.doesNotThrow(() =>
      update(`prereq yxrrset _flow._tcp.time.${NS} SRV`, 'update add www.unix.test 300 A 10.53.0.99'),
    )
    t.match(unix.bind.dig('+short', 'A', 'www.unix.test'), '10.53.0.99')
    for (const line of [
      'update add 2026._fnapkey.unix.test 300 TXT "v=FNAP1"',
      'update add _fnap.unix.test 300 TXT "v=FNAP1; d=evil.test"',
      'update delete unix.test',
      'update add mine.flows.unix.test 300 A 10.53.0.99',
    ])
      t.throws(() => unix.bind.update('unix.test', [line], 'agent'), /REFUSED/, line)
    await unix.type('update', 'flow', `time.${NS}`, '--visibility', 'listed')
    t.equal(unix.bind.dig('+short', 'SRV', `time._flow._tcp.${NS}`), '', 'and the agent goes on')
    await unix.type('update', 'flow', `time.${NS}`, '--visibility', 'public')
  })

  await t.test('fnua of somebody without an account lists the catalogue of a namespace', async t => {
    const ca = join(await folder(t), 'ca.pem')
    await writeFile(ca, internet.ca)
    const ran = await fnua(['--ca', ca, 'get', 'flows', NS], { within: host.within })
    t.equal(ran.code, 0, ran.stderr)
    t.match(ran.stdout, `time.${NS}`)
    t.match(ran.stdout, `a.b--c.${NS}`)
    t.match(ran.stdout, `listed.${NS}`, 'anyone may find it')
    t.notMatch(ran.stdout, 'secret')
  })

  await t.test('and so does a user of another organisation', async t => {
    const emiliano = await internet.found('emiliano.test')
    const said = await emiliano.type('get', 'flows', NS)
    t.match(said, `time.${NS}`)
    t.match(await emiliano.type('describe', 'flow', `time.${NS}`, '--full'), 'What time it is')
    t.notMatch(said, 'secret')
  })
})
