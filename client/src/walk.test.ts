import type { Answer as WireAnswer } from 'dns-packet'
import t, { type Test } from 'tap'
import { fakeDns, soa, srv, txt } from './fake-dns.test.helper.js'
import { Resolver } from './resolver.js'
import { findAgent, findAgentByHost, findNamespace, lowest } from './walk.js'

const c = { signal: new AbortController().signal }

/** A resolver over a list of records; names in `broken` get SERVFAIL. */
async function zone(t: Test, records: WireAnswer[], broken: string[] = []) {
  const dns = await fakeDns(t, ({ name, type }) => {
    if (broken.includes(`${type} ${name}`)) return { rcode: 2 }
    const answers = records.filter(r => r.name === name && r.type === type)
    const exists = records.some(r => r.name === name || r.name.endsWith(`.${name}`))
    return { rcode: exists ? 0 : 3, answers, authorities: answers.length > 0 ? [] : [soa('test')] }
  })
  const resolver = new Resolver({ servers: [dns], timeoutMs: 300, tries: 1 })
  return { resolve: resolver.resolve, asked: dns.asked }
}

const flow = 'time.flows.unix.test'

t.test('the longest suffix that is a namespace', async t => {
  const { resolve, asked } = await zone(t, [
    txt('_fnap.flows.unix.test', 'v=FNAP1; d=unix.test; id=7'),
    txt('_fnap.unix.test', 'v=FNAP1'),
    soa('unix.test'),
  ])
  t.same(await findNamespace(resolve, `a.b.${flow}`, c), {
    namespace: 'flows.unix.test',
    domain: 'unix.test',
    id: '7',
    status: 'insecure',
  })
  t.same(asked, [
    'TXT _fnap.b.time.flows.unix.test',
    'TXT _fnap.time.flows.unix.test',
    'TXT _fnap.flows.unix.test',
    'SOA unix.test',
  ])
  t.match(
    await findNamespace(resolve, 'x.unix.test', c),
    { namespace: 'unix.test', domain: 'unix.test' },
    'without d it is the suffix',
  )
  t.match(
    await findNamespace(resolve, 'flows.unix.test', c),
    { namespace: 'unix.test' },
    'a flow is not its own namespace',
  )
  t.match(await findNamespace(resolve, 'flows.unix.test', c, { self: true }), { namespace: 'flows.unix.test' })
})

t.test('eight labels at most, and never one', async t => {
  const { resolve, asked } = await zone(t, [soa('test')])
  await t.rejects(findNamespace(resolve, `${'a.'.repeat(12)}test`, c), { code: 'FNA_ERR_NOTFOUND' })
  t.equal(asked.length, 7)
  t.equal(asked.at(-1), 'TXT _fnap.a.test')
})

t.test('only an absence goes on (H14)', async t => {
  const { resolve, asked } = await zone(
    t,
    [txt('_fnap.unix.test', 'v=FNAP1'), soa('unix.test')],
    ['TXT _fnap.flows.unix.test'],
  )
  await t.rejects(findNamespace(resolve, flow, c), { code: 'FNA_ERR_UNAVAILABLE' })
  t.same([...new Set(asked)], ['TXT _fnap.flows.unix.test'])
  const bogus = (async () => ({ records: [], status: 'bogus' as const, ttl: 0 })) as never
  await t.rejects(findNamespace(bogus, flow, c), { code: 'FNA_ERR_UNAVAILABLE' }, 'a bogus answer is no absence')
})

t.test('a record that breaks a rule is an error, not an absence (H12)', async t => {
  const at = '_fnap.flows.unix.test'
  const cases: [string, WireAnswer[]][] = [
    ['d is no apex', [txt(at, 'v=FNAP1; d=flows.unix.test')]],
    ['neither is the suffix', [txt(at, 'v=FNAP1')]],
    ['d is elsewhere', [txt(at, 'v=FNAP1; d=evil.test'), soa('evil.test')]],
    ['d is below', [txt(at, 'v=FNAP1; d=time.flows.unix.test'), soa('time.flows.unix.test')]],
    ['two records', [txt(at, 'v=FNAP1; d=unix.test'), txt(at, 'v=FNAP1; d=unix.test; id=2')]],
    ['beside another text', [txt(at, 'v=FNAP1; d=unix.test'), txt(at, 'hello')]],
    ['another version', [txt(at, 'v=FNAP2; d=unix.test')]],
    ['a tag twice', [txt(at, 'v=FNAP1; d=unix.test; d=flows.unix.test')]],
  ]
  for (const [what, records] of cases) {
    const { resolve } = await zone(t, [...records, soa('unix.test'), txt('_fnap.unix.test', 'v=FNAP1')])
    await t.rejects(findNamespace(resolve, flow, c), { code: 'FNA_ERR_CORRUPT' }, what)
  }
  const { resolve } = await zone(t, [txt(at, 'v=FNAP1; d=unix.test'), soa('unix.test')], ['SOA unix.test'])
  await t.rejects(findNamespace(resolve, flow, c), { code: 'FNA_ERR_UNAVAILABLE' }, 'no answer about the apex')
})

