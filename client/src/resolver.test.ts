import packet, { type Answer as WireAnswer } from 'dns-packet'
import t, { type Test } from 'tap'
import { AD, a, cname, extended, fakeDns, type Handler, soa, txt } from './fake-dns.test.helper.js'
import { Resolver, type ResolverOptions, type ResolveStep } from './resolver.js'

const c = { signal: new AbortController().signal }

async function started(t: Test, handler: Handler, opt: Partial<ResolverOptions> = {}) {
  const dns = await fakeDns(t, handler)
  const resolver = new Resolver({ servers: [dns], timeoutMs: 200, tries: 1, ...opt })
  t.teardown(() => resolver.close())
  return { dns, resolver, resolve: resolver.resolve }
}

t.test('asks properly', async t => {
  const ids = new Set<number>()
  const { resolve } = await started(t, ({ packet: p, name }) => {
    ids.add(p.id!)
    t.match(p, { type: 'query', flag_rd: true, flag_ad: true, flag_cd: false, opcode: 'QUERY' })
    t.match(p.additionals, [{ type: 'OPT', udpPayloadSize: 1232, flag_do: true }])
    return { answers: [a(name, '192.0.2.1')] }
  })
  for (let i = 0; i < 20; i++) await resolve(`h${i}.test`, 'A', c)
  t.ok(ids.size > 15, 'random ids')
  t.match(await resolve('H.Test.', 'A', c), {
    records: [{ name: 'h.test', type: 'A', address: '192.0.2.1', ttl: 300 }],
    status: 'insecure',
  })
  for (const bad of ['', 'a..b', `${'a'.repeat(64)}.test`, 'a b.test', '*.test', 'é.test', `${'a.'.repeat(130)}test`]) {
    await t.rejects(resolve(bad, 'A', c), { code: 'FNA_ERR_INVALID' }, bad.slice(0, 20))
  }
})

t.test('reads every type', async t => {
  const name = 'x.test'
  const all: WireAnswer[] = [
    a(name, '192.0.2.1'),
    { type: 'AAAA', name, ttl: 60, data: '2001:db8::1' },
    { type: 'PTR', name, ttl: 60, data: 'Y.Test' },
    { type: 'NS', name, ttl: 60, data: 'ns.test' },
    { type: 'SRV', name, ttl: 60, data: { priority: 1, weight: 2, port: 3, target: 'z.test' } },
    { type: 'DS', name, ttl: 60, data: { keyTag: 1, algorithm: 13, digestType: 2, digest: Buffer.alloc(32, 1) } },
    txt(name, 'one', 'two'),
    soa(name),
  ]
  const { resolve } = await started(t, ({ type }) => ({ answers: all.filter(r => r.type === type || type === 'A') }))
  t.match(await resolve(name, 'A', c), { records: [{ type: 'A' }] }, 'others are not asked for')
  t.match((await resolve(name, 'AAAA', c)).records, [{ address: '2001:db8::1' }])
  t.match((await resolve(name, 'PTR', c)).records, [{ target: 'y.test' }], 'folded')
  t.match((await resolve(name, 'NS', c)).records, [{ target: 'ns.test' }])
  t.match((await resolve(name, 'SRV', c)).records, [{ priority: 1, weight: 2, port: 3, target: 'z.test' }])
  t.match((await resolve(name, 'DS', c)).records, [{ digest: '01'.repeat(32) }])
  t.match((await resolve(name, 'TXT', c)).records, [{ strings: ['one', 'two'] }])
  t.match((await resolve(name, 'SOA', c)).records, [{ minimum: 30 }])
})

t.test('secure only by AD of a trusted server on loopback, the lowest of all answers', async t => {
  const handler: Handler = ({ name }) => {
    if (name === 'half.test') return { flags: AD, answers: [cname(name, 'plain.test')] }
    return { flags: name === 'plain.test' ? 0 : AD, answers: [a(name, '192.0.2.1')] }
  }
  const trusting = await started(t, handler, { trustAd: true })
  t.match(await trusting.resolve('x.test', 'A', c), { status: 'secure' })
  t.match(await trusting.resolve('plain.test', 'A', c), { status: 'insecure' })
  t.match(
    await trusting.resolve('half.test', 'A', c),
    { status: 'insecure', records: { length: 1 } },
    'a chain is worth its weakest part',
  )
  const plain = await started(t, handler)
  t.match(await plain.resolve('x.test', 'A', c), { status: 'insecure' })
})

