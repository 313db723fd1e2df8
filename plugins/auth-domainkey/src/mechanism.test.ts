import { randomBytes } from 'node:crypto'
import { type TestContext, testContext } from '@fnaa/conformance'
import type { AuthService, AuthStep, Exchange, PeerInfo } from '@fnaa/core/plugin'
import { FnaError } from '@fnaa/core/plugin'
import { formatInitiator, formatKeyRecord } from '@fnaa/protocol'
import t from 'tap'
import { domainkey } from './index.js'

const c = { signal: new AbortController().signal }
const S = 'emiliano.test'
const P = 'unix.test'
const issued = { verifier: async () => null }
const capabilities = 'version=FNAP/1\r\nstarttls=no\r\nauth=DOMAINKEY-ED25519\r\n'

/** What both sides know of one TLS channel. */
function channel(more: object = {}, exporter = randomBytes(32)): PeerInfo {
  return {
    address: '192.0.2.5',
    loopback: false,
    tls: { version: 'TLSv1.3', exporter: () => exporter, alpn: 'fnap/1', ...more },
    capabilities,
  }
}

interface Zone {
  texts: Map<string, string[]>
  secure: boolean
  asked: string[]
  fail: boolean
  bogus: boolean
  ttl: number
}

/** Two agents whose `resolve` reads what both publish. */
async function agents() {
  const zone: Zone = { texts: new Map(), secure: true, asked: [], fail: false, bogus: false, ttl: 300 }
  const resolve = async (name: string) => {
    zone.asked.push(name)
    if (zone.fail) throw new FnaError('FNA_ERR_UNAVAILABLE', 'SERVFAIL')
    const texts = zone.texts.get(name) ?? []
    const records = texts.map(text => ({ name, ttl: 300, type: 'TXT' as const, strings: [text] }))
    const status = zone.bogus ? ('bogus' as const) : zone.secure ? ('secure' as const) : ('insecure' as const)
    return { records, status, ttl: zone.ttl }
  }
  const make = async (domain: string) => {
    const ctx = Object.assign(testContext([domain, `flows.${domain}`]), { resolve })
    const service = await domainkey({}).setup(ctx)
    return { ctx, service, mechanism: service.mechanisms[0]! }
  }
  const publish = async (service: AuthService) => {
    for (const set of await service.records(c)) {
      zone.texts.set(
        set.owner,
        set.records.flatMap(r => (r.type === 'TXT' ? [r.strings.join('')] : [])),
      )
    }
  }
  const [s, p] = [await make(S), await make(P)]
  await publish(s.service)
  await publish(p.service)
  t.teardown(() => Promise.all([s, p].map(a => a.service.close())))
  return { s, p, zone, publish }
}
type Agents = Awaited<ReturnType<typeof agents>>

interface Hook {
  readonly first?: (data: Uint8Array) => Uint8Array
  readonly challenge?: (data: Uint8Array) => Uint8Array
  readonly final?: (data: Uint8Array) => Uint8Array
  readonly target?: string
}

/** One log-in of S to P; each side's last step. */
async function login(
  a: Agents,
  mine = channel(),
  theirs = mine,
  hook: Hook = {},
): Promise<{ s: AuthStep; p: AuthStep | null }> {
  const initiator = a.s.mechanism.initiate!(mine, { self: S, target: hook.target ?? P })
  const responder = a.p.mechanism.accept(theirs, issued)
  const same = (x: Uint8Array) => x
  const first = await initiator.step(null, c)
  if (first.type !== 'challenge') return { s: first, p: null }
  const challenge = await responder.step((hook.first ?? same)(first.data), c)
  if (challenge.type !== 'challenge') return { s: first, p: challenge }
  const last = await initiator.step((hook.challenge ?? same)(challenge.data), c)
  if (last.type !== 'accept') return { s: last, p: null }
  return { s: last, p: await responder.step((hook.final ?? same)(last.data!), c) }
}

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

