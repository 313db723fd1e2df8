import { MemoryKeyValue } from '@fnaa/conformance'
import { isFna } from '@fnaa/core/plugin'
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