t.test('absence is an answer, with its status', async t => {
  const { resolve, dns } = await started(
    t,
    ({ name }) => ({ rcode: name === 'nx.test' ? 3 : 0, flags: AD, authorities: [soa('test', 30, 600)] }),
    { trustAd: true },
  )
  t.same(await resolve('nx.test', 'A', c), { records: [], status: 'secure', ttl: 30 })
  t.same(await resolve('nodata.test', 'A', c), { records: [], status: 'secure', ttl: 30 })
  await resolve('nx.test', 'A', c)
  t.same(dns.asked, ['A nx.test', 'A nodata.test'], 'and remembered')
})

t.test('a failure is none', async t => {
  const { resolve } = await started(t, ({ name }) => {
    if (name === 'silent.test') return null
    if (name === 'bogus.test') return { rcode: 2, additionals: [extended(6)] }
    return { rcode: name === 'refused.test' ? 5 : 2 }
  })
  const failure = (name: string) => resolve(name, 'A', c).catch(e => e)
  t.match(await failure('silent.test'), { code: 'FNA_ERR_UNAVAILABLE', status: undefined })
  t.match(await failure('servfail.test'), { code: 'FNA_ERR_UNAVAILABLE', status: undefined })
  t.match(await failure('refused.test'), { code: 'FNA_ERR_UNAVAILABLE' })
  t.match(await failure('bogus.test'), { code: 'FNA_ERR_UNAVAILABLE', status: 'bogus' })
  t.match(await new Resolver({ servers: [] }).resolve('x.test', 'A', c).catch(e => e), { code: 'FNA_ERR_UNAVAILABLE' })
})

t.test('a server that does not say why: with checking off it answers what is bogus', async t => {
  const checked: string[] = []
  let slow = 1
  const { resolve, dns } = await started(t, ({ name, packet: p }) => {
    checked.push(`${name} ${p.flag_cd ? 'CD' : ''}`.trim())
    const found = { answers: [a(name, '192.0.2.66')] }
    if (name === 'bogus.test') return p.flag_cd ? found : { rcode: 2 }
    if (name === 'slow.test') return p.flag_cd || --slow < 0 ? found : { rcode: 2 }
    if (name === 'unreached.test') return { rcode: 2, additionals: [extended(22)] }
    return { rcode: 2 }
  })
  const failure = (name: string) => resolve(name, 'A', c).catch(e => e)
  t.match(await failure('bogus.test'), { code: 'FNA_ERR_UNAVAILABLE', status: 'bogus', rcode: 2 }, 'and is not used')
  t.match(await failure('down.test'), { code: 'FNA_ERR_UNAVAILABLE', status: undefined, rcode: 2 })
  t.match(await failure('unreached.test'), { status: undefined, extended: [22] })
  t.match(await resolve('slow.test', 'A', c), { records: { length: 1 } }, 'one that was only slow is no liar')
  t.same(checked, [
    ...['bogus.test', 'bogus.test CD', 'bogus.test'],
    ...['down.test', 'down.test CD', 'unreached.test'],
    ...['slow.test', 'slow.test CD', 'slow.test'],
  ])
  t.ok(dns.asked.length > 0)
})

t.test('AD off loopback: only where the operator trusts the network', async t => {
  // Nobody but loopback can be asked here, so loopback is called by a name that is not its own.
  const answers: Handler = ({ name }) => ({ flags: AD, answers: [a(name, '192.0.2.1')] })
  const dns = await fakeDns(t, answers)
  const server = { host: '::ffff:7f00:1', port: dns.port }
  const status = async (opt: Partial<ResolverOptions>) =>
    (await new Resolver({ servers: [server], trustAd: true, ...opt }).resolve('x.test', 'A', c)).status
  t.equal(await status({}), 'insecure')
  t.equal(await status({ trustNetworks: ['10.0.0.0/8', 'fd00::/8'] }), 'insecure')
  t.equal(await status({ trustNetworks: ['::ffff:0:0/96'] }), 'secure')
  t.equal(await status({ trustNetworks: ['::ffff:0:0/96'], trustAd: false }), 'insecure')
  t.throws(() => new Resolver({ servers: [], trustNetworks: ['10/8'] }), { code: 'FNA_ERR_CONFIG' })
})

