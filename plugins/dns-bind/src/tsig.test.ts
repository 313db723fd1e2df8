import { randomBytes } from 'node:crypto'
import t from 'tap'
import { parseKey } from './key-file.js'
import { ALGORITHMS, FUDGE, sign, type TsigKey, verify } from './tsig.js'
import { encodeUpdate } from './update.js'

const NOW = 1_800_000_000
const keyOf = (algorithm: (typeof ALGORITHMS)[number]): TsigKey => ({
  name: 'agent.unix.test',
  algorithm,
  secret: Buffer.alloc(32, 7),
})
const update = encodeUpdate(7, {
  zone: 'unix.test',
  prerequisites: [],
  changes: [{ add: { name: 'a.unix.test', ttl: 1, type: 'TXT', strings: ['x'] } }],
})

/** What a server with the key would answer: signed over the request's MAC, as a request is over nothing. */
function answerTo(mac: Buffer, key: TsigKey, now = NOW): Buffer {
  // The digest of an answer begins with the request's MAC; `sign` digests what it is given.
  const length = Buffer.from([mac.length >> 8, mac.length & 255])
  const body = Buffer.alloc(12)
  body.writeUInt16BE(7, 0)
  body.writeUInt16BE(0xa800, 2)
  const whole = Buffer.concat([length, mac, body])
  const signed = sign(withId(whole), key, now)
  return retarget(signed.message, whole.length, body)
}
/** `sign` reads the id and the count of records where a message has them. */
function withId(m: Buffer): Buffer {
  return m
}
function retarget(signed: Buffer, before: number, body: Buffer): Buffer {
  const tsig = Buffer.from(signed.subarray(before))
  const out = Buffer.concat([body, tsig])
  out.writeUInt16BE(1, 10)
  // The original id, which `sign` took from the first bytes of what it was given.
  out.writeUInt16BE(7, out.length - 6)
  return out
}

t.test('what was signed is verified, and nothing else', async t => {
  for (const algorithm of ALGORITHMS) {
    const key = keyOf(algorithm)
    const { mac } = sign(update, key, NOW)
    const answer = answerTo(mac, key)
    t.match(verify(answer, key, mac, NOW), { ok: true }, algorithm)
    t.match(verify(answer, { ...key, secret: Buffer.alloc(32, 8) }, mac, NOW), { ok: false, why: /wrong/ })
    t.match(verify(answer, { ...key, name: 'x.unix.test' }, mac, NOW), { ok: false, why: /another key/ })
    t.match(verify(answer, key, randomBytes(mac.length), NOW), { ok: false, why: /wrong/ }, 'of another request')
    t.match(verify(answer, key, mac, NOW + FUDGE + 1), { ok: false, why: /another time/ }, 'late')
    t.match(verify(answer, key, mac, NOW - FUDGE - 1), { ok: false, why: /another time/ })
    t.match(verify(answer, key, mac, NOW + FUDGE), { ok: true })
  }
})

t.test('no changed bit, no cut and no addition is believed', async t => {
  const key = keyOf('hmac-sha256')
  const { mac } = sign(update, key, NOW)
  const answer = answerTo(mac, key)
  let believed = 0
  for (let bit = 0; bit < answer.length * 8; bit++) {
    const changed = Buffer.from(answer)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    const v = verify(changed, key, mac, NOW)
    // The id of the message itself is not covered (RFC 8945 §5.3.1: forwarders change it): who waits compares it.
    // The case of letters in the key's name does not matter (§4.3.3).
    const free =
      bit < 16 || (v.ok && changed.toString('latin1').toLowerCase() === answer.toString('latin1').toLowerCase())
    if (v.ok && !free) believed++
  }
  t.equal(believed, 0)
  for (let n = 0; n < answer.length; n++)
    t.notOk(verify(answer.subarray(0, n), key, mac, NOW).ok, `the first ${n} bytes`)
  t.notOk(verify(Buffer.concat([answer, Buffer.from([0])]), key, mac, NOW).ok)
})

t.test('random bytes never verify, and never throw', async t => {
  const key = keyOf('hmac-sha256')
  const { mac } = sign(update, key, NOW)
  const answer = answerTo(mac, key)
  let bad = 0
  for (let i = 0; i < 20_000; i++) {
    const m = i % 2 ? randomBytes(1 + (i % 200)) : Buffer.from(answer)
    if (i % 2 === 0)
      for (let k = 0; k < 3; k++) m[10 + Math.floor(Math.random() * (m.length - 10))] = Math.random() * 256
    if (verify(m, key, mac, NOW).ok && !m.equals(answer)) bad++
  }
  t.equal(bad, 0)
})

t.test('key files as BIND reads them', async t => {
  const secret = Buffer.alloc(32, 3).toString('base64')
  const good = [
    `key "agent.unix.test." {\n\talgorithm hmac-sha256;\n\tsecret "${secret}";\n};\n`,
    `# mine\nkey agent.unix.test { algorithm "HMAC-SHA256."; secret "${secret}"; };`,
    `/* key "other" {}; */ // key "third"\nkey "AGENT.unix.test" { secret "${secret}"; algorithm hmac-sha256; };`,
  ]
  for (const text of good)
    t.match(parseKey(text, 'f'), { name: 'agent.unix.test', algorithm: 'hmac-sha256', secret: Buffer.alloc(32, 3) })
  const slashes = Buffer.from('AAAA//AA//AAAAAAAAAAAAAAAAAAAA==', 'base64')
  t.same(
    parseKey(good[0]!.replace(secret, slashes.toString('base64')), 'f').secret,
    slashes,
    'slashes are no comment there',
  )
  const bad: [string, RegExp][] = [
    ['', /holds no key/],
    [`${good[0]}${good[0]}`, /more than one key/],
    [good[0]!.replace('sha256', 'md5'), /algorithm/],
    [good[0]!.replace('sha256', 'sha1'), /algorithm/],
    [good[0]!.replace(secret, 'AAAA'), /secret/],
    [good[0]!.replace(secret, `${secret}!`), /secret/],
    [good[0]!.replace('agent.unix.test.', '-'), /name/],
  ]
  for (const [text, message] of bad) t.throws(() => parseKey(text, 'f'), { code: 'FNA_ERR_CONFIG', message })
  try {
    parseKey(good[0]!.replace('sha256', 'md5'), 'f')
  } catch (e) {
    t.notMatch((e as Error).message, secret, 'the secret is never said')
  }
})
