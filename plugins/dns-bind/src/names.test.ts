import { MemoryKeyValue } from '@fnaa/conformance'
import { isFna, type OwnerSet } from '@fnaa/core/plugin'
import type { Bind } from '@fnaa/services'
import t from 'tap'
import { c, gone, plugin, ports, set, skip, srv, started, ZONE } from './bind.test.helper.js'

t.test('a name that is not ours is never overwritten', { skip }, async t => {
  const bind = await started(t, { zones: [{ name: ZONE, records: ['www SRV 0 0 80 fnaa', 'alias CNAME www'] }] })
  const dns = await plugin(t, bind)
  for (const label of ['www', 'alias'])
    await t.rejects(dns.apply([set(label, 1)], c), { code: 'FNA_ERR_EXISTS', message: /not overwritten/ })
  await t.rejects(dns.apply([gone('www')], c), { code: 'FNA_ERR_EXISTS' }, 'nor removed')
  t.same(ports(bind, 'www'), [80])
  // Beside others, it alone is refused.
  const both = [dns.apply([set('good', 1)], c), dns.apply([set('www', 1)], c)]
  const [good, bad] = await Promise.allSettled(both)
  t.equal(good!.status, 'fulfilled')
  t.ok(bad?.status === 'rejected' && isFna(bad.reason, 'FNA_ERR_EXISTS'))
  bind.update(ZONE, ['update add late.unix.test 300 TXT "mine"'])
  await t.rejects(dns.apply([set('late', 1)], c), { code: 'FNA_ERR_EXISTS' }, 'made by hand meanwhile')
})

t.test('ours is what we wrote, also after a restart, and what a crash left between', { skip }, async t => {
  const bind = await started(t)
  const state = new MemoryKeyValue()
  const first = await plugin(t, bind, { state })
  await first.apply([set('a', 1)], c)
  await first.close()
  const second = await plugin(t, bind, { state })
  await second.apply([set('a', 2)], c)
  t.same(ports(bind, 'a'), [2])

  // The update was made, and the note of it was not.
  let crash = false
  state.before = (_op, key) => {
    if (crash && key === 'owner/b.unix.test') throw new Error('the power went')
    crash = key === 'owner/b.unix.test'
  }
  await t.rejects(second.apply([set('b', 1)], c), /the power went/)
  t.same(ports(bind, 'b'), [1])
  state.before = () => {}
  const third = await plugin(t, bind, { state })
  await third.apply([set('b', 2)], c)
  t.same(ports(bind, 'b'), [2])

  const stranger = await plugin(t, bind)
  await t.rejects(stranger.apply([set('b', 9)], c), { code: 'FNA_ERR_EXISTS' }, 'another agent’s')
})

t.test('reserved labels and wildcards are never written, at any depth', { skip }, async t => {
  const bind = await started(t)
  const dns = await plugin(t, bind, { keyFile: bind.keyFile(ZONE, 'admin') })
  for (const label of ['_fnap', '_fnap.x', '_fnap._tcp', 'k1._fnapkey', 'a._fnapkey.deep', '_domainkey'])
    await t.rejects(dns.apply([set(label, 1)], c), { code: 'FNA_ERR_UNSUPPORTED' }, label)
  for (const label of ['*', '*.flows'])
    await t.rejects(dns.apply([set(label, 1)], c), { code: 'FNA_ERR_INVALID' }, label)
})

t.test('keys are rotated without a restart', { skip }, async t => {
  const bind = await started(t)
  const dns = await plugin(t, bind)
  await dns.apply([set('a', 1)], c)
  await bind.rotate(ZONE, 'agent')
  await bind.reload()
  await dns.apply([set('a', 2)], c)
  t.same(ports(bind, 'a'), [2])
})

t.test('changes that wait are gathered, and each of them is whole', { skip }, async t => {
  const bind = await started(t)
  const dns = await plugin(t, bind)
  const before = Number((await dns.apply([set('first', 1)], c)).generation.split('/')[1])
  const made = await Promise.all(Array.from({ length: 250 }, (_, i) => dns.apply([set(`f${i}`, i + 1)], c)))
  const generations = new Set(made.map(m => Number(m.generation.split('/')[1])))
  t.same([...generations], [before + 1, before + 2, before + 3], 'at most 100 owners in one')
  t.same(ports(bind, 'f249'), [250])
})

t.test('two agents at one zone do not lose each other’s names', { skip }, async t => {
  const bind = await started(t)
  const [a, b] = [await plugin(t, bind), await plugin(t, bind)]
  await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      await a.apply([set(`a${i}`, i + 1)], c)
      await b.apply([set(`b${i}`, i + 1)], c)
    }),
  )
  for (const i of [0, 19]) t.same([ports(bind, `a${i}`), ports(bind, `b${i}`)], [[i + 1], [i + 1]])
})

