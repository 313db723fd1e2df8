import fc from 'fast-check'
import t from 'tap'
import { fails } from './fails.test.helper.js'
import {
  agentRecords,
  checkRecord,
  type DnsRecord,
  flowOwners,
  flowRecords,
  instanceOwner,
  instanceRecords,
  isIPv4,
  isIPv6,
  isOwner,
  isReservedOwner,
  listingRecords,
  MOST_LISTED,
  parseWords,
} from './index.js'

const F = 'notifications.calendar.people.syndeno.com'
const base = { name: 'a.b', ttl: 300 }
const txt = (...strings: string[]): DnsRecord => ({ ...base, type: 'TXT', strings })

t.test('the layout of annex B', async t => {
  const sets = flowRecords({
    flow: F,
    agent: { host: 'fnaa.syndeno.com', port: 65432, tls: true },
    queue: { type: 'kafka', servers: [{ host: 'kafka.syndeno.com', port: 9092 }], words: { tls: true } },
  })
  const show = (r: DnsRecord) => {
    const data =
      r.type === 'PTR'
        ? r.target
        : r.type === 'SRV'
          ? `${r.priority} ${r.weight} ${r.port} ${r.target}`
          : r.type === 'TXT'
            ? r.strings.map(s => `"${s}"`).join(' ')
            : ''
    return `${r.name} ${r.ttl} ${r.type} ${data}`
  }
  t.same(
    sets.map(s => s.owner),
    flowOwners(F),
  )
  t.same(
    sets.flatMap(s => s.records.map(show)),
    [
      `${F} 300 PTR _flow._tcp.${F}`,
      `${F} 300 SRV 0 0 65432 fnaa.syndeno.com`,
      `_flow._tcp.${F} 300 SRV 30 30 65432 fnaa.syndeno.com`,
      `_flow._tcp.${F} 300 TXT "tls"`,
      `_queue._flow._tcp.${F} 300 SRV 30 30 9092 kafka.syndeno.com`,
      `_queue._flow._tcp.${F} 300 TXT "broker-type=kafka tls"`,
    ],
  )
  for (const { owner, records } of sets) for (const r of records) t.equal(r.name, owner)
  const starttls = flowRecords({ flow: F, agent: { host: 'fnaa.syndeno.com', port: 1 }, ttl: 60 })
  t.equal(starttls.length, 2)
  t.match(starttls[1]!.records[1], { type: 'TXT', strings: [''], ttl: 60 })
})

t.test('public flows for who browses (RFC 6763)', async t => {
  const ns = 'people.syndeno.com'
  const owner = `_flow._tcp.${ns}`
  const services = `_services._dns-sd._udp.${ns}`
  const instance = `notifications--calendar.${owner}`
  t.equal(instanceOwner(F, ns), instance)
  t.same(listingRecords(ns, [F]), [
    { owner, records: [{ name: owner, ttl: 300, type: 'PTR', target: instance }] },
    { owner: services, records: [{ name: services, ttl: 300, type: 'PTR', target: owner }] },
  ])
  t.same(listingRecords(ns, []), [
    { owner, records: [] },
    { owner: services, records: [] },
  ])
  t.same(instanceRecords({ flow: F, namespace: ns, agent: { host: 'fnaa.syndeno.com', port: 65432, tls: true } }), {
    owner: instance,
    records: [
      { name: instance, ttl: 300, type: 'SRV', priority: 30, weight: 30, port: 65432, target: 'fnaa.syndeno.com' },
      { name: instance, ttl: 300, type: 'TXT', strings: [`flow=${F}`, 'tls'] },
    ],
  })
  t.same(flowOwners(F, ns).at(-1), instance)
  const own = [
    'a.b',
    'a-b',
    'a--b',
    'a---b',
    'a.b-c',
    'a-b.c',
    'a--b.c',
    'a.b--c',
    'x'.repeat(63),
    `${'x'.repeat(63)}.a`,
  ]
  const long = ['y', 'z'].map(last => Array(4).fill('x'.repeat(30)).concat(last).join('.'))
  const labels = [...own, ...long].map(name => instanceOwner(`${name}.${ns}`, ns).split('.')[0]!)
  t.equal(new Set(labels).size, labels.length, 'no two names become one')
  for (const label of labels) t.ok(isOwner(label), label)
})