t.test('the status is the lowest of all answers', async t => {
  t.equal(lowest('secure', 'insecure'), 'insecure')
  t.equal(lowest('bogus', 'secure'), 'bogus')
  const secureBut = (weak: string) =>
    (async (name: string, type: string) => {
      const records =
        name === '_fnap.unix.test'
          ? [{ name, ttl: 1, type: 'TXT', strings: ['v=FNAP1'] }]
          : type === 'SOA'
            ? [{ name, ttl: 1, type: 'SOA', minimum: 1 }]
            : []
      return { records, status: `${type} ${name}` === weak ? 'insecure' : 'secure', ttl: 1 }
    }) as never
  t.match(await findNamespace(secureBut(''), flow, c), { status: 'secure' })
  for (const weak of ['TXT _fnap.flows.unix.test', 'TXT _fnap.unix.test', 'SOA unix.test']) {
    t.match(await findNamespace(secureBut(weak), flow, c), { status: 'insecure' }, weak)
  }
})

t.test('where the agent is', async t => {
  const at = '_fnap._tcp.flows.unix.test'
  const { resolve } = await zone(t, [
    srv(at, 'b.unix.test', { priority: 10 }),
    srv(at, 'a.unix.test', { priority: 5, port: 4000 }),
    txt(at, 'tls'),
  ])
  t.same(await findAgent(resolve, 'flows.unix.test', c), {
    places: [
      { host: 'a.unix.test', port: 4000 },
      { host: 'b.unix.test', port: 61_000 },
    ],
    tls: true,
    status: 'insecure',
  })
  const plain = await zone(t, [srv(at, 'a.unix.test')])
  t.match(await findAgent(plain.resolve, 'flows.unix.test', c), { tls: false })
  await t.rejects(findAgent(plain.resolve, 'other.test', c), { code: 'FNA_ERR_NOTFOUND' })
})

t.test('weights are chances (RFC 2782)', async t => {
  const at = '_fnap._tcp.unix.test'
  const { resolve } = await zone(t, [
    srv(at, 'heavy.test', { weight: 9 }),
    srv(at, 'light.test', { weight: 1 }),
    srv(at, 'never.test', { weight: 0 }),
  ])
  const first = async (random: number) =>
    (await findAgent(resolve, 'unix.test', c, () => random)).places.map(p => p.host)
  t.same(await first(0), ['never.test', 'light.test', 'heavy.test'])
  t.equal((await first(0.15))[0], 'light.test')
  t.equal((await first(0.5))[0], 'heavy.test')
  t.equal((await first(0.99))[0], 'heavy.test')
})

t.test('by the agent’s own name, as the thesis’s CLI asks (T7)', async t => {
  const host = 'fnaa.unix.test'
  const { resolve, asked } = await zone(t, [
    srv(host, host),
    { type: 'A', name: host, ttl: 60, data: '192.0.2.1' },
    { type: 'AAAA', name: 'six.test', ttl: 60, data: '2001:db8::1' },
  ])
  t.match(await findAgentByHost(resolve, host, c), { places: [{ host, port: 61_000 }], addresses: ['192.0.2.1'] })
  t.same(asked, [`SRV ${host}`, `A ${host}`], 'these questions and no others')
  t.match(await findAgentByHost(resolve, 'six.test', c), {
    places: [{ host: 'six.test', port: 61_000 }],
    addresses: ['2001:db8::1'],
  })
  await t.rejects(findAgentByHost(resolve, 'nothing.test', c), { code: 'FNA_ERR_NOTFOUND' })
})
