import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import {
  AddressGuard,
  findAgent,
  findNamespace,
  makeDial,
  type Resolve,
  Resolver,
  type ResolverOptions,
  type ResolveStep,
} from '@fnaa/client'
import { bindUnavailable, type Unbound, unboundUnavailable } from '@fnaa/services'
import t, { type Test } from 'tap'
import { freePort } from './support/agents.js'
import { DoctorNet, names } from './support/doctor-net.js'
import { fnua } from './support/fnua.js'

const skip = bindUnavailable() ?? unboundUnavailable() ?? false
const c = { signal: new AbortController().signal }
const WRONG = `1 13 2 ${'00'.repeat(32)}`

/** A resolver of ours that asks a validating one. */
function asking(t: Test, unbound: Pick<Unbound, 'host' | 'port'>, opt: Partial<ResolverOptions> = {}) {
  const steps: ResolveStep[] = []
  const server = { host: unbound.host, port: unbound.port }
  const base = { servers: [server], trustAd: true, timeoutMs: 4000, tries: 1 }
  const resolver = new Resolver({ ...base, ...opt, trace: s => steps.push(s) })
  t.teardown(() => resolver.close())
  const asked = () => steps.flatMap(s => (s.step === 'question' ? [`${s.type} ${s.name}`] : []))
  return { resolver, resolve: resolver.resolve, asked }
}
const failure = (work: Promise<unknown>) =>
  work.then(
    () => null,
    e => e as { code: string; status?: string; rcode?: number; extended?: number[] },
  )