t.test('H13: an instance says whose it is: no flow takes the instance of another', async t => {
  const ns = 'a.test'
  const labelOf = (own: string) => instanceOwner(`${own}.${ns}`, ns).split('.')[0]!
  /** What a label says, read backwards; null: it ends in a digest. */
  const ownOf = (label: string): string | null =>
    /(?<!-)---(?!-)/.test(label)
      ? null
      : label.replace(/-{2,}/g, run => (run.length === 2 ? '.' : '-'.repeat(run.length - 2)))
  const letter = fc.constantFrom('a', 'b', '0')
  const label = fc
    .tuple(letter, fc.array(fc.constantFrom('a', '-', '--', '---', '----'), { maxLength: 18 }), letter)
    .map(([first, inner, last]) => `${first}${inner.join('')}${last}`.slice(0, 62).replace(/-+$/, ''))
  const names = fc.array(label, { minLength: 1, maxLength: 4 }).map(labels => labels.join('.'))
  let long = 0
  fc.assert(
    fc.property(names, own => {
      const label = labelOf(own)
      if (label.length > 63 || !isOwner(label)) throw new Error(`${label} is no label`)
      const said = ownOf(label)
      if (said === null) long++
      else if (said !== own) throw new Error(`${label} is ${said} too, beside ${own}`)
    }),
    { seed: 12, numRuns: 5000 },
  )
  t.ok(long > 100, `${long} names had digests`)
  const victim = labelOf('quarterly-results-of-the-merger-with-contoso-2026.internal-draft-for-the-board')
  t.equal(victim.length, 63)
  t.not(labelOf(victim), victim, 'a flow that is called like a digest')
})

t.test('H13: a listing is no longer than a name server takes, and always the same', async t => {
  const flows = Array.from({ length: 130 }, (_, i) => `f${String(i).padStart(3, '0')}.a.test`)
  const of = (names: string[]) => listingRecords('a.test', names)[0]!.records.map(r => 'target' in r && r.target)
  const listed = of(flows)
  t.equal(listed.length, MOST_LISTED)
  t.same([listed[0], listed.at(-1)], ['f000._flow._tcp.a.test', 'f099._flow._tcp.a.test'])
  t.same(of([...flows].reverse()), listed)
})

t.test('TXT words', async t => {
  const words = { topic: 'x y', note: 'z'.repeat(200), more: 'z'.repeat(100) }
  const [, , queue] = flowRecords({
    flow: F,
    agent: { host: 'a.b', port: 1 },
    queue: { type: 'sqs', servers: [], words },
  })
  const { strings } = queue!.records[0] as { strings: string[] } & DnsRecord
  t.equal(strings.length, 2)
  t.same(
    [...parseWords(strings).entries()],
    [
      ['broker-type', 'sqs'],
      ['topic', 'x%20y'],
      ['note', words.note],
      ['more', words.more],
    ],
  )
  t.same(
    [...parseWords(['broker-type=kafka tls', 'tls=no'])],
    [
      ['broker-type', 'kafka'],
      ['tls', true],
    ],
  )
  for (const evil of [
    { v: 'FNAP1' },
    { 'a b': 'x' },
    { topic: 'x;y' },
    { topic: '"' },
    { topic: '\\' },
    { topic: 'x'.repeat(300) },
  ]) {
    fails(
      t,
      () =>
        flowRecords({
          flow: F,
          agent: { host: 'a.b', port: 1 },
          queue: { type: 'kafka', servers: [], words: evil as never },
        }),
      'BADVALUE',
      JSON.stringify(evil).slice(0, 40),
    )
  }
})

t.test('what leads to an agent', async t => {
  const sets = agentRecords({
    agent: { host: 'fnaa.unix.ar', port: 61000 },
    addresses: ['192.0.2.1', '2001:db8::1'],
    namespaces: [{ name: 'flows.unix.ar', domain: 'unix.ar' }],
  })
  t.same(sets, [
    {
      owner: 'fnaa.unix.ar',
      records: [
        { name: 'fnaa.unix.ar', ttl: 300, type: 'SRV', priority: 0, weight: 0, port: 61000, target: 'fnaa.unix.ar' },
        { name: 'fnaa.unix.ar', ttl: 300, type: 'A', address: '192.0.2.1' },
        { name: 'fnaa.unix.ar', ttl: 300, type: 'AAAA', address: '2001:db8::1' },
      ],
    },
    {
      owner: '_fnap._tcp.flows.unix.ar',
      records: [
        {
          name: '_fnap._tcp.flows.unix.ar',
          ttl: 300,
          type: 'SRV',
          priority: 0,
          weight: 0,
          port: 61000,
          target: 'fnaa.unix.ar',
        },
      ],
    },
    {
      owner: '_fnap.flows.unix.ar',
      records: [{ name: '_fnap.flows.unix.ar', ttl: 300, type: 'TXT', strings: ['v=FNAP1; d=unix.ar'] }],
    },
  ])
})

