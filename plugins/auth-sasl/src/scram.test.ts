import { randomBytes } from 'node:crypto'
import {
  clientProof,
  finalWithoutProof,
  formatRecord,
  makeRecord,
  parseServerFirst,
  saltedPassword,
  scram,
} from '@fnaa/client'
import type { Accounts, AuthService } from '@fnaa/core/plugin'
import { mintId } from '@fnaa/protocol'
import t from 'tap'
import { sasl } from './index.js'
import { bytes, c, mechanism, type Names, nobody, PASSWORD, peer, run, started, tryScram } from './sasl.test.helper.js'

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
