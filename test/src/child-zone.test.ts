import { Bind } from '@fnaa/services'
import t from 'tap'
import { Internet, PORT, unavailable as skip } from './support/organisation.js'

const CHILD = 'team.flows.unix.test'
const FLOW = `time.${CHILD}`
const LOCAL = 'time.flows.emiliano.test'

async function until(look: () => Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 60_000; !(await look()); )
    if (Date.now() > end) throw new Error(`not in a minute: ${what}`)
}

t.test('figure 20: a namespace that an agent of its own serves, in a signed zone of its own', { skip }, async t => {
  const internet = await Internet.start(t)
  const a = await internet.found('unix.test', { zoneKey: true })
  const b = await internet.found('emiliano.test')
  const child = await internet.found(CHILD, { namespaces: [CHILD], undelegated: true })
  // Its own users name its name server, as long as nobody else knows it.
  await child.type('--nameserver', `${child.host.address}:53`, 'create', 'flow', FLOW, '--visibility', 'public')
  const ask = (...what: string[]) => {
    b.resolver.flush('unix.test')
    return b.resolver.dig('+adflag', ...what)
  }

  await t.test('before the delegation nobody finds it', async t => {
    t.match(ask('PTR', FLOW), /NXDOMAIN/)
    await t.rejects(b.type('describe', 'flow', FLOW))
  })

  await t.test('CREATE NAMESPACE delegates: NS, glue and DS are in the zone above, and the chain holds', async t => {
    await a.type(
      'create',
      'namespace',
      CHILD,
      '--agent-host',
      `fnaa.${CHILD}`,
      '--agent-nameserver',
      child.host.address,
    )
    const cut = a.bind.dig('+norecurse', 'NS', CHILD)
    t.match(cut, new RegExp(`${CHILD}\\.\\s+300\\s+IN\\s+NS\\s+ns\\.${CHILD}\\.`))
    t.match(cut, new RegExp(`ns\\.${CHILD}\\.\\s+300\\s+IN\\s+A\\s+${child.host.address}`))
    t.equal(
      a.bind.dig('+short', 'DS', CHILD).toLowerCase().replaceAll(' ', '').trim(),
      child.bind.ds(CHILD).toLowerCase().replaceAll(' ', ''),
    )
    const said = ask('PTR', FLOW)
    t.match(said, /flags: [a-z ]*\bad\b/)
    t.match(said, `_flow._tcp.${FLOW}.`)
    const shown = await a.type('describe', 'namespace', CHILD)
    t.match(shown, /agent\W+fnaa\.team/)
  })

  await t.test("a stranger subscribes to the child's flow by its name alone, at level dnssec", async t => {
    await b.type('subscribe', FLOW, '--local', LOCAL)
    await child.write(FLOW, 'one', 'two')
    await b.follow(t, LOCAL).until(/one[\s\S]*two/)
    t.match(await b.type('describe', 'peer', CHILD), /dnssec/)
    t.match(await child.type('describe', 'peer', 'emiliano.test'), /dnssec/)
  })

  await t.test('the agent of the parent says where its flows are, and asks for its own users', async t => {
    for (const words of [
      ['create', 'flow', `other.${CHILD}`],
      ['read', FLOW],
      ['get', 'subscribers', FLOW],
    ])
      await t.rejects(a.type(...words), new RegExp(`fnaa\\.${CHILD}:${PORT}`), words.join(' '))
    t.match(await a.type('describe', 'flow', FLOW), FLOW)
    t.match(await a.type('get', 'flows', CHILD), FLOW)
  })

  await t.test('where its keys came from is said, as nothing proved it', async t => {
    t.match(
      await a.type('-o', 'json', 'describe', 'namespace', CHILD),
      new RegExp(`"unproved": ?"${child.host.address}"`),
    )
    t.match(a.agent.log, /compare the DS with the child's own/, 'and warned of')
  })

  await t.test('DELETE NAMESPACE takes all of it back', async t => {
    await a.type('delete', 'namespace', CHILD)
    for (const [type, name] of [
      ['NS', CHILD],
      ['DS', CHILD],
      ['A', `ns.${CHILD}`],
    ] as const)
      t.match(a.bind.dig('+norecurse', type, name), /status: NXDOMAIN/, `${type} ${name}`)
    const said = ask('PTR', FLOW)
    t.match(said, /status: NXDOMAIN/)
    t.match(said, /flags: [a-z ]*\bad\b/, 'and that it is not there is signed')
    await t.rejects(a.type('describe', 'namespace', CHILD), /NOTFOUND|no such/)
  })

  await t.test('killed at any step: after the restart all of it is there, or nothing', async t => {
    const create = [
      'create',
      'namespace',
      CHILD,
      '--agent-host',
      `fnaa.${CHILD}`,
      '--agent-nameserver',
      child.host.address,
    ]
    const owners = () => [CHILD, `ns.${CHILD}`].map(n => /status: (\w+)/.exec(a.bind.dig('+norecurse', 'TXT', n))?.[1])
    const there = ['NOERROR', 'NOERROR']
    for (const step of ['namespace.create.read', 'namespace.create.delegated', 'namespace.delete.undelegated']) {
      await a.agent.arm(`${step}:1`)
      const died = a.agent.died()
      await a.type(...create).catch(() => undefined)
      if (step.includes('delete')) await a.type('delete', 'namespace', CHILD).catch(() => undefined)
      await died
      await a.agent.start()
      const gone = async () => !(await a.type('get', 'namespaces')).includes(CHILD)
      if (step.includes('delete')) await until(gone, step)
      else {
        await until(async () => /nameservers/i.test(await a.type('describe', 'namespace', CHILD)), step)
        await until(async () => `${owners()}` === `${there}`, step)
        await a.type('delete', 'namespace', CHILD)
      }
      t.same(owners(), ['NXDOMAIN', 'NXDOMAIN'], step)
    }
  })
})

t.test('H12: that a child is signed no longer takes more than the word of whoever is on the way', { skip }, async t => {
  const internet = await Internet.start(t)
  const a = await internet.found('unix.test', { zoneKey: true })
  const host = await internet.network.host()
  const serve = (signed: boolean) =>
    Bind.start({
      zones: [{ name: CHILD, signed, records: [`fnaa A ${host.address}`] }],
      address: host.address,
      port: 53,
      within: host.within,
    })
  let child = await serve(true)
  t.teardown(() => child.stop())
  await a.type('create', 'namespace', CHILD, '--agent-host', `fnaa.${CHILD}`, '--agent-nameserver', host.address)
  const ds = a.bind.dig('+short', 'DS', CHILD)
  t.match(ds, / 13 2 /)
  await child.stop()
  child = await serve(false)
  await a.type('update', 'namespace', CHILD, '--title', 'hello')
  t.equal(a.bind.dig('+short', 'DS', CHILD), ds, 'a title is no reason to ask')
  await t.rejects(a.type('update', 'namespace', CHILD), /no longer signed/)
  t.equal(a.bind.dig('+short', 'DS', CHILD), ds)
  await a.type('delete', 'namespace', CHILD)
  await a.type('create', 'namespace', CHILD, '--agent-host', `fnaa.${CHILD}`, '--agent-nameserver', host.address)
  t.match(await a.type('-o', 'json', 'describe', 'namespace', CHILD), new RegExp(`"unproved": ?"${host.address}"`))
})