t.test('records of every type that we write come back as they were', { skip }, async t => {
  const bind = await started(t)
  const dns = await plugin(t, bind, { keyFile: bind.keyFile(ZONE, 'admin') })
  const owner = `every.${ZONE}`
  const records = [
    srv(owner, 5),
    { name: owner, ttl: 300, type: 'A' as const, address: '192.0.2.7' },
    { name: owner, ttl: 300, type: 'AAAA' as const, address: '2001:db8::7' },
    { name: owner, ttl: 300, type: 'AAAA' as const, address: '::1' },
    { name: owner, ttl: 300, type: 'TXT' as const, strings: ['', 'x'.repeat(255)] },
    { name: owner, ttl: 300, type: 'PTR' as const, target: `_flow._tcp.${owner}` },
  ]
  await dns.apply([{ owner, records }], c)
  const sort = (list: readonly object[]) => list.map(r => JSON.stringify(r)).sort()
  t.same(sort(await dns.read(owner, c)), sort(records))
  const child = `team.${ZONE}`
  const glue = `ns.team.${ZONE}`
  const ds = { keyTag: 12_345, algorithm: 13, digestType: 2, digest: 'ab'.repeat(32) }
  const cut = [
    {
      owner: child,
      records: [
        { name: child, ttl: 300, type: 'NS' as const, target: glue },
        { name: child, ttl: 300, type: 'DS' as const, ...ds },
      ],
    },
    { owner: glue, records: [{ name: glue, ttl: 300, type: 'A' as const, address: '192.0.2.8' }] },
  ]
  await dns.apply(cut, c)
  for (const { owner, records } of cut) t.same(sort(await dns.read(owner, c)), sort(records), owner)
  await t.rejects(dns.apply([set('flow.team', 1)], c), { code: 'FNA_ERR_EXISTS' }, 'below it is another zone')
  await dns.apply(
    cut.map(({ owner }) => ({ owner, records: [] })),
    c,
  )
  t.same(await dns.read(child, c), [])
})

const child = `team.${ZONE}`
const glue = `ns.${child}`
const ns = (target: string) => ({ name: child, ttl: 300, type: 'NS' as const, target })
const delegation = (target = glue, address = '192.0.2.8'): OwnerSet[] => [
  { owner: child, zone: ZONE, records: [ns(target)] },
  { owner: glue, zone: ZONE, records: [{ name: glue, ttl: 300, type: 'A' as const, address }] },
]
const takenBack = delegation().map(({ owner, zone }) => ({ owner, zone: zone!, records: [] }))
/** What stands in the upper zone, whoever answers for the lower one. */
const standing = (bind: Bind): string[] =>
  bind
    .dig('+noall', '+answer', 'AXFR', ZONE)
    .split('\n')
    .filter(l => /^(ns\.)?team\./.test(l) && !/\b(RRSIG|NSEC)\b/.test(l))
    .map(l => l.split(/\s+/).slice(3).join(' '))
    .sort()

t.test("the zone's key writes what leads elsewhere, the flows' key all else", { skip }, async t => {
  const bind = await started(t)
  const dns = await plugin(t, bind, { zoneKeyFile: bind.keyFile(ZONE, 'zone') })
  const txt = (owner: string) => ({
    owner,
    records: [{ name: owner, ttl: 60, type: 'TXT' as const, strings: ['v=FNAP1; d=unix.test'] }],
  })
  await dns.apply([txt(`_fnap.flows.${ZONE}`), set('_fnap._tcp.flows', 1), set('a', 1)], c)
  t.match(bind.dig('+short', 'TXT', `_fnap.flows.${ZONE}`), 'v=FNAP1')
  t.same(ports(bind, 'a'), [1])
  const host = `fnaa.${ZONE}`
  const at = (address: string) => ({ owner: host, records: [{ name: host, ttl: 60, type: 'A' as const, address }] })
  await dns.apply([at('192.0.2.1')], c)
  await dns.apply([at('192.0.2.2')], c)
  t.equal(bind.dig('+short', 'A', host), '192.0.2.2\n', 'the old address has gone')
  for (const label of [
    'k1._fnapkey',
    '_fnapkey',
    '_domainkey',
    'x._fnap',
    '_fnap.k1._fnapkey',
    '_fnap._udp.flows',
    '_fnap.*',
  ])
    await t.rejects(
      dns.apply([set(label, 1)], c),
      { code: label.includes('*') ? 'FNA_ERR_INVALID' : 'FNA_ERR_UNSUPPORTED' },
      label,
    )
  // Of the flows' key the server would not take it.
  const weak = await plugin(t, bind)
  await t.rejects(weak.apply(delegation(), c), { code: 'FNA_ERR_UNSUPPORTED', message: /zoneKeyFile/ })
  await t.rejects(weak.apply([at('192.0.2.3')], c), { code: 'FNA_ERR_EXISTS' })
})