t.test('nothing unsafe becomes a record', async t => {
  const badNames = [
    '',
    '.',
    'a..b',
    'a.',
    '.a',
    'a b',
    'A.b',
    '*.a.b',
    'a\\.b',
    'é.b',
    'a/b',
    '-a.b',
    'a-',
    '_',
    '__a.b',
    'a_b.c',
    `${'a'.repeat(64)}.b`,
    `${'a'.repeat(200)}.x`,
    'a\0.b',
    `${'a.'.repeat(127)}aa`,
  ]
  for (const name of badNames) {
    t.notOk(isOwner(name), name)
    fails(t, () => checkRecord({ ...base, name, type: 'A', address: '192.0.2.1' }), 'BADNAME', name)
    fails(t, () => checkRecord({ ...base, type: 'PTR', target: name }), 'BADNAME', `PTR ${name}`)
    fails(
      t,
      () => checkRecord({ ...base, type: 'SRV', priority: 0, weight: 0, port: 1, target: name }),
      'BADNAME',
      `SRV ${name}`,
    )
    fails(t, () => checkRecord({ ...base, type: 'NS', target: name }), 'BADNAME', `NS ${name}`)
  }
  fails(t, () => checkRecord({ ...base, type: 'SRV', priority: 0, weight: 0, port: 1, target: '_fnap.a.b' }), 'BADNAME')
  // 300 bytes would be written as a string of 44 and whatever follows it, chosen by the attacker.
  const smuggled = [
    `d=${'A'.repeat(42)}\x10v=flow1;admin=1;`.padEnd(300, 'A'),
    'a\x10b',
    '\x7f',
    'x"y',
    'x\\y',
    'ñ',
    'a;b',
    'v=FNAP1',
    'V=spf1',
    '\r\n',
    'x'.repeat(256),
  ]
  for (const text of smuggled) fails(t, () => checkRecord(txt(text)), 'BADVALUE', JSON.stringify(text).slice(0, 40))
  fails(t, () => checkRecord(txt()), 'BADVALUE', 'no string')
  fails(t, () => checkRecord(txt(...Array(17).fill('x'))), 'BADVALUE', '17 strings')
  t.ok(checkRecord(txt('', 'broker-type=kafka topic=a.b tls', 'x'.repeat(255))))
  t.ok(checkRecord({ name: '_fnap.a.b', ttl: 0, type: 'TXT', strings: ['v=FNAP1; d=a.b'] }))
  for (const ttl of [-1, 1.5, Number.NaN, 2 ** 31, '300' as never])
    fails(t, () => checkRecord({ ...txt('x'), ttl }), 'BADVALUE', `${ttl}`)
  for (const port of [-1, 65_536, 1.5])
    fails(t, () => checkRecord({ ...base, type: 'SRV', priority: 0, weight: 0, port, target: 'a.b' }), 'BADVALUE')
  for (const digest of ['', 'zz', 'a'.repeat(41), 'a'.repeat(130)]) {
    fails(t, () => checkRecord({ ...base, type: 'DS', keyTag: 1, algorithm: 13, digestType: 2, digest }), 'BADVALUE')
  }
  t.ok(checkRecord({ ...base, type: 'DS', keyTag: 1, algorithm: 13, digestType: 2, digest: 'ab'.repeat(32) }))
  t.ok(checkRecord({ ...base, type: 'NS', target: 'ns.a.b' }))
  fails(t, () => checkRecord({ ...base, type: 'CNAME', target: 'a.b' } as never), 'BADVALUE')
})

t.test('addresses', async t => {
  for (const ok of ['0.0.0.0', '192.0.2.1', '255.255.255.255']) t.ok(isIPv4(ok), ok)
  for (const bad of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '0x7f.0.0.1',
    '127.1',
    '2130706433',
    '1.2.3.4 ',
    '1.2.3.-4',
    '١.2.3.4',
  ])
    t.notOk(isIPv4(bad), bad)
  for (const ok of [
    '::',
    '::1',
    '2001:db8::1',
    '1:2:3:4:5:6:7:8',
    '::ffff:192.0.2.1',
    '1:2:3:4:5:6:192.0.2.1',
    'fe80::',
    'ABCD::ef',
  ])
    t.ok(isIPv6(ok), ok)
  for (const bad of [
    '',
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    '::1%lo',
    'g::',
    '1:2:3:4:5:6:7::8:9',
    '::192.0.2.256',
    '192.0.2.1::',
    '1:2:3:4:5:6:7:8::',
    ':1::2',
    '1.2.3.4',
  ])
    t.notOk(isIPv6(bad), bad)
})

t.test('owners that are the operator’s', async t => {
  for (const name of ['_fnap.a.b', 'k1._fnapkey.a.b', 'x._domainkey.a.b', '*.a.b', '_FNAP.a.b'])
    t.ok(isReservedOwner(name), name)
  for (const name of ['a.b', '_flow._tcp.a.b', '_fnapx.a.b', '_queue._flow._tcp.a.b'])
    t.notOk(isReservedOwner(name), name)
})
