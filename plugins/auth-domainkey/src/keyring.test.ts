import { verify } from 'node:crypto'
import { ed25519Key } from '@fnaa/client'
import { testContext } from '@fnaa/conformance'
import { parseKeyRecord, succession } from '@fnaa/protocol'
import t from 'tap'
import { domainkey } from './index.js'

const c = { signal: new AbortController().signal }
const DAY = 86_400_000

async function started(domains = ['unix.test', 'flows.unix.test']) {
  const ctx = testContext(domains)
  const service = await domainkey({}).setup(ctx)
  t.teardown(() => service.close())
  const run = (name: string, ...args: string[]) => service.admin.find(a => a.name === name)!.run(args, {}, c)
  const texts = async () =>
    Object.fromEntries(
      (await service.records(c)).map(set => [set.owner, set.records.map(r => (r.type === 'TXT' ? r.strings : []))]),
    )
  return { ctx, service, run, texts }
}

t.test('the first key is made at the first start, and kept', async t => {
  const { ctx, service, run } = await started()
  const sets = await service.records(c)
  t.same(
    sets.map(s => s.owner),
    ['2026a._fnapkey.unix.test', '2026a._fnapkey.flows.unix.test'],
    'for every domain',
  )
  t.match(sets[0]!.records, [{ type: 'TXT', ttl: 180, strings: [/^v=FNAP1; k=ed25519; p=[A-Za-z0-9+/]{43}=$/] }])
  const again = await domainkey({}).setup(ctx)
  t.teardown(() => again.close())
  t.same(await again.records(c), sets)
  t.same((await run('key init'))[0], 'there is a key already')
  t.match(await run('key show'), [
    /^2026a {2}current {2}[A-Za-z0-9+/]{43} {2}since 2026-/,
    'in DNS:',
    /^2026a\._fnapkey\.unix\.test\. 180 IN TXT "v=FNAP1/,
  ])
})

t.test('the secret does not leave the state', async t => {
  const { run, ctx } = await started()
  const pkcs8 = JSON.parse(Buffer.from(ctx.state.entries.get('keys')!.value).toString())[0].pkcs8
  t.notOk((await run('key show')).join('\n').includes(pkcs8))
})

t.test('rotation: published first, used later, the old one valid for a day, then revoked, then gone', async t => {
  const { ctx, run, texts, service } = await started(['unix.test'])
  const old = '2026a._fnapkey.unix.test'
  const next = '2026b._fnapkey.unix.test'
  await run('key rotate')
  t.same(Object.keys(await texts()), [old, next])
  const current = async () => (await service.health(c)).detail
  t.equal(await current(), 'key 2026a', 'the new one waits until DNS knows it')
  ctx.turn(601_000)
  t.equal(await current(), 'key 2026b')
  t.ok(parseKeyRecord((await texts())[old]!)!.key, 'sessions of the old one live on')
  ctx.turn(DAY)
  t.same((await texts())[old], [['v=FNAP1; k=ed25519; p=']])
  ctx.turn(30 * DAY)
  t.same((await texts())[old], [], 'its name is taken out of DNS')
  t.ok(parseKeyRecord((await texts())[next]!)!.key)
  ctx.turn(31 * DAY)
  await run('key rotate')
  t.notOk(Object.keys(await texts()).includes(old), 'and forgotten')
})

t.test('a revoked key is replaced at once, its secret forgotten', async t => {
  const { ctx, run, texts, service } = await started(['unix.test'])
  await run('key revoke', '2026a')
  t.same((await texts())['2026a._fnapkey.unix.test'], [['v=FNAP1; k=ed25519; p=']])
  t.equal((await service.health(c)).detail, 'key 2026b')
  t.equal(JSON.parse(Buffer.from(ctx.state.entries.get('keys')!.value).toString())[0].pkcs8, undefined)
  await t.rejects(run('key revoke', '2026a'), { code: 'FNA_ERR_NOTFOUND' })
  await t.rejects(run('key revoke'), { code: 'FNA_ERR_INVALID' })
  await t.rejects(run('key show', 'x'), { code: 'FNA_ERR_INVALID' })
})

t.test('a change beside the running agent is not lost', async t => {
  const { ctx, run, texts } = await started(['unix.test'])
  const beside = await domainkey({}).setup(ctx)
  t.teardown(() => beside.close())
  await beside.admin.find(a => a.name === 'key rotate')!.run([], {}, c)
  await run('key rotate')
  t.same(
    Object.keys(await texts()).map(o => o.split('.')[0]),
    ['2026a', '2026b', '2026c'],
  )
})

t.test("a rotated key has the word of the one before it; one after a revoked key has nobody's", async t => {
  const { ctx, run, texts } = await started(['unix.test'])
  const record = async (selector: string) => parseKeyRecord((await texts())[`${selector}._fnapkey.unix.test`]!)!
  const first = await record('2026a')
  t.equal(first.vouched, undefined)
  await run('key rotate')
  const second = await record('2026b')
  t.same(second.vouched!.by, first.key)
  const message = succession(first.key!, second.key!)
  t.ok(verify(null, message, ed25519Key(first.key!), second.vouched!.signature))
  ctx.turn(2 * DAY)
  await run('key revoke', '2026b')
  t.equal((await record('2026c')).vouched, undefined)
})