t.test(
  'a delegation is made, changed and taken back where the server answers for the lower zone too',
  { skip },
  async t => {
    const bind = await started(t, { zones: [{ name: ZONE }, { name: child }] })
    const state = new MemoryKeyValue()
    const open = () => plugin(t, bind, { state, zoneKeyFile: bind.keyFile(ZONE, 'zone') })
    const dns = await open()
    await dns.apply(delegation(), c)
    t.same(standing(bind), ['A 192.0.2.8', `NS ${glue}.`])
    await (await open()).apply(delegation('ns.elsewhere.test', '192.0.2.9'), c)
    t.same(standing(bind), ['A 192.0.2.9', 'NS ns.elsewhere.test.'], 'by another life')
    t.match(bind.dig('+short', 'NS', child), `${glue}.`, 'the server answers from the lower zone')
    await (await open()).apply(takenBack, c)
    t.same(standing(bind), [])
    await (await open()).apply(takenBack, c)
    t.same(standing(bind), [], 'and again')
    await t.rejects(
      dns.apply([{ owner: child, records: [ns(glue)] }], c),
      { code: 'FNA_ERR_EXISTS' },
      'not ours, where no zone is named',
    )
    await t.rejects(dns.apply([{ owner: `x.${ZONE}`, zone: 'other.test', records: [] }], c), {
      code: 'FNA_ERR_FOREIGN',
    })
  },
)

t.test('a delegation that a crash left half noted; one that other hands have made', { skip }, async t => {
  const bind = await started(t)
  const state = new MemoryKeyValue()
  const open = () => plugin(t, bind, { state, zoneKeyFile: bind.keyFile(ZONE, 'zone') })
  const first = await open()
  for (const [when, left] of [
    [0, []],
    [1, ['A 192.0.2.8', `NS ${glue}.`]],
  ] as const) {
    // All of it is noted before the update, and once more after it.
    let noted = 0
    state.before = (op, key) => {
      if (op === 'put' && key.startsWith('cut/') && ++noted > when) throw new Error('the power went')
    }
    await t.rejects(first.apply(delegation(), c), /the power went/)
    t.same(standing(bind), left)
    state.before = () => {}
    const again = await open()
    await again.apply(delegation(), c)
    t.same(standing(bind), ['A 192.0.2.8', `NS ${glue}.`])
    await again.apply(takenBack, c)
    t.same(standing(bind), [])
  }
  // A change that was noted and not made: what stood before it is not forgotten, nor by the next one that is tried.
  const last = await open()
  await last.apply(delegation(), c)
  await bind.kill()
  await t.rejects(last.apply(delegation(glue, '192.0.2.20'), c), { code: 'FNA_ERR_UNAVAILABLE' })
  await bind.start()
  t.same(standing(bind), ['A 192.0.2.8', `NS ${glue}.`])
  // And a crash between two guesses.
  let noted = 0
  state.before = (op, key) => {
    if (op === 'put' && key.startsWith('cut/') && ++noted > 1) throw new Error('the power went')
  }
  await t.rejects((await open()).apply(delegation(glue, '192.0.2.22'), c), /the power went/)
  state.before = () => {}
  await (await open()).apply(delegation(glue, '192.0.2.21'), c)
  t.same(standing(bind), ['A 192.0.2.21', `NS ${glue}.`])
  await (await open()).apply(takenBack, c)
  t.same(standing(bind), [])
  bind.update(ZONE, [`update add ${child} 300 NS ns.mine.test.`])
  await t.rejects((await open()).apply(delegation(), c), { code: 'FNA_ERR_EXISTS' })
  await t.rejects((await open()).apply(takenBack, c), { code: 'FNA_ERR_EXISTS' })
  t.same(standing(bind), ['NS ns.mine.test.'])
  const dns = await open()
  const flow = dns.apply([set('beside', 1)], c)
  await t.rejects(dns.apply(delegation(), c), { code: 'FNA_ERR_EXISTS' })
  await flow
  t.same(ports(bind, 'beside'), [1], 'it holds up nobody else')
})