t.test('the next server is asked, but not for a better verdict', async t => {
  const good = await fakeDns(t, ({ name }) => ({ answers: [a(name, '192.0.2.1')] }))
  const bad = await fakeDns(t, ({ name }) =>
    name === 'bogus.test' ? { rcode: 2, additionals: [extended(9)] } : { rcode: 2 },
  )
  const steps: ResolveStep[] = []
  const resolver = new Resolver({ servers: [bad, good], timeoutMs: 200, trace: s => steps.push(s) })
  t.match(await resolver.resolve('x.test', 'A', c), { records: { length: 1 } })
  await t.rejects(resolver.resolve('bogus.test', 'A', c), { code: 'FNA_ERR_UNAVAILABLE' })
  t.same(good.asked, ['A x.test'])
  t.match(steps.slice(0, 4), [
    { step: 'question', name: 'x.test', type: 'A', server: { port: bad.port } },
    { step: 'failure', name: 'x.test' },
    { step: 'question', server: { port: good.port } },
    { step: 'answer', rcode: 0, status: 'insecure', records: [{ address: '192.0.2.1' }] },
  ])
})

t.test('forged and broken answers are ignored', async t => {
  const forge = (query: Buffer, change: (p: { id: number; questions: object[]; type: string }) => void): Buffer => {
    const q = packet.decode(query)
    const p = {
      type: 'response' as const,
      id: q.id!,
      questions: [...q.questions!],
      answers: [a(q.questions![0]!.name, '192.0.2.66')],
    }
    change(p as never)
    return packet.encode(p)
  }
  const { resolve } = await started(t, ({ name }) => ({
    raw: query => [
      forge(query, p => (p.id ^= 1)),
      forge(query, p => (p.questions = [{ name: 'other.test', type: 'A' }])),
      forge(query, p => (p.questions = [{ name, type: 'AAAA' }])),
      forge(query, p => (p.questions = [])),
      forge(query, p => (p.type = 'query')),
      Buffer.from('rubbish'),
      query.subarray(0, 14),
      forge(query, p => Object.assign(p, { answers: [a(name, '192.0.2.1'), a('other.test', '192.0.2.66')] })),
    ],
  }))
  t.match(await resolve('x.test', 'A', c), { records: [{ address: '192.0.2.1' }] })
})

t.test('TCP where the answer was cut', async t => {
  const { resolve, dns } = await started(t, ({ name, tcp }) =>
    tcp ? { answers: [txt(name, 'whole')] } : { flags: packet.TRUNCATED_RESPONSE, answers: [] },
  )
  t.match(await resolve('big.test', 'TXT', c), { records: [{ strings: ['whole'] }] })
  t.same(dns.asked, ['TXT big.test', 'TXT big.test tcp'])
})

t.test('an absence without SOA is not remembered (RFC 2308 §5)', async t => {
  const { resolve, dns } = await started(t, () => ({ rcode: 3 }))
  t.match(await resolve('nx.test', 'A', c), { records: [], ttl: 0 })
  await resolve('nx.test', 'A', c)
  t.same(dns.asked, ['A nx.test', 'A nx.test'])
})

t.test('CNAME chains: followed, bounded, asked on where the server stops', async t => {
  const { resolve, dns } = await started(t, ({ name }) => {
    if (name === 'whole.test')
      return { answers: [cname(name, 'b.test', 20), cname('b.test', 'c.test', 10), a('c.test', '192.0.2.1')] }
    if (name === 'part.test') return { answers: [cname(name, 'c.test')] }
    if (name === 'gone.test') return { rcode: 3, answers: [cname(name, 'nothing.test')], authorities: [soa('test')] }
    if (name === 'loop.test') return { answers: [cname(name, 'loop.test')] }
    if (name.startsWith('n')) return { answers: [cname(name, `n${Number(name.slice(1, -5)) + 1}.test`)] }
    return { answers: [a(name, '192.0.2.2')] }
  })
  t.match(await resolve('whole.test', 'A', c), { records: [{ name: 'c.test', address: '192.0.2.1' }], ttl: 10 })
  t.match(await resolve('part.test', 'A', c), { records: [{ name: 'c.test', address: '192.0.2.2' }] })
  t.match(await resolve('gone.test', 'A', c), { records: [] })
  await t.rejects(resolve('loop.test', 'A', c), { code: 'FNA_ERR_UNAVAILABLE' })
  await t.rejects(resolve('n0.test', 'A', c), { code: 'FNA_ERR_UNAVAILABLE' })
  t.ok(dns.asked.length < 20)
})

