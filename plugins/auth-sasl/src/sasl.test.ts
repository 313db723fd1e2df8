import { randomBytes } from 'node:crypto'
import {
  clientProof,
  finalWithoutProof,
  formatRecord,
  makeRecord,
  parseServerFirst,
  plain,
  saltedPassword,
  scram,
} from '@fnaa/client'
import { testContext } from '@fnaa/conformance'
import type { Accounts, AuthService, AuthStep, Exchange, PeerInfo } from '@fnaa/core/plugin'
import { mintId } from '@fnaa/protocol'
import t from 'tap'
import { type SaslOptions, sasl } from './index.js'

const c = { signal: new AbortController().signal }
const nobody: Accounts = { verifier: async () => null }
const PASSWORD = 'correct horse'

const peer = (version: string | null = 'TLSv1.3', exporter = randomBytes(32)): PeerInfo => ({
  address: '192.0.2.1',
  loopback: false,
  tls: version === null ? null : { version, exporter: () => exporter, alpn: null },
  capabilities: '',
})

async function started(options: SaslOptions = {}, domains = ['unix.test', 'flows.unix.test']) {
  const ctx = testContext(domains)
  let hashes = 0
  Object.assign(ctx, {
    hash: <T>(work: () => Promise<T>) => {
      hashes++
      return work()
    },
  })
  const service = await sasl({ iterations: 4096, ...options }).setup(ctx)
  const run = (name: string, args: string[], password?: string) =>
    service.admin.find(a => a.name === name)!.run(args, password === undefined ? {} : { password }, c)
  await run('user add', ['test'], PASSWORD)
  return { ctx, service, run, hashes: () => hashes }
}

const mechanism = (s: AuthService, name: string) => s.mechanisms.find(m => m.name === name)!
const bytes = (text: string) => Buffer.from(text, 'utf8')
const tryPlain = (s: AuthService, message: string, at = peer()) =>
  mechanism(s, 'PLAIN').accept(at, nobody).step(bytes(message), c)

/** Runs a client's exchange against a server's; the last step of each. */
async function run(
  client: Exchange,
  server: Exchange,
  change = (data: Uint8Array) => data,
): Promise<{ client: AuthStep; server: AuthStep; steps: number }> {
  let mine = await client.step(null, c)
  for (let steps = 1; ; steps++) {
    if (mine.type === 'reject') throw new Error(mine.log)
    const theirs = await server.step(change(mine.data ?? new Uint8Array()), c)
    if (theirs.type !== 'challenge') {
      const done =
        theirs.type === 'accept' && mine.type === 'challenge' ? await client.step(theirs.data ?? null, c) : mine
      return { client: done, server: theirs, steps }
    }
    mine = await client.step(theirs.data, c)
  }
}

type Names = 'SCRAM-SHA-256' | 'SCRAM-SHA-256-PLUS'
const tryScram = (
  s: AuthService,
  user: string,
  password: string,
  name: Names = 'SCRAM-SHA-256',
  issued = nobody,
  mine = peer(),
  theirs = mine,
  offered: string[] = ['SCRAM-SHA-256-PLUS'],
) => run(scram({ user, password, peer: mine, mechanism: name, offered }), mechanism(s, name).accept(theirs, issued))

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

t.test('SCRAM with and without channel binding', async t => {
  const { service } = await started()
  for (const name of ['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS'] as const) {
    const { client, server, steps } = await tryScram(service, 'test', PASSWORD, name)
    t.match(server, { type: 'accept', identity: { type: 'user', principal: 'test@unix.test' } }, name)
    t.match(client, { type: 'accept' }, 'and the client has the server’s proof')
    t.equal(steps, 2)
    t.match((await tryScram(service, 'test', 'wrong', name)).server, { type: 'reject' })
  }
  t.match(
    (await tryScram(service, 'test', PASSWORD, 'SCRAM-SHA-256-PLUS', nobody, peer(), peer())).server,
    { type: 'reject' },
    'another channel',
  )
  t.match(await tryScram(service, 'test', PASSWORD, 'SCRAM-SHA-256', nobody, peer('TLSv1.2')), {
    server: { type: 'accept' },
  })
})

t.test('the offer of channel binding cannot be suppressed', async t => {
  const { service } = await started()
  const suppressed = await tryScram(service, 'test', PASSWORD, 'SCRAM-SHA-256', nobody, peer(), undefined, [
    'SCRAM-SHA-256',
  ])
  t.match(suppressed.server, { type: 'reject', log: /suppressed/ })
  const without = await started({ mechanisms: ['SCRAM-SHA-256'] })
  const honest = await tryScram(without.service, 'test', PASSWORD, 'SCRAM-SHA-256', nobody, peer(), undefined, [
    'SCRAM-SHA-256',
  ])
  t.match(honest.server, { type: 'accept' })
})

const first = (s: AuthService, message: string, name: Names = 'SCRAM-SHA-256') =>
  mechanism(s, name).accept(peer(), nobody).step(bytes(message), c)
const NONCE = 'rOprNGfwEbeRWgbNEkqO'

