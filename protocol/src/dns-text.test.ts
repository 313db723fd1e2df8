import t from 'tap'
import { fails } from './fails.test.helper.js'
import { formatFnapRecord, formatKeyRecord, isSelector, keyOwner, parseFnapRecord, parseKeyRecord } from './index.js'

t.test('the namespace record', async t => {
  t.equal(formatFnapRecord({ domain: 'unix.ar', id: '1' }), 'v=FNAP1; d=unix.ar; id=1')
  fails(t, () => formatFnapRecord({ domain: 'UNIX.ar' }), 'BADNAME')
  fails(t, () => formatFnapRecord({ domain: 'unix.ar', id: 'a;d=evil.ar' }), 'BADVALUE')
  const good: [string[][], object | null][] = [
    [[['v=FNAP1; d=unix.ar']], { domain: 'unix.ar' }],
    [[['v=FNAP1;d=UNIX.AR;id=20261123a']], { domain: 'unix.ar', id: '20261123a' }],
    [[['v=FNAP1; d=', 'unix.ar; new=x; ']], { domain: 'unix.ar' }],
    [[['v=FNAP1']], { domain: 'flows.unix.ar' }],
    [[['v=FNAP1;']], { domain: 'flows.unix.ar' }],
    [[['spf'], ['v=FNAP1; d=flows.unix.ar'], ['v=FNAP12; d=x.y']], { domain: 'flows.unix.ar' }],
    [[], null],
    [[['v=spf1 -all']], null],
    [[['V=FNAP1; d=unix.ar']], null],
  ]
  for (const [records, expected] of good)
    t.same(parseFnapRecord(records, 'flows.unix.ar'), expected, JSON.stringify(records))
  const bad = [
    'v=FNAP1; d=evil.ar',
    'v=FNAP1; d=ar',
    'v=FNAP1; d=x.flows.unix.ar',
    'v=FNAP1; d=nix.ar',
    'v=FNAP1; d=unix.ar; d=unix.ar',
    'v=FNAP1; v=FNAP1',
    'v=FNAP1; d',
    'v=FNAP1; d=',
    'v=FNAP1; =x',
    'v=FNAP1; d=unix.ar; \x01=x',
    'v=FNAP1; D=x',
  ]
  for (const text of bad) fails(t, () => parseFnapRecord([[text]], 'flows.unix.ar'), 'REMOTE', text)
  fails(
    t,
    () => parseFnapRecord([['v=FNAP1; d=unix.ar'], ['v=FNAP1; d=unix.ar']], 'flows.unix.ar'),
    'REMOTE',
    'two records',
  )
})

t.test('the key record', async t => {
  const key = Buffer.alloc(32, 7)
  const p = key.toString('base64')
  t.equal(formatKeyRecord({ key }), `v=FNAP1; k=ed25519; p=${p}`)
  t.equal(formatKeyRecord({ key: null, notAfter: 5, note: 'old one' }), 'v=FNAP1; k=ed25519; p=; x=5; n=old one')
  t.same(parseKeyRecord([[formatKeyRecord({ key, notAfter: 5, note: 'a b' })]]), { key, notAfter: 5, note: 'a b' })
  t.same(parseKeyRecord([['v=FNAP1; k=ed25519; p=']]), { key: null })
  t.equal(parseKeyRecord([]), null)
  const bad = [
    `v=FNAP1; p=${p}`,
    `v=FNAP1; k=rsa; p=${p}`,
    'v=FNAP1; k=ed25519',
    `v=FNAP1; k=ed25519; p=${p}; p=${p}`,
    'v=FNAP1; k=ed25519; p=AAAA',
    `v=FNAP1; k=ed25519; p=${p.replace('=', '')}`,
    `v=FNAP1; k=ed25519; p=${p}; x=-1`,
    `v=FNAP1; k=ed25519; p=${p}; x=1e3`,
    `v=FNAP1; k=ed25519; p=${p}!`,
  ]
  for (const text of bad) fails(t, () => parseKeyRecord([[text]]), 'REMOTE', text)
  fails(t, () => parseKeyRecord([[formatKeyRecord({ key })], [formatKeyRecord({ key: null })]]), 'REMOTE')
  fails(t, () => formatKeyRecord({ key: Buffer.alloc(31) }), 'BADVALUE')
  fails(t, () => formatKeyRecord({ key, note: 'x'.repeat(255) }), 'BADVALUE')
  fails(t, () => formatKeyRecord({ key, notAfter: -1 }), 'BADVALUE')
  t.equal(keyOwner('k2026', 'unix.ar'), 'k2026._fnapkey.unix.ar')
  for (const s of ['a', 'k2026', '2026-a', 'a'.repeat(63)]) t.ok(isSelector(s), s)
  for (const s of ['', '-a', 'a-', 'a--b', 'A', 'a.b', 'a_b', 'a'.repeat(64), 'é']) t.notOk(isSelector(s), s)
})

t.test('the word of the key before: both halves, or none', async t => {
  const key = Buffer.alloc(32, 7)
  const vouched = { by: Buffer.alloc(32, 6), signature: Buffer.alloc(64, 5) }
  const text = formatKeyRecord({ key, vouched })
  t.same(parseKeyRecord([[text]]), { key, vouched })
  t.ok(formatKeyRecord({ key, vouched, notAfter: 99_999_999_999 }).length <= 255)
  const [by, signature] = text.slice(text.indexOf('b=') + 2).split('.')
  for (const b of [
    '',
    'x',
    by,
    `${by}.`,
    `.${signature}`,
    `${by}.${signature}.`,
    `${signature}.${by}`,
    `${by} .${signature}`,
  ])
    t.same(parseKeyRecord([[`v=FNAP1; k=ed25519; p=${key.toString('base64')}; b=${b}`]]), { key }, `b=${b}`)
})
