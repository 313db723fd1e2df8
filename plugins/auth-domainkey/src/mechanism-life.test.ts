import { randomBytes } from 'node:crypto'
import { type TestContext, testContext } from '@fnaa/conformance'
import type { Exchange, Identity } from '@fnaa/core/plugin'
import { formatInitiator } from '@fnaa/protocol'
import t from 'tap'
import { domainkey } from './index.js'
import { agents, c, channel, issued, login, P, S } from './mechanism.test.helper.js'

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

t.test('H21: who claims a domain without its key locks nobody out who has proved it', async t => {
  const a = await agents()
  t.match((await login(a)).p, { type: 'accept' })
  const wrong = async (address: string) => {
    const exchange: Exchange = a.p.mechanism.accept({ ...channel(), address }, issued)
    await exchange.step(formatInitiator({ n: S, s: '2026a', t: P, cn: randomBytes(24) }), c)
    return exchange.step(Buffer.from(JSON.stringify({ sig: randomBytes(64).toString('base64') })), c)
  }
  for (let i = 0; i < 20; i++) t.match(await wrong(`203.0.${i}.9`), { type: 'reject' })
  await t.rejects(wrong('203.0.99.9'), { code: 'FNA_ERR_UNAVAILABLE' }, 'others are slowed')
  t.match((await login(a)).p, { type: 'accept' }, 'the domain itself is not')
  a.p.ctx.turn(1000)
  for (let i = 0; i < 20; i++) t.match(await wrong('192.0.2.77'), { type: 'reject' })
  a.p.ctx.turn(2000)
  await t.rejects(wrong('192.0.2.77'), { code: 'FNA_ERR_UNAVAILABLE' }, 'its network has a bucket too')
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
  const gone: unknown[] = []
  service.watch((domain, key, ended) => gone.push(domain, key, ended))
  a.p.mechanism = service.mechanisms[0]!
  const proved = await login(a, channel(), undefined, { target: 'third.test' })
  t.match(proved.p, { type: 'accept' })
  await turn(ctx, 300_000)
  t.same(gone, [], 'the key stands')
  a.zone.fail = true
  await turn(ctx, 300_000)
  t.same(gone, [], 'no answer is no reason yet')
  a.zone.fail = false
  a.zone.texts.set(`2026a._fnapkey.${S}`, ['v=FNAP1; k=ed25519; p='])
  await turn(ctx, 300_000)
  const { key } = (proved.p as { identity: Identity }).identity
  t.same(gone, [S, key?.fingerprint, true], 'and it is said which, and that it is for good')
  a.zone.texts.clear()
  await a.publish(a.s.service)
  await login(a, channel(), undefined, { target: 'third.test' })
  a.zone.secure = false
  await turn(ctx, 300_000)
  t.same(gone.slice(3), [S, key?.fingerprint, false], 'nor does one whose zone is not signed any more')
})