t.test('remembers by TTL, within bounds', async t => {
  let now = 0
  const { resolve, dns, resolver } = await started(
    t,
    ({ name }) => ({ answers: [a(name, '192.0.2.1', name === 'zero.test' ? 0 : 60)] }),
    {
      now: () => now,
      cacheSize: 2,
    },
  )
  t.match(await resolve('x.test', 'A', c), { ttl: 60 })
  now = 20_000
  t.match(await resolve('x.test', 'A', c), { ttl: 40 })
  t.equal(dns.asked.length, 1)
  now = 60_000
  await resolve('x.test', 'A', c)
  t.equal(dns.asked.length, 2)
  await resolve('x.test', 'A', { ...c, fresh: true })
  t.equal(dns.asked.length, 3, 'past the cache where asked to')
  await resolve('zero.test', 'A', c)
  await resolve('zero.test', 'A', c)
  t.equal(dns.asked.length, 5, 'TTL 0')
  await resolve('y.test', 'A', c)
  await resolve('z.test', 'A', c)
  await resolve('x.test', 'A', c)
  t.equal(dns.asked.length, 8, 'the oldest was forgotten')
  resolver.forget('x.test')
  await resolve('x.test', 'A', c)
  t.equal(dns.asked.length, 9)
})

t.test('one question at a time for the same name', async t => {
  const { resolve, dns } = await started(t, ({ name }) => ({ answers: [a(name, '192.0.2.1')] }))
  const controller = new AbortController()
  const called = resolve('x.test', 'A', { signal: controller.signal })
  const others = [resolve('x.test', 'A', c), resolve('x.test', 'A', c)]
  controller.abort()
  await t.rejects(called, { code: 'FNA_ERR_UNAVAILABLE' }, 'who is called off does not end it for the others')
  for (const other of others) t.match(await other, { records: { length: 1 } })
  t.same(dns.asked, ['A x.test'])
})

t.test('zones of their own servers', async t => {
  const own = await fakeDns(t, ({ name }) => ({ answers: [a(name, '192.0.2.1')] }))
  const child = await fakeDns(t, ({ name }) => ({ answers: [a(name, '192.0.2.2')] }))
  const rest = await fakeDns(t, ({ name }) => ({ answers: [a(name, '192.0.2.3')] }))
  const { resolve } = new Resolver({
    servers: [rest, { ...own, zones: ['unix.test'] }, { ...child, zones: ['child.unix.test', 'other.test'] }],
  })
  const address = async (name: string) => (await resolve(name, 'A', c)).records.map(r => 'address' in r && r.address)[0]
  t.equal(await address('unix.test'), '192.0.2.1')
  t.equal(await address('x.unix.test'), '192.0.2.1')
  t.equal(await address('x.child.unix.test'), '192.0.2.2')
  t.equal(await address('other.test'), '192.0.2.2')
  t.equal(await address('notunix.test'), '192.0.2.3')
})

t.test(
  'own zones at their authority: unremembered, worth what the validating resolver says, delegations elsewhere',
  async t => {
    const AA = packet.AUTHORITATIVE_ANSWER
    let made = false
    let up = true
    const own = await fakeDns(t, ({ name }) => {
      if (!up) return { rcode: 2 }
      if (name.endsWith('child.unix.test'))
        return { authorities: [{ type: 'NS', name: 'child.unix.test', data: 'ns.test' }] }
      if (name === 'new.unix.test' && !made) return { flags: AA, rcode: 3, authorities: [soa('unix.test')] }
      return { flags: AA, answers: [a(name, '192.0.2.1')] }
    })
    const rest = await fakeDns(t, ({ name }) => {
      if (name === 'bad.unix.test') return { rcode: 2, additionals: [extended(7)] }
      if (name === 'new.unix.test') return { flags: AD, rcode: 3, authorities: [soa('unix.test', 3600, 3600)] }
      return { flags: AD, answers: [a(name, name === 'old.unix.test' ? '192.0.2.9' : '192.0.2.1')] }
    })
    const resolver = new Resolver({ servers: [rest], trustAd: true, tries: 1, timeoutMs: 300 })
    resolver.add({ ...own, zones: ['unix.test'], authority: true })
    const look = (name: string) => resolver.resolve(name, 'A', c)
    t.match(await look('new.unix.test'), { records: [], status: 'secure' })
    made = true
    t.match(
      await look('new.unix.test'),
      { records: { length: 1 }, status: 'insecure' },
      'found at once (F12), not yet proved',
    )
    t.match(await look('x.unix.test'), { records: { length: 1 }, status: 'secure' }, 'both say the same')
    t.match(await look('old.unix.test'), { records: [{ address: '192.0.2.1' }], status: 'insecure' })
    t.match(await look('bad.unix.test').catch(e => e), { status: 'bogus' }, 'never downgraded')
    t.match(await look('x.child.unix.test'), { records: { length: 1 }, status: 'secure' }, 'a delegation is no absence')
    up = false
    t.match(await look('x.unix.test'), { records: { length: 1 }, status: 'secure' }, 'nor is a server that is down')
    t.match(await look('y.test'), { records: { length: 1 } })
    t.notOk(own.asked.includes('A y.test'))
  },
)
