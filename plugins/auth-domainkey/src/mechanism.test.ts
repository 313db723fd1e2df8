import { randomBytes } from 'node:crypto'
import type { PeerInfo } from '@fnaa/core/plugin'
import { formatInitiator, formatKeyRecord } from '@fnaa/protocol'
import t from 'tap'
import { agents, c, capabilities, channel, issued, login, P, S } from './mechanism.test.helper.js'

t.test('both sides prove their domains', async t => {
  const a = await agents()
  const { s, p } = await login(a)
  t.match(s, { type: 'accept', identity: { type: 'domain', principal: P, level: 'dnssec', expiresIn: 86_400 } })
  t.match(p, {
    type: 'accept',
    identity: { type: 'domain', principal: S, level: 'dnssec', key: { selector: '2026a' } },
  })
  t.match((p as { identity: object }).identity, { key: { fingerprint: /^[A-Za-z0-9+/]{43}$/ } })
  t.same(a.s.mechanism.needs, ['tls1.3'])
})

t.test('each side reports the level of the other one’s key (H16)', async t => {
  const a = await agents()
  a.zone.secure = false
  t.match(await login(a), { s: { identity: { level: 'dns' } }, p: { identity: { level: 'dns' } } })
  const b = await agents()
  b.zone.secure = false
  const shared = randomBytes(32)
  const done = await login(b, channel({ verified: true }, shared), channel({}, shared))
  t.match(done, { s: { identity: { level: 'pkix' } }, p: { identity: { level: 'dns' } } })
})

t.test('nothing is signed for a domain that is not ours', async t => {
  const a = await agents()
  const step = await login(a, channel(), undefined, { target: 'other.test' })
  t.match(step.p, { type: 'reject' })
  const own = { n: `flows.${P}`, s: 'x', t: P, cn: randomBytes(24) }
  t.match(
    await a.p.mechanism.accept(channel(), issued).step(formatInitiator(own), c),
    { type: 'reject' },
    'nor for one of our own',
  )
  t.match(await a.s.mechanism.initiate!(channel(), { self: 'other.test', target: P }).step(null, c), { type: 'reject' })
  t.match(await a.s.mechanism.initiate!(channel(), { self: S, target: S }).step(null, c), { type: 'reject' })
})

t.test('a relay in the middle gains nothing (two channels)', async t => {
  const a = await agents()
  t.match(await login(a, channel(), channel()), { s: { type: 'reject', log: /signature/ }, p: null })
})

t.test('messages of another exchange gain nothing', async t => {
  const a = await agents()
  const mine = channel()
  let final = new Uint8Array()
  let first = new Uint8Array()
  let challenge = new Uint8Array()
  const keep = {
    first: (d: Uint8Array) => (first = Uint8Array.from(d)),
    challenge: (d: Uint8Array) => (challenge = Uint8Array.from(d)),
    final: (d: Uint8Array) => (final = Uint8Array.from(d)),
  }
  await login(a, mine, mine, keep)
  t.match(await login(a, mine, mine, { final: () => final }), { p: { type: 'reject' } }, 'replayed final')
  t.match(
    await login(a, mine, mine, { first: () => first, final: () => final }),
    { s: { type: 'reject' } },
    'replayed first',
  )
  t.match(await login(a, mine, mine, { challenge: () => challenge }), { s: { type: 'reject' } }, 'replayed challenge')
  const mirrored = await login(a, mine, mine, {
    final: () => Buffer.from(JSON.stringify({ sig: JSON.parse(Buffer.from(challenge).toString()).sig })),
  })
  t.match(mirrored.p, { type: 'reject' }, 'the responder’s own signature is not the initiator’s')
})

t.test('an impostor has no key', async t => {
  const a = await agents()
  const owner = `2026a._fnapkey.${S}`
  a.zone.texts.set(owner, [formatKeyRecord({ key: randomBytes(32) })])
  t.match((await login(a)).p, { type: 'reject', log: new RegExp(S) })
  a.zone.texts.delete(owner)
  a.p.ctx.turn(61_000)
  t.match((await login(await agents())).p, { type: 'accept' }, 'while another pair works')
})

t.test('absent, revoked, expired and ambiguous keys are a no', async t => {
  const owner = `2026a._fnapkey.${S}`
  const cases: [string, (old: string) => string[]][] = [
    ['absent', () => []],
    ['revoked', () => ['v=FNAP1; k=ed25519; p=']],
    ['expired', old => [`${old}; x=1000`]],
    ['two of them', old => [old, old]],
    ['another algorithm', old => [old.replace('ed25519', 'rsa')]],
    ['other text', () => ['v=spf1 -all']],
  ]
  for (const [what, change] of cases) {
    const a = await agents()
    a.zone.texts.set(owner, change(a.zone.texts.get(owner)![0]!))
    t.match((await login(a)).p, { type: 'reject' }, what)
  }
  const a = await agents()
  a.zone.texts.set(owner, [...a.zone.texts.get(owner)!, 'v=spf1 -all'])
  t.match((await login(a)).p, { type: 'accept' }, 'beside a record of another kind')
})

