import { createHash, generateKeyPairSync, sign, verify } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { fails } from './fails.test.helper.js'
import {
  capabilitiesBytes,
  formatChallenge,
  formatInitiator,
  formatResponse,
  isFnapError,
  parseChallenge,
  parseInitiator,
  parseResponse,
  transcript,
} from './index.js'

const fields = {
  n: 'example.org',
  s: '2026a',
  t: 'unix.ar',
  rs: 'k2026',
  cn: Buffer.alloc(24, 1),
  sn: Buffer.alloc(24, 2),
  capabilities: capabilitiesBytes(['version=FNAP/1']),
  exporter: Buffer.alloc(32, 3),
}

t.test('the bytes that are signed', async t => {
  const lp = (x: Buffer | string) => {
    const b = Buffer.from(x as string)
    return `${b.length.toString(16).padStart(8, '0')}${b.toString('hex')}`
  }
  const hash = createHash('sha256').update('version=FNAP/1\r\n').digest()
  const expected = `${Buffer.from('FNAP DOMAINKEY-ED25519 v1 responder\0').toString('hex')}${[fields.n, fields.s, fields.t, fields.rs, fields.cn, fields.sn, hash, 'tls-exporter', fields.exporter].map(lp).join('')}`
  t.equal(transcript('responder', fields).toString('hex'), expected)
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const signature = sign(null, transcript('initiator', fields), privateKey)
  t.ok(verify(null, transcript('initiator', fields), publicKey, signature))
  const changes: [string, object][] = [
    ['n', { n: 'example.com' }],
    ['s', { s: '2026b' }],
    ['t', { t: 'unix.com' }],
    ['rs', { rs: 'k2027' }],
    ['cn', { cn: Buffer.alloc(24, 9) }],
    ['sn', { sn: Buffer.alloc(24, 9) }],
    ['capabilities', { capabilities: Buffer.from('x') }],
    ['exporter', { exporter: Buffer.alloc(32, 9) }],
    ['a byte moved from n to s', { n: 'example.or', s: 'g2026a' }],
  ]
  for (const [what, change] of changes)
    t.notOk(verify(null, transcript('initiator', { ...fields, ...change }), publicKey, signature), what)
  t.notOk(verify(null, transcript('responder', fields), publicKey, signature), 'no reflection')
  t.throws(() => transcript('initiator', { ...fields, exporter: Buffer.alloc(31) }), RangeError)
  t.throws(() => transcript('initiator', { ...fields, sn: Buffer.alloc(0) }), RangeError)
})

t.test('messages, there and back', async t => {
  const { n, s, t: target, cn, rs, sn } = fields
  const sig = Buffer.alloc(64, 5)
  t.same(parseInitiator(formatInitiator({ n, s, t: target, cn })), { n, s, t: target, cn })
  t.same(parseChallenge(formatChallenge({ rs, sn, sig })), { rs, sn, sig })
  t.same(parseResponse(formatResponse({ sig })), { sig })
  t.same(parseResponse(Buffer.from(` { "sig" : "${sig.toString('base64')}" } `)), { sig })
  const own = JSON.parse(formatInitiator({ n, s, t: target, cn }).toString()) as Record<string, string>
  t.same(
    parseInitiator(Buffer.from(JSON.stringify({ cn: own.cn, t: target, s, n }))),
    { n, s, t: target, cn },
    'any order',
  )
})

t.test('anything else is refused', async t => {
  const cn = Buffer.alloc(24, 1).toString('base64')
  const good = { n: 'example.org', s: '2026a', t: 'unix.ar', cn }
  const bad: unknown[] = [
    { ...good, x: '1' },
    { n: good.n, s: good.s, t: good.t },
    { ...good, n: 'Example.org' },
    { ...good, n: 'example.org.' },
    { ...good, n: 'org' },
    { ...good, n: 'unix.ar' },
    { ...good, t: '' },
    { ...good, s: 'A' },
    { ...good, s: '-a' },
    { ...good, cn: Buffer.alloc(23).toString('base64') },
    { ...good, cn: Buffer.alloc(25).toString('base64') },
    { ...good, cn: cn.slice(0, -1) },
    { ...good, cn: 5 },
    { ...good, n: null },
    [],
    'x',
    null,
    5,
    {},
    { ...good, n: '*.org' },
    { ...good, n: 'ex"ample.org' },
    { ...good, n: '_x.org' },
  ]
  for (const message of bad)
    fails(t, () => parseInitiator(Buffer.from(JSON.stringify(message))), 'SYNTAX', JSON.stringify(message))
  const text = JSON.stringify(good)
  const raw = [
    '',
    '{',
    '{}',
    `${text}x`,
    text.replace('{', '{"n":"evil.org",'),
    `${text},${text}`,
    `[${text}]`,
    text.replace('"n"', '"\\u006e"'),
    text.replace(',', ',,'),
    text.replace(':', '::'),
    text.replace('{', '{"__proto__":"x",'),
    ' '.repeat(3000) + text,
    `\ufeff${text}`,
    text.replace('}', ',}'),
  ]
  for (const message of raw) fails(t, () => parseInitiator(Buffer.from(message)), 'SYNTAX', message.slice(0, 40))
  fails(t, () => parseResponse(Buffer.from(`{"sig":"${Buffer.alloc(63).toString('base64')}"}`)), 'SYNTAX')
  fails(t, () => parseChallenge(formatResponse({ sig: Buffer.alloc(64) })), 'SYNTAX')
  fails(t, () => parseChallenge(formatChallenge({ rs: 'A', sn: Buffer.alloc(24), sig: Buffer.alloc(64) })), 'SYNTAX')
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), noise => {
      for (const parse of [parseInitiator, parseChallenge, parseResponse]) {
        try {
          parse(Buffer.from(noise))
          return false
        } catch (error) {
          if (!isFnapError(error)) return false
        }
      }
      return true
    }),
    { seed: 41, numRuns: 2000 },
  )
})
