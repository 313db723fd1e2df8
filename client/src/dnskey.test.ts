import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import packet, { type Answer } from 'dns-packet'
import t from 'tap'
import { dsOf, signingKeys } from './dnskey.js'

const ZONE = 'team.unix.test'
const NOW = 1_800_000_000
const OWNER = Buffer.from('\x04team\x04unix\x04test\x00', 'latin1')

interface Key {
  readonly algorithm: number
  readonly flags: number
  readonly data: Buffer
  readonly make: (text: Buffer) => Buffer
}
const b64 = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url')
const rsaKey = (jwk: { n?: string; e?: string }): Buffer =>
  Buffer.concat([Buffer.from([b64(jwk.e).length]), b64(jwk.e), b64(jwk.n)])

/** A pair of each kind that zones are signed with (RFC 8624). */
function keyOf(algorithm: number, flags = 0x0101): Key {
  const curve = { 13: 'P-256', 14: 'P-384' }[algorithm]
  const pair =
    algorithm === 15
      ? generateKeyPairSync('ed25519')
      : algorithm === 16
        ? generateKeyPairSync('ed448')
        : curve
          ? generateKeyPairSync('ec', { namedCurve: curve })
          : generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = pair.publicKey.export({ format: 'jwk' })
  const value = curve ? Buffer.concat([b64(jwk.x), b64(jwk.y)]) : jwk.kty === 'RSA' ? rsaKey(jwk) : b64(jwk.x)
  const hash = { 8: 'sha256', 10: 'sha512', 13: 'sha256', 14: 'sha384' }[algorithm] ?? null
  const head = Buffer.from([flags >> 8, flags & 255, 3, algorithm])
  const make = (text: Buffer) => sign(hash, text, { key: secret(pair.privateKey), dsaEncoding: 'ieee-p1363' })
  return { algorithm, flags, data: Buffer.concat([head, value]), make }
}
const secret = (key: KeyObject) => createPrivateKey(key.export({ type: 'pkcs8', format: 'pem' }))

const tagOf = (data: Buffer): number => {
  const sum = data.reduce((n, byte, i) => n + (i % 2 ? byte : byte * 256), 0)
  return (sum + Math.floor(sum / 65_536)) % 65_536
}

interface Signing {
  readonly begins?: number
  readonly ends?: number
  readonly signer?: string
  /** The set that is signed, where it is not the one that is sent. */
  readonly set?: readonly Key[]
}

/** An answer with keys, and a signature of each of `by`. */
function message(keys: readonly Key[], by: readonly Key[], o: Signing = {}): Buffer {
  const ttl = 300
  const signatures = by.map(key => {
    const head = Buffer.alloc(18)
    head.writeUInt16BE(48, 0)
    head.writeUInt8(key.algorithm, 2)
    head.writeUInt8(3, 3)
    head.writeUInt32BE(ttl, 4)
    head.writeUInt32BE(o.ends ?? NOW + 86_400, 8)
    head.writeUInt32BE(o.begins ?? NOW - 86_400, 12)
    head.writeUInt16BE(tagOf(key.data), 16)
    const signer = o.signer === undefined ? OWNER : Buffer.from(`\x04${o.signer}\x04test\x00`, 'latin1')
    const records = (o.set ?? keys)
      .map(k => k.data)
      .sort(Buffer.compare)
      .map(data => {
        const fixed = Buffer.alloc(10)
        fixed.writeUInt16BE(48, 0)
        fixed.writeUInt16BE(1, 2)
        fixed.writeUInt32BE(ttl, 4)
        fixed.writeUInt16BE(data.length, 8)
        return Buffer.concat([OWNER, fixed, data])
      })
    return Buffer.concat([head, signer, key.make(Buffer.concat([head, signer, ...records]))])
  })
  const record = (type: string, data: Buffer) => ({ name: ZONE, type, class: 'IN', ttl, data }) as unknown as Answer
  return packet.encode({
    type: 'response',
    id: 1,
    questions: [{ name: ZONE, type: 'DNSKEY', class: 'IN' }],
    answers: [...keys.map(k => record('UNKNOWN_48', k.data)), ...signatures.map(data => record('UNKNOWN_46', data))],
  })
}
const tags = (keys: readonly Key[], by: readonly Key[], o?: Signing) =>
  signingKeys(message(keys, by, o), ZONE, NOW).keys.map(k => k.tag)

t.test('a key of every algorithm that zones are signed with', async t => {
  for (const algorithm of [8, 10, 13, 14, 15, 16]) {
    const key = keyOf(algorithm)
    t.same(tags([key], [key]), [tagOf(key.data)], String(algorithm))
    const digest = createHash('sha256').update(OWNER).update(key.data).digest('hex')
    const [found] = signingKeys(message([key], [key]), ZONE, NOW).keys
    t.same(dsOf(ZONE, found!), { keyTag: tagOf(key.data), algorithm, digestType: 2, digest })
  }
})

t.test('only keys that sign the set now', async t => {
  const [key, other, plain] = [keyOf(13), keyOf(13), keyOf(13, 0x0100)]
  t.same(tags([key, other], [key]), [tagOf(key.data)], 'one that does not sign yet, or no longer')
  t.same(tags([key, plain], [key, plain]), [tagOf(key.data)], 'entry points, where there are any')
  t.same(tags([plain], [plain]), [tagOf(plain.data)])
  t.same(tags([key], [key], { ends: NOW - 1 }), [], 'expired')
  t.same(tags([key], [key], { begins: NOW + 1 }), [], 'not yet')
  t.same(tags([key], [key], { signer: 'unix' }), [], "another zone's signature")
  t.same(tags([key, other], [key], { set: [key] }), [], 'of another set')
  t.same(tags([key], [other]), [], 'by a key that is not there')
  const revoked = keyOf(13, 0x0181)
  t.same(tags([revoked, key], [revoked, key]), [tagOf(key.data)], 'a revoked one')
  const none = keyOf(13, 0x0001)
  t.same(tags([none], [none]), [], 'no key of a zone')
})

t.test('an unsigned zone, an unknown algorithm, rubbish', async t => {
  t.same(signingKeys(message([], []), ZONE, NOW), { signed: false, keys: [] })
  const key = keyOf(15)
  const odd = { ...key, algorithm: 200, data: Buffer.concat([Buffer.from([1, 1, 3, 200]), key.data.subarray(4)]) }
  t.match(signingKeys(message([odd], [odd]), ZONE, NOW), { signed: true, keys: [] })
  const whole = message([key], [key])
  for (let end = 0; end < whole.length; end++) {
    try {
      t.equal(signingKeys(whole.subarray(0, end), ZONE, NOW).keys.length, 0)
    } catch (e) {
      t.ok(e instanceof RangeError, `cut at ${end}`)
    }
  }
})

t.test('keys and signatures without end cost no more than sixteen of each', async t => {
  const key = keyOf(15)
  const many = message(Array(100).fill(key), Array(300).fill(key))
  const before = process.cpuUsage()
  t.ok(signingKeys(many, ZONE, NOW).keys.length <= 16)
  const { user, system } = process.cpuUsage(before)
  t.ok(user + system < 1_000_000, `${(user + system) / 1000} ms of this process's time`)
})