t.test('no answer of DNS, or a bogus one, is a temporary failure', async t => {
  for (const what of ['fail', 'bogus'] as const) {
    const a = await agents()
    a.zone[what] = true
    await t.rejects(login(a), { code: 'FNA_ERR_UNAVAILABLE' }, what)
  }
})

t.test('the channel must be fit', async t => {
  const a = await agents()
  const unfit: [string, PeerInfo][] = [
    ['no TLS', { ...channel(), tls: null }],
    ['TLS 1.2', channel({ version: 'TLSv1.2' })],
    ['no CAPABILITIES (H19)', { ...channel(), capabilities: '' }],
    ['ALPN not selected (H20)', channel({ alpn: null })],
    ['ALPN of another protocol', channel({ alpn: 'h2' })],
    ['a short exporter', channel({ exporter: () => randomBytes(16) })],
  ]
  const first = formatInitiator({ n: S, s: '2026a', t: P, cn: randomBytes(24) })
  for (const [what, peer] of unfit) {
    t.match(await a.s.mechanism.initiate!(peer, { self: S, target: P }).step(null, c), { type: 'reject' }, what)
    t.match(await a.p.mechanism.accept(peer, issued).step(first, c), { type: 'reject' }, what)
  }
  t.match(await login(a, channel({ alpn: 'fnap/1' })), { p: { type: 'accept' } })
})

t.test('CAPABILITIES that was changed on the way is noticed (H19)', async t => {
  const a = await agents()
  const mine = channel()
  t.match(await login(a, mine, { ...mine, capabilities: `${capabilities}extra=1\r\n` }), { s: { type: 'reject' } })
})

t.test('malformed messages are a no', async t => {
  const a = await agents()
  const sent = (more: object) =>
    Buffer.from(JSON.stringify({ n: S, s: '2026a', t: P, cn: randomBytes(24).toString('base64'), ...more }))
  for (const bad of [
    sent({ x: '1' }),
    sent({ cn: 'AA==' }),
    sent({ n: P }),
    sent({ s: 'UPPER' }),
    Buffer.from('[]'),
    Buffer.alloc(0),
    Buffer.from('{"__proto__":"x"}'),
  ]) {
    t.match(await a.p.mechanism.accept(channel(), issued).step(bad, c), { type: 'reject' }, bad.toString())
  }
  t.match((await login(a, channel(), undefined, { final: () => Buffer.from('{"sig":""}') })).p, { type: 'reject' })
})

t.test('an exchange runs once', async t => {
  const a = await agents()
  const exchange = a.p.mechanism.accept(channel(), issued)
  t.match(await exchange.step(null, c), { type: 'challenge', data: new Uint8Array() })
  exchange.abort()
  t.match(await exchange.step(formatInitiator({ n: S, s: 'a', t: P, cn: randomBytes(24) }), c), { type: 'reject' })
  const first = a.s.mechanism.initiate!(channel(), { self: S, target: P })
  await first.step(null, c)
  first.abort()
  t.match(await first.step(Buffer.from('{}'), c), { type: 'reject' })
})

t.test('who a key succeeds is said where that one vouches for it, and not on the word of another', async t => {
  const a = await agents()
  const succeeded = async () => {
    const { p } = await login(a)
    return p?.type === 'accept' ? p.identity.key : p
  }
  const first = await succeeded()
  t.match(first, { selector: '2026a', succeeds: undefined })
  await a.s.service.admin.find(x => x.name === 'key rotate')!.run([], {}, c)
  a.s.ctx.turn(601_000)
  await a.publish(a.s.service)
  t.match(await succeeded(), { selector: '2026b', succeeds: (first as { fingerprint: string }).fingerprint })
  const owner = `2026b._fnapkey.${S}`
  const [text] = a.zone.texts.get(owner)!
  const [head, b] = text!.split('; b=')
  const [by, signature] = b!.split('.')
  const other = Buffer.from(by!, 'base64')
  other[0]! ^= 1
  for (const broken of [
    `${by}.${Buffer.alloc(64, 1).toString('base64')}`,
    `${other.toString('base64')}.${signature}`,
    `${Buffer.alloc(32).toString('base64')}.${Buffer.alloc(64, 2).toString('base64')}`,
  ]) {
    a.zone.texts.set(owner, [`${head}; b=${broken}`])
    a.p.ctx.turn(301_000)
    const expected = { selector: '2026b', succeeds: undefined }
    t.match(await succeeded(), expected, 'the key itself is as good as before')
  }
})

t.test('a key may be behind an alias where every step is signed', async t => {
  const a = await agents()
  a.zone.alias = 'keys.hoster.test'
  t.match(await login(a), { s: { type: 'accept' }, p: { type: 'accept' } })
  const b = await agents()
  b.zone.alias = 'keys.hoster.test'
  b.zone.secure = false
  t.match((await login(b)).s, { type: 'reject', log: /alias/ })
})
