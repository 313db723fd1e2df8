import { randomBytes } from 'node:crypto'
import { plain } from '@fnaa/client'
import { mintId } from '@fnaa/protocol'
import t from 'tap'
import { type SaslOptions, sasl } from './index.js'
import { bytes, c, mechanism, nobody, PASSWORD, peer, run, started, tryPlain, tryScram } from './sasl.test.helper.js'

t.test('offers what the options say', async t => {
  const names = async (o: SaslOptions) => (await started(o)).service.mechanisms.map(m => m.name)
  t.same(await names({}), ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'PLAIN'])
  t.same(await names({ anonymous: true }), ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'PLAIN', 'ANONYMOUS'])
  t.same(await names({ mechanisms: ['PLAIN'] }), ['PLAIN'])
  t.same(sasl({ mechanisms: ['PLAIN'] }).manifest.supports.mechanisms, ['PLAIN'], 'and the manifest says the same')
  const { service } = await started()
  t.same(mechanism(service, 'PLAIN').needs, ['tls'])
  t.same(mechanism(service, 'SCRAM-SHA-256-PLUS').needs, ['tls1.3'])
  const clear = await started({ plainInClear: 'loopback' })
  t.same(mechanism(clear.service, 'PLAIN').needs, ['tls', 'loopback'])
})

t.test('PLAIN', async t => {
  const { service } = await started()
  const ok = { type: 'accept', identity: { type: 'user', principal: 'test@unix.test' } }
  for (const message of [
    `\0test\0${PASSWORD}`,
    `\0test@unix.test\0${PASSWORD}`,
    `\0TEST\0${PASSWORD}`,
    `test\0test\0${PASSWORD}`,
  ]) {
    t.match(await tryPlain(service, message), ok, JSON.stringify(message))
  }
  const bad = [
    '',
    '\0',
    `\0test\0${PASSWORD}\0`,
    `test\0${PASSWORD}`,
    '\0test\0wrong',
    `\0test\0${PASSWORD} `,
    '\0test\0',
    `\0\0${PASSWORD}`,
    `\0nobody\0${PASSWORD}`,
    `\0test@flows.unix.test\0${PASSWORD}`,
    `\0test@other.test\0${PASSWORD}`,
    `root\0test\0${PASSWORD}`,
    `\0${mintId(randomBytes(16))}\0${PASSWORD}`,
    `\0test\0${'x'.repeat(5000)}`,
  ]
  for (const message of bad)
    t.match(await tryPlain(service, message), { type: 'reject' }, JSON.stringify(message).slice(0, 60))
  const raw = Buffer.from([0, 0x74, 0xff, 0, 0x61])
  t.match(await mechanism(service, 'PLAIN').accept(peer(), nobody).step(raw, c), { type: 'reject' }, 'no UTF-8')
  const exchange = mechanism(service, 'PLAIN').accept(peer(), nobody)
  t.match(await exchange.step(null, c), { type: 'challenge', data: new Uint8Array() }, 'the thesis’s empty challenge')
  t.match(await exchange.step(bytes(`\0test\0${PASSWORD}`), c), ok)
  t.match(await exchange.step(bytes(`\0test\0${PASSWORD}`), c), { type: 'reject' }, 'once')
  t.match(
    (
      await run(
        plain({ user: 'test', password: PASSWORD, peer: peer() }),
        mechanism(service, 'PLAIN').accept(peer(), nobody),
      )
    ).server,
    ok,
  )
})

t.test('a wrong password, an unknown user and a disabled one are told apart in the log alone', async t => {
  const { service, run: admin, hashes } = await started()
  await admin('user add', ['off'], PASSWORD)
  await admin('user disable', ['off'])
  const before = hashes()
  const logs = new Set<string>()
  for (const message of ['\0test\0wrong', '\0ghost\0wrong', `\0off\0${PASSWORD}`, '\0Bad User!\0wrong', '']) {
    const step = await tryPlain(service, message)
    t.equal(step.type, 'reject')
    logs.add((step as { log: string }).log)
  }
  t.equal(hashes() - before, 5, 'the same work for each')
  t.equal(logs.size, 4)
  for (const log of logs) t.notMatch(log, /correct horse/, 'no password in the log')
})