t.test('keys are remembered, and asked for again when one does not fit (F13)', async t => {
  const a = await agents()
  await login(a)
  const asked = a.zone.asked.length
  await login(a)
  t.equal(a.zone.asked.length, asked, 'from memory')
  // The same selector, another key: S was restored from nothing.
  const state = a.s.ctx.state
  state.entries.clear()
  const again = await domainkey({}).setup(a.s.ctx)
  t.teardown(() => again.close())
  await a.publish(again)
  a.s.mechanism = again.mechanisms[0]!
  t.match((await login(a)).p, { type: 'accept' }, 'one look-up more, no failure')
  t.equal(a.zone.asked.filter(name => name.endsWith(`_fnapkey.${S}`)).length, 2)
  a.p.ctx.turn(301_000)
  await login(a)
  t.equal(a.zone.asked.filter(name => name.endsWith(`_fnapkey.${S}`)).length, 3, 'five minutes at most')
})

t.test('signatures for strangers are limited', async t => {
  const a = await agents()
  const ask = (address: string) =>
    a.p.mechanism
      .accept({ ...channel(), address }, issued)
      .step(formatInitiator({ n: S, s: 'a', t: P, cn: randomBytes(24) }), c)
  for (let i = 0; i < 20; i++) t.match(await ask(`192.0.2.${i}`), { type: 'challenge' })
  await t.rejects(ask('192.0.2.200'), { code: 'FNA_ERR_UNAVAILABLE' }, 'a network has 20 at once')
  t.match(await ask('198.51.100.1'), { type: 'challenge' }, 'others are still served')
  a.p.ctx.turn(10_000)
  t.match(await ask('192.0.2.200'), { type: 'challenge' }, 'and it is again, later')
})

t.test('failed proofs are limited by network and by domain (H21)', async t => {
  const a = await agents()
  a.zone.texts.clear()
  a.s.ctx.turn(0)
  const wrong = async (address: string) => {
    const exchange: Exchange = a.p.mechanism.accept({ ...channel(), address }, issued)
    await exchange.step(formatInitiator({ n: S, s: 'a', t: P, cn: randomBytes(24) }), c)
    return exchange.step(Buffer.from(JSON.stringify({ sig: randomBytes(64).toString('base64') })), c)
  }
  for (let i = 0; i < 20; i++) t.match(await wrong(`192.0.${i}.1`), { type: 'reject' })
  await t.rejects(wrong('192.0.99.1'), { code: 'FNA_ERR_UNAVAILABLE' }, 'whoever claims that domain')
})

t.test('after close nothing is signed', async t => {
  const a = await agents()
  const exchange = a.p.mechanism.accept(channel(), issued)
  await a.p.service.close()
  await t.rejects(exchange.step(null, c), { code: 'FNA_ERR_CLOSED' })
})

t.test('a key that goes ends the sessions it proved', async t => {
  const a = await agents()
  const looks: (() => void)[] = []
  const turn = async (ctx: TestContext, ms: number) => {
    ctx.turn(ms)
    for (const look of looks.splice(0)) look()
    // The next look waits for the clock only when this one is over.
    while (looks.length === 0) await new Promise(setImmediate)
  }
  const ctx = Object.assign(testContext(['third.test']), {
    resolve: a.p.ctx.resolve,
  })
  Object.assign(ctx.clock, {
    timer: (_ms: number, signal: AbortSignal) =>
      new Promise<void>(r => {
        looks.push(r)
        signal.addEventListener('abort', () => r())
      }),
  })
  const service = await domainkey({ selector: 'k1' }).setup(ctx)
  t.teardown(() => service.close())
  await a.publish(service)
  const gone: string[] = []
  service.watch(domain => gone.push(domain))
  a.p.mechanism = service.mechanisms[0]!
  t.match((await login(a, channel(), undefined, { target: 'third.test' })).p, { type: 'accept' })
  await turn(ctx, 300_000)
  t.same(gone, [], 'the key stands')
  a.zone.fail = true
  await turn(ctx, 300_000)
  t.same(gone, [], 'no answer is no reason yet')
  a.zone.fail = false
  a.zone.texts.set(`2026a._fnapkey.${S}`, ['v=FNAP1; k=ed25519; p='])
  await turn(ctx, 300_000)
  t.same(gone, [S])
})
