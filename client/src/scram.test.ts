import fc from 'fast-check'
import t from 'tap'
import { maskLine } from './mask.js'
import { choosePasswordMechanism, scram } from './sasl.js'
import { saslprep } from './saslprep.js'
import {
  checkPassword,
  clientProof,
  formatRecord,
  makeRecord,
  parseRecord,
  saltedPassword,
  serverSignature,
  verifyProof,
} from './scram.js'
import {
  escapeName,
  finalWithoutProof,
  parseClientFinal,
  parseClientFirst,
  parseServerFirst,
} from './scram-messages.js'
import type { PeerInfo } from './types.js'

const c = { signal: new AbortController().signal }
const peer: PeerInfo = { address: '127.0.0.1', loopback: true, tls: null, capabilities: '' }
const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const SERVER_FIRST = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
const FINAL =
  'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='

t.test('the example of RFC 7677', async t => {
  const client = scram({
    user: 'user',
    password: 'pencil',
    peer,
    mechanism: 'SCRAM-SHA-256',
    offered: [],
    nonce: 'rOprNGfwEbeRWgbNEkqO',
  })
  const text = (step: unknown) => Buffer.from((step as { data: Uint8Array }).data).toString()
  const first = text(await client.step(null, c))
  t.equal(first, 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
  t.equal(text(await client.step(Buffer.from(SERVER_FIRST), c)), FINAL)
  t.match(await client.step(Buffer.from('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='), c), { type: 'accept' })
  const record = await makeRecord('pencil', { iterations: 4096, salt: SALT })
  const { bare } = parseClientFirst(first)
  const { withoutProof, proof } = parseClientFinal(FINAL)
  const authMessage = `${bare},${SERVER_FIRST},${withoutProof}`
  t.ok(verifyProof(record, authMessage, proof))
  t.notOk(verifyProof(record, `${authMessage}x`, proof))
  t.notOk(verifyProof(record, authMessage, proof.subarray(1)))
  t.equal(
    serverSignature(record.server, authMessage).toString('base64'),
    '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  )
})

t.test('records', async t => {
  const record = await makeRecord('pencil', { iterations: 4096, salt: SALT })
  const text = formatRecord(record)
  t.match(text, /^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/)
  t.same(parseRecord(text), { ...record, salt: SALT })
  t.ok(await checkPassword(record, 'pencil'))
  t.notOk(await checkPassword(record, 'Pencil'))
  for (const bad of ['', 'x', text.replace('4096', '1000'), text.slice(1), `${text}x`])
    t.throws(() => parseRecord(bad), { code: 'FNA_ERR_CORRUPT' })
  await t.rejects(makeRecord('x', { iterations: 4095 }), { code: 'FNA_ERR_INVALID' })
})

t.test('a proof fits its own exchange alone', async t => {
  const record = await makeRecord('pencil', { iterations: 4096, salt: SALT })
  const salted = await saltedPassword('pencil', SALT, 4096)
  fc.assert(
    fc.property(fc.string(), fc.string(), (one, other) => {
      const proof = clientProof(salted, one)
      return verifyProof(record, one, proof) && (one === other || !verifyProof(record, other, proof))
    }),
    { seed: 2, numRuns: 50 },
  )
  t.not(finalWithoutProof('n,,', null, 'x'), finalWithoutProof('y,,', null, 'x'))
})

t.test('names are escaped so that they cannot forge an attribute', t => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 60 }), name => {
      const text = `n,,n=${escapeName(name)},r=${'x'.repeat(20)}`
      return name.includes('\0') || parseClientFirst(text).user === name
    }),
    { seed: 3 },
  )
  t.throws(() => parseServerFirst('r=short,s=AAAA,i=4096'), { code: 'FNA_ERR_INVALID' })
  t.end()
})

t.test('long input is no trouble', t => {
  const began = performance.now()
  for (const parse of [parseClientFirst, parseServerFirst, parseClientFinal]) {
    for (const piece of ['a', '=', ',', 'n=', 'r=x,'])
      t.throws(() => parse(piece.repeat(60_000)), { code: 'FNA_ERR_INVALID' })
  }
  t.ok(performance.now() - began < 500)
  t.end()
})

t.test('SASLprep', async t => {
  t.equal(await saslprep('test'), 'test')
  t.equal(await saslprep('I\u00adX'), 'IX')
  t.equal(await saslprep('\u2168'), 'IX')
  t.equal(await saslprep('a\u00a0b'), 'a b')
  t.equal(await saslprep('\u{1f511}'), '\u{1f511}')
  for (const bad of ['\u0007', 'a\0b', '\u0627\u0031']) await t.rejects(saslprep(bad), { code: 'FNA_ERR_INVALID' })
})

t.test('the strongest mechanism that both can', t => {
  const offered = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS']
  const tls = (version: string) => ({ ...peer, tls: { version, exporter: () => Buffer.alloc(32), alpn: null } })
  t.equal(choosePasswordMechanism(offered, tls('TLSv1.3')), 'SCRAM-SHA-256-PLUS')
  t.equal(choosePasswordMechanism(offered, tls('TLSv1.2')), 'SCRAM-SHA-256')
  t.equal(choosePasswordMechanism(['PLAIN'], peer), 'PLAIN')
  t.equal(choosePasswordMechanism(['GSSAPI'], peer), null)
  t.end()
})

t.test('what is shown of a dialogue (H33)', t => {
  const cases: [string, string, boolean?][] = [
    ['AUTHENTICATE PLAIN', 'AUTHENTICATE PLAIN'],
    ['AUTHENTICATE PLAIN AHRlc3QAdGVzdA==', 'AUTHENTICATE PLAIN ***'],
    ['authenticate  scram-sha-256   biws', 'authenticate  scram-sha-256 ***'],
    ['AHRlc3QAdGVzdA==', '***', true],
    ['*', '*', true],
    ['', '***', true],
    ['401 AUTHFAILED authentication failed', '401 AUTHFAILED authentication failed', true],
    ['334 cj0x', '334 ***', true],
    ['220 Authenticated dj0x', '220 Authenticated ***'],
    ['220 Authenticated', '220 Authenticated'],
    ['220 OK', '220 OK', true],
    ['user=x password=geheim topic=t', 'user=x password=*** topic=t'],
    ['{"user":"x","password":"ge\\"heim","n":1}', '{"user":"x","password":"***","n":1}'],
    [
      '{"endpoint":"e","credential":{"mechanism":"m","values":{"user":"u","x":"}\\""}},"lease":1}',
      '{"endpoint":"e","credential":"***","lease":1}',
    ],
    ['{"credential":{"never":"closed', '{"credential":"***"'],
    ['CREATE FLOW time.flows.unix.test', 'CREATE FLOW time.flows.unix.test'],
  ]
  for (const [line, shown, exchange] of cases) t.equal(maskLine(line, exchange), shown, line)
  t.end()
})