t.test('ANONYMOUS', async t => {
  const { service } = await started({ anonymous: true })
  const anonymous = mechanism(service, 'ANONYMOUS')
  t.match(await anonymous.accept(peer(), nobody).step(bytes('trace'), c), {
    type: 'accept',
    identity: { type: 'anonymous', principal: 'anonymous' },
  })
  t.match(await anonymous.accept(peer(), nobody).step(null, c), { type: 'challenge' })
  t.match(await anonymous.accept(peer(), nobody).step(Buffer.alloc(2000), c), { type: 'reject' })
})

t.test('fnaad user …', async t => {
  const { service, run: admin } = await started()
  const changed: string[] = []
  service.watch(principal => changed.push(principal))
  t.same(await admin('user add', ['bob@flows.unix.test'], 'a long password'), ['user bob@flows.unix.test added'])
  t.match(await admin('user add', ['amy'], 'short'), ['user amy@unix.test added', /^warning: /])
  t.match(await admin('user list', []), [
    /^amy@unix\.test {2}active/,
    /^bob@flows\.unix\.test {2}active/,
    /^test@unix\.test/,
  ])
  await t.rejects(admin('user add', ['amy'], PASSWORD), { code: 'FNA_ERR_EXISTS' })
  for (const name of ['', 'x y', 'amy@other.test', 'amy@', 'a'.repeat(65), '../x']) {
    await t.rejects(admin('user add', [name], PASSWORD), { code: 'FNA_ERR_INVALID' }, name)
  }
  await t.rejects(admin('user add', ['zoe']), { code: 'FNA_ERR_INVALID' }, 'no password')
  await t.rejects(admin('user add', ['zoe'], ''), { code: 'FNA_ERR_INVALID' }, 'an empty one')
  await t.rejects(admin('user add', ['zoe'], 'a\u0007b'), { code: 'FNA_ERR_INVALID' }, 'a forbidden character')
  await t.rejects(admin('user passwd', ['zoe'], PASSWORD), { code: 'FNA_ERR_NOTFOUND' })
  await t.rejects(admin('user remove', ['zoe']), { code: 'FNA_ERR_NOTFOUND' })
  t.same(changed, [])
  await admin('user passwd', ['amy'], 'another password')
  t.match(await tryPlain(service, '\0amy\0short'), { type: 'reject' })
  t.match(await tryPlain(service, '\0amy\0another password'), { type: 'accept' })
  await admin('user disable', ['amy'])
  t.match((await tryScram(service, 'amy', 'another password')).server, { type: 'reject' })
  await admin('user enable', ['amy'])
  t.match((await tryScram(service, 'amy', 'another password')).server, { type: 'accept' })
  await admin('user remove', ['amy'])
  t.match(await tryPlain(service, '\0amy\0another password'), { type: 'reject' })
  t.same(changed, ['amy@unix.test', 'amy@unix.test', 'amy@unix.test'], 'H7: password, disabled, removed')
})

t.test('passwords beyond ASCII', async t => {
  const { service, run: admin } = await started()
  await admin('user add', ['eve'], 'Pa\u00dfwort \u{1f511} \u212b\u00adx')
  t.match(
    await tryPlain(service, '\0eve\0Pa\u00dfwort \u{1f511} \u00c5x'),
    { type: 'accept' },
    'compared in their prepared form',
  )
  t.match((await tryScram(service, 'eve', 'Pa\u00dfwort \u{1f511} \u00c5x')).server, { type: 'accept' })
})

t.test('the state holds no password, and close is final', async t => {
  const { ctx, service } = await started()
  for (const { value } of ctx.state.entries.values()) t.notOk(Buffer.from(value).includes(PASSWORD))
  const exchange = mechanism(service, 'PLAIN').accept(peer(), nobody)
  await service.close()
  await t.rejects(exchange.step(bytes(`\0test\0${PASSWORD}`), c), { code: 'FNA_ERR_CLOSED' })
})