t.test('an unknown user looks like a known one', async t => {
  const { service, ctx } = await started()
  const look = async (user: string, s = service) => {
    const step = await first(s, `n,,n=${user},r=${NONCE}`)
    return Buffer.from((step as { data: Uint8Array }).data)
      .toString()
      .replace(/^r=[^,]+,/, '')
  }
  t.match(await look('test'), /^s=[A-Za-z0-9+/]{22}==,i=4096$/)
  t.match(await look('ghost'), /^s=[A-Za-z0-9+/]{22}==,i=4096$/)
  t.equal(await look('ghost'), await look('ghost'), 'a salt that does not change')
  t.equal(await look('ghost'), await look('GHOST@unix.test'), 'however it is written')
  t.not(await look('ghost'), await look('ghost2'))
  const again = await sasl({ iterations: 4096 }).setup(ctx)
  t.equal(await look('ghost', again), await look('ghost'), 'after a restart neither')
  t.match((await tryScram(service, 'ghost', PASSWORD)).server, { type: 'reject' })
})

t.test('malformed SCRAM is a no', async t => {
  const { service } = await started()
  const bad = [
    '',
    'n,,',
    `n,,n=test,r=short`,
    `n,,m=x,n=test,r=${NONCE}`,
    `n,,n=te=st,r=${NONCE}`,
    `p=tls-unique,,n=test,r=${NONCE}`,
    `p=tls-exporter,,n=test,r=${NONCE}`,
    `x,,n=test,r=${NONCE}`,
    `n,,n=\u0007test,r=${NONCE}`,
    'n'.repeat(10_000),
  ]
  for (const message of bad) t.match(await first(service, message), { type: 'reject' }, message.slice(0, 40))
  t.match(
    await first(service, `n,,n=test,r=${NONCE}`, 'SCRAM-SHA-256-PLUS'),
    { type: 'reject' },
    'PLUS without binding',
  )
  t.match(
    await first(service, `p=tls-unique,,n=test,r=${NONCE}`, 'SCRAM-SHA-256-PLUS'),
    { type: 'reject' },
    'another binding',
  )
  for (const change of [
    (x: string) => x.replace(/r=./, 'r=#'),
    (x: string) => x.replace('c=', 'c=AAAA'),
    (x: string) => `${x},x=1`,
    () => '',
  ]) {
    let turn = 0
    const done = await run(
      scram({
        user: 'test',
        password: PASSWORD,
        peer: peer(),
        mechanism: 'SCRAM-SHA-256',
        offered: ['SCRAM-SHA-256-PLUS'],
      }),
      mechanism(service, 'SCRAM-SHA-256').accept(peer(), nobody),
      d => (turn++ === 0 ? d : bytes(change(Buffer.from(d).toString()))),
    )
    t.match(done.server, { type: 'reject' }, change.toString())
  }
})

t.test('authzid: oneself or nobody', async t => {
  const { service } = await started()
  const as = async (authzid: string) => {
    const server = mechanism(service, 'SCRAM-SHA-256').accept(peer(), nobody)
    const gs2 = `n,a=${authzid},`
    const bare = `n=test,r=${NONCE}`
    const challenge = (await server.step(bytes(gs2 + bare), c)) as { data: Uint8Array }
    const text = Buffer.from(challenge.data).toString()
    const { nonce, salt, iterations } = parseServerFirst(text)
    const withoutProof = finalWithoutProof(gs2, null, nonce)
    const proof = clientProof(await saltedPassword(PASSWORD, salt, iterations), `${bare},${text},${withoutProof}`)
    return server.step(bytes(`${withoutProof},p=${proof.toString('base64')}`), c)
  }
  t.match(await as('test'), { type: 'accept' })
  t.match(await as('test@unix.test'), { type: 'accept' })
  t.match(await as('root'), { type: 'reject', log: /somebody else/ })
  t.match(await as('test@flows.unix.test'), { type: 'reject' })
})

t.test('issued credentials: by SCRAM, as themselves', async t => {
  const { service } = await started()
  const user = mintId(randomBytes(16))
  const secret = randomBytes(24).toString('base64url')
  const record = formatRecord(await makeRecord(secret, { iterations: 4096 }))
  const asked: string[] = []
  const issued: Accounts = {
    verifier: async (name, m) => {
      asked.push(`${name} ${m}`)
      return name === user ? record : null
    },
  }
  t.match((await tryScram(service, user, secret, 'SCRAM-SHA-256-PLUS', issued)).server, {
    type: 'accept',
    identity: { type: 'issued', principal: user },
  })
  t.match((await tryScram(service, user, 'wrong', 'SCRAM-SHA-256', issued)).server, { type: 'reject' })
  const other = mintId(randomBytes(16))
  t.match((await tryScram(service, other, secret, 'SCRAM-SHA-256', issued)).server, { type: 'reject' })
  t.same(asked.at(-1), `${other} SCRAM-SHA-256`)
  await t.rejects(
    tryScram(service, user, secret, 'SCRAM-SHA-256', {
      verifier: async () => Promise.reject(new Error('store is away')),
    }),
    /store is away/,
    'no answer is no no',
  )
  const { run: admin } = await started()
  await t.rejects(admin('user add', [user], PASSWORD), { code: 'FNA_ERR_INVALID' }, 'no user has such a name')
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