t.test('names as a real BIND says them and a real Unbound proves them', { skip }, async t => {
  const [dead, port] = [await freePort(), await freePort()]
  const long = Array.from({ length: 12 }, (_, i) => `big TXT "${String(i).padStart(200, 'x')}"`)
  const net = await DoctorNet.start(t, [
    {
      name: 'signed.test',
      records: [
        ...names('signed.test', port),
        ...long,
        'empty A 127.0.0.1',
        // A zone below that is not signed: NS without DS.
        'low NS ns',
        // Below these one whose server does not answer, and one that is signed with another key than is said here.
        'lame.flows NS ns',
        'bad.flows NS ns',
        `bad.flows DS ${WRONG}`,
        '_fnap.alias CNAME _fnap.flows.plain.test.',
        'away CNAME host.plain.test.',
        ...Array.from({ length: 12 }, (_, i) => `c${i} CNAME c${i + 1}`),
        'c12 A 127.0.0.1',
        '_fnap.wrong TXT "v=FNAP1; d=wrong.signed.test"',
        '_fnap._udp.odd SRV 0 0 1 fnaa',
        '_flow._tcp.odd SRV 0 0 1 fnaa',
      ],
    },
    { name: 'low.signed.test', signed: false, ds: 'none', undelegated: true },
    { name: 'bad.flows.signed.test', undelegated: true },
    { name: 'plain.test', signed: false, records: [...names('plain.test', port), 'host A 127.0.0.1'] },
    { name: 'bogus.test', ds: 'wrong', records: names('bogus.test', port) },
    { name: 'expired.test', byHand: 'expired', records: names('expired.test', port) },
  ])
  const at = `${net.bind.host}:${net.bind.port}`
  const below = { low: at, 'bad.flows': at, 'lame.flows': `127.0.0.1:${dead}` }
  const stubs = { ...net.stubs, ...Object.fromEntries(Object.entries(below).map(([n, s]) => [`${n}.signed.test`, s])) }
  const unbound = await net.unbound(t, { stubs })
  const silent = await net.unbound(t, { stubs, explains: false })

  await t.test('secure, insecure and bogus are three things, with Extended DNS Errors and without', async t => {
    for (const server of [unbound, silent]) {
      const { resolve } = asking(t, server)
      t.match(await resolve('fnaa.signed.test', 'A', c), { status: 'secure', records: { length: 1 } })
      t.match(await resolve('nothing.signed.test', 'A', c), { status: 'secure', records: [] }, 'an absence too')
      t.match(await resolve('fnaa.plain.test', 'A', c), { status: 'insecure', records: { length: 1 } })
      for (const zone of ['bogus.test', 'expired.test']) {
        const e = await failure(resolve(`fnaa.${zone}`, 'A', c))
        t.match(e, { code: 'FNA_ERR_UNAVAILABLE', status: 'bogus', rcode: 2 }, zone)
        t.equal((e?.extended?.length ?? 0) > 0, server === unbound, 'told by the server, or found out with CD')
      }
      const lame = await failure(resolve('x.lame.flows.signed.test', 'A', c))
      t.match(lame, { code: 'FNA_ERR_UNAVAILABLE', status: undefined }, 'unreachable is not bogus')
    }
  })

  await t.test('H14: only an absence sends the walk to a shorter suffix', async t => {
    const { resolve, asked } = asking(t, unbound)
    t.match(await findNamespace(resolve, 'time.flows.signed.test', c), {
      namespace: 'flows.signed.test',
      status: 'secure',
    })
    t.match(
      await findNamespace(resolve, 'a.b.time.flows.signed.test', c),
      { namespace: 'flows.signed.test', status: 'secure' },
      'NXDOMAIN goes on',
    )
    t.match(await findNamespace(resolve, 'x.empty.signed.test', c), { namespace: 'signed.test' }, 'NODATA goes on')
    for (const [name, what] of [
      ['x.lame.flows.signed.test', 'a time-out'],
      ['x.bad.flows.signed.test', 'a bogus zone'],
    ] as const) {
      const before = asked().length
      t.match(await failure(findNamespace(resolve, name, c)), { code: 'FNA_ERR_UNAVAILABLE' }, what)
      t.notOk(asked().slice(before).includes('TXT _fnap.flows.signed.test'), `${what}: nobody asks further`)
    }
    t.match(
      await failure(findNamespace(resolve, 'x.example.org', c)),
      { code: 'FNA_ERR_UNAVAILABLE', rcode: 5 },
      'REFUSED',
    )
  })

  await t.test('H14: the level is the lowest of all answers: absences and CNAMEs count', async t => {
    const { resolve } = asking(t, unbound)
    t.match(
      await findNamespace(resolve, 'x.y.low.signed.test', c),
      { namespace: 'signed.test', domain: 'signed.test', status: 'insecure' },
      'an absence that nobody proves, before a record that is proved',
    )
    t.match(
      await resolve('away.signed.test', 'A', c),
      { status: 'insecure', records: { length: 1 } },
      'a CNAME out of the zone',
    )
    t.match(await resolve('_fnap.alias.signed.test', 'TXT', c), { status: 'insecure', records: { length: 1 } })
    t.match(
      await failure(findNamespace(resolve, 'x.alias.signed.test', c)),
      { code: 'FNA_ERR_CORRUPT' },
      'and the domain that it names is not above this name',
    )
  })

  await t.test('H14: SRV is asked at _fnap._tcp only', async t => {
    const { resolve, asked } = asking(t, unbound)
    t.match(await failure(findAgent(resolve, 'odd.signed.test', c)), { code: 'FNA_ERR_NOTFOUND' })
    t.same(asked(), ['SRV _fnap._tcp.odd.signed.test', 'TXT _fnap._tcp.odd.signed.test'])
    t.match(await findAgent(resolve, 'flows.signed.test', c), { places: [{ port }], status: 'secure' })
  })

  await t.test('H12: d is the apex of a zone', async t => {
    const { resolve } = asking(t, unbound)
    const e = await failure(findNamespace(resolve, 'x.wrong.signed.test', c))
    t.match(e, { code: 'FNA_ERR_CORRUPT', message: /not a zone's apex/ })
  })

  await t.test('CNAME chains are bounded', async t => {
    const { resolve } = asking(t, unbound)
    t.match(await resolve('c6.signed.test', 'A', c), { records: { length: 1 }, status: 'secure' })
    t.match(await failure(resolve('c0.signed.test', 'A', c)), { code: 'FNA_ERR_UNAVAILABLE' })
  })

  await t.test('what does not fit into a datagram comes over TCP', async t => {
    const { resolve } = asking(t, unbound)
    t.match(await resolve('big.signed.test', 'TXT', c), { records: { length: 12 }, status: 'secure' })
  })

  await t.test('an absence is remembered as long as SOA says, an own zone is not', async t => {
    let now = Date.now()
    const direct = asking(t, net.bind, { now: () => now })
    t.match(await direct.resolve('soon.signed.test', 'TXT', c), { records: [], ttl: 30 })
    net.bind.update('signed.test', ['update add soon.signed.test. 60 TXT "here"'])
    t.match(await direct.resolve('soon.signed.test', 'TXT', c), { records: [] })
    t.equal(direct.asked().length, 1)
    now += 31_000
    t.match(await direct.resolve('soon.signed.test', 'TXT', c), { records: { length: 1 } })
    const { resolver, resolve } = asking(t, unbound)
    resolver.add({ host: net.bind.host, port: net.bind.port, zones: ['signed.test'], authority: true })
    t.match(await resolve('own.signed.test', 'TXT', c), { records: [], status: 'secure' })
    net.bind.update('signed.test', ['update add own.signed.test. 60 TXT "here"'])
    t.match(await resolve('own.signed.test', 'TXT', c), { records: { length: 1 } }, 'F12: found at once')
    t.match(await resolve('x.low.signed.test', 'TXT', c), { records: [], status: 'insecure' })
  })

  await t.test('AD off loopback counts on a trusted network only', async t => {
    const own = Object.values(networkInterfaces())
      .flat()
      .find(i => i && !i.internal && i.family === 'IPv4')
    if (!own) {
      t.comment('this machine has no address but loopback')
      return
    }
    const far = await net.unbound(t, { address: own.address })
    const status = async (opt: Partial<ResolverOptions>) =>
      (await asking(t, far, opt).resolve('fnaa.signed.test', 'A', c)).status
    t.equal(await status({}), 'insecure')
    t.equal(await status({ trustNetworks: ['203.0.113.7'] }), 'insecure')
    t.equal(await status({ trustNetworks: [`${own.address}/32`] }), 'secure')
  })

  await t.test('a name that is bound anew between check and connect leads nowhere else', async t => {
    const hits: string[] = []
    const server = createServer(s => {
      hits.push(s.localAddress ?? '')
      s.destroy()
    }).listen(0, '0.0.0.0')
    await new Promise(resolve => server.once('listening', resolve))
    t.teardown(() => server.close())
    net.bind.update('signed.test', ['update add turn.signed.test. 0 A 127.0.0.2'])
    unbound.flush('signed.test')
    const { resolve } = asking(t, unbound, { cacheSize: 0 })
    const turning: Resolve = async (name, type, c) => {
      const answer = await (resolve as Resolve)(name, type, c)
      if (type === 'A')
        net.bind.update('signed.test', [
          'update delete turn.signed.test. A',
          'update add turn.signed.test. 0 A 127.0.0.1',
        ])
      return answer
    }
    const at = { host: 'turn.signed.test', port: (server.address() as { port: number }).port }
    const dial = (allow: string) => makeDial({ resolve: turning, guard: new AddressGuard({ allow: [allow] }) })(at, c)
    ;(await dial('127.0.0.2')).end()
    unbound.flush('signed.test')
    t.match(await failure(dial('127.0.0.2')), { code: 'FNA_ERR_ADDRESS' }, 'the new address is not allowed')
    t.same(hits, ['127.0.0.2'], 'and was never connected to')
  })

  await t.test('fnua resolve shows each question, what it is worth, and what comes of it', async t => {
    const at = (u: Unbound) => ['--nameserver', `${u.host}:${u.port}`]
    const name = 'time.flows.signed.test'
    const table = await fnua([...at(unbound), 'resolve', name])
    t.equal(table.code, 0, table.stderr)
    t.match(table.stdout, /^QUESTION +TYPE +ANSWER +TTL +STATUS +FROM$/m)
    t.match(table.stdout, /^_fnap\.time\.flows\.signed\.test +TXT +NXDOMAIN +\d+ +secure +127\.0\.0\.1:\d+$/m)
    t.match(table.stdout, /^_fnap\.flows\.signed\.test +TXT +"v=FNAP1; d=signed\.test" +\d+ +secure /m)
    t.match(table.stdout, /^signed\.test +SOA +apex of signed\.test\. /m)
    t.match(
      table.stdout,
      new RegExp(`^namespace=flows.signed.test\ndomain=signed.test\nagent=fnaa.signed.test:${port}$`, 'm'),
    )
    t.match(table.stdout, /^status=secure\nlevel=dnssec$/m)
    const json = JSON.parse((await fnua([...at(unbound), '-o', 'json', 'resolve', name])).stdout)
    t.match(json, {
      name,
      namespace: 'flows.signed.test',
      domain: 'signed.test',
      level: 'dnssec',
      addresses: ['127.0.0.1'],
    })
    t.match(json.questions[1], { name: '_fnap.flows.signed.test', type: 'TXT', ttl: Number, status: 'secure' })
    t.match((await fnua([...at(unbound), '-o', 'yaml', 'resolve', name])).stdout, /^namespace: flows\.signed\.test$/m)
    t.equal(
      (await fnua([...at(unbound), '-o', 'name', 'resolve', `flow://${name}.`])).stdout,
      `fnaa.signed.test:${port}\n`,
    )
    t.match((await fnua([...at(unbound), 'resolve', 'time.flows.plain.test'])).stdout, /^status=insecure\nlevel=dns$/m)
    const bogus = await fnua([...at(unbound), 'resolve', 'time.flows.bogus.test'])
    t.match(bogus, { code: 7, stdout: / bogus /, stderr: /cannot be resolved: DNSSEC validation failed/ })
    t.match(bogus.stderr, /^try: .*fnua --nameserver \S+ doctor time\.flows\.bogus\.test$/m)
    const blind = await net.unbound(t, { validates: false, anchors: {} })
    t.match(
      (await fnua([...at(blind), 'resolve', name])).stdout,
      /^status=indeterminate\nlevel=dns$/m,
      'nobody validates',
    )
    const authority = ['--nameserver', `${net.bind.host}:${net.bind.port}`]
    t.match(
      (await fnua([...authority, 'resolve', name])).stdout,
      /^status=indeterminate$/m,
      'an authority proves nothing',
    )
  })
})
