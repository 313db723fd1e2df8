import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FnaError } from '@fnaa/core/plugin'
import { Bind, freePort, readKey } from '@fnaa/services'
import t from 'tap'
import { c, gone, plugin, ports, set, skip, srv, started, ZONE } from './bind.test.helper.js'

const code = (wanted: string, message: RegExp) => (e: unknown) => {
  const { code, message: text } = e as FnaError
  if (code !== wanted || !message.test(text)) throw new Error(`expected ${wanted} ${message}, got ${code}: ${text}`)
  return true
}
/** What a write is refused with. */
const refused = async (work: Promise<unknown>, wanted: string, message: RegExp) => {
  const e = await work.then(
    () => new Error('it was taken'),
    e => e,
  )
  code(wanted, message)(e)
}

t.test('each refusal has its own words, and ends', { skip }, async t => {
  const bind = await started(t)
  const { name, secret } = await readKey(bind.keyFile(ZONE, 'agent'))
  const other = Buffer.alloc(32, 1).toString('base64')

  await t.test('another secret', async t => {
    const dns = await plugin(t, bind, { key: { name, secret: other } })
    await refused(dns.apply([set('a', 1)], c), 'FNA_ERR_CONFIG', /another secret \(BADSIG\)/)
  })
  await t.test('its health shows whether it may write, and changes nothing', async t => {
    const serial = () => bind.dig('+short', 'SOA', ZONE).split(' ')[2]
    t.match(await (await plugin(t, bind)).health(c), { ok: true, clockSeconds: 0 })
    const before = serial()
    await (await plugin(t, bind)).health(c)
    t.equal(serial(), before)
    t.match(await (await plugin(t, bind, { key: { name, secret: other } })).health(c), { ok: false, detail: /BADSIG/ })
  })
  await t.test('an unknown key', async t => {
    const dns = await plugin(t, bind, { key: { name: 'nobody.unix.test', secret: other } })
    await refused(dns.apply([set('a', 1)], c), 'FNA_ERR_CONFIG', /does not know the key nobody\.unix\.test .*BADKEY/)
  })
  await t.test('another algorithm', async t => {
    const dns = await plugin(t, bind, { key: { name, secret, algorithm: 'hmac-sha512' } })
    await refused(dns.apply([set('a', 1)], c), 'FNA_ERR_CONFIG', /BADKEY/)
  })
  await t.test('a clock that is off', async t => {
    const dns = await plugin(t, bind)
    const real = Date.now
    t.teardown(() => (Date.now = real))
    Date.now = () => real() + 1_000_000
    await refused(
      dns.apply([set('a', 1)], c),
      'FNA_ERR_CONFIG',
      /BADTIME\): its clock is (999|1000|1001) s behind ours/,
    )
    t.match(await dns.health(c), { ok: false, detail: /BADTIME/, clockSeconds: Number })
    t.ok(Math.abs((await dns.health(c)).clockSeconds! + 1000) <= 1)
    Date.now = () => real() - 20_000
    t.match(await dns.health(c), { ok: true, clockSeconds: 20 })
    Date.now = real
    await dns.apply([set('clock', 1)], c)
    t.same(ports(bind, 'clock'), [1], 'it goes on when the clock is right')
  })
  await t.test('a type that the key may not write', async t => {
    const dns = await plugin(t, bind)
    const owner = `host.${ZONE}`
    const a = { owner, records: [{ name: owner, ttl: 300, type: 'A' as const, address: '192.0.2.1' }] }
    const good = Array.from({ length: 9 }, (_, i) => dns.apply([set(`beside${i}`, i + 1)], c))
    const bad = dns.apply([a], c)
    await refused(bad, 'FNA_ERR_UNAVAILABLE', /REFUSED an update/)
    await Promise.all(good)
    t.same(ports(bind, 'beside7'), [8], 'what was asked for at the same moment is made')
  })
  await t.test('a zone that it does not serve', async t => {
    const dns = await plugin(t, bind, { zones: ['elsewhere.test'] })
    const owner = 'x.elsewhere.test'
    await refused(
      dns.apply([{ owner, records: [srv(owner, 1)] }], c),
      'FNA_ERR_UNAVAILABLE',
      /REFUSED to a question for/,
    )
    t.match(await dns.health(c), { ok: false, detail: /REFUSED to a question for elsewhere\.test/ })
  })
  await t.test('nobody listens', async t => {
    const dns = await plugin(t, bind, { server: `127.0.0.1:${await freePort()}` })
    await refused(dns.apply([set('a', 1)], c), 'FNA_ERR_UNAVAILABLE', /nobody listens there/)
    t.match(await dns.health(c), { ok: false })
  })
  await t.test('a key file that is none', async t => {
    const keyFile = join(bind.directory, 'broken.key')
    const dns = await plugin(t, bind, { keyFile })
    await refused(dns.apply([set('a', 1)], c), 'FNA_ERR_CONFIG', /cannot be read \(ENOENT\)/)
    writeFileSync(keyFile, 'key "x" { algorithm hmac-md5; secret "AAAAAAAAAAAAAAAAAAAAAA=="; };')
    await refused(dns.apply([set('a', 1)], c), 'FNA_ERR_CONFIG', /an algorithm that is not one of hmac-sha256/)
    writeFileSync(keyFile, 'key "x" { algorithm hmac-sha256; secret "short"; };')
    await refused(dns.apply([set('a', 1)], c), 'FNA_ERR_CONFIG', /no base64 of 16 bytes or more/)
  })
})

t.test('SERVFAIL: a journal that cannot be written', { skip }, async t => {
  const bind = await started(t, { zones: [{ name: ZONE, signed: false }] })
  mkdirSync(join(bind.directory, `${ZONE}.db.jnl`))
  const dns = await plugin(t, bind)
  await refused(dns.apply([set('a', 1)], c), 'FNA_ERR_UNAVAILABLE', /SERVFAIL to an update/)
})

t.test('a secondary says that it is none to write to', { skip }, async t => {
  const primary = await started(t)
  const secondary = await Bind.start({
    zones: [{ name: 'other.test', signed: false }],
    secondaryOf: { zone: ZONE, primary },
  })
  t.teardown(() => secondary.stop())
  const dns = await plugin(t, primary, { server: `${secondary.host}:${secondary.port}` })
  await refused(dns.apply([set('a', 1)], c), 'FNA_ERR_UNAVAILABLE', /REFUSED an update .* a secondary/)
  t.same(ports(primary, 'a'), [])
})

t.test('a server that hangs is given up, and nothing is lost or left over when it is back', { skip }, async t => {
  const bind = await started(t)
  const dns = await plugin(t, bind, { timeoutMs: 500 })
  await dns.apply([set('a', 1)], c)
  bind.suspend()
  await refused(dns.apply([set('a', 2), set('b', 2)], c), 'FNA_ERR_UNAVAILABLE', /no answer in 500 ms/)
  bind.resume()
  await dns.apply([set('a', 3), gone('b')], c)
  t.same([ports(bind, 'a'), ports(bind, 'b')], [[3], []])
})

t.test('a server that is killed in the middle: what was said to be made is there', { skip }, async t => {
  const bind = await started(t)
  const dns = await plugin(t, bind, { timeoutMs: 1000 })
  const made = new Map<string, number>()
  let going = true
  const writer = async (n: number) => {
    for (let port = 1; going; port++) {
      try {
        await dns.apply([set(`w${n}`, port)], c)
        made.set(`w${n}`, port)
      } catch (e) {
        if ((e as FnaError).code !== 'FNA_ERR_UNAVAILABLE') throw e
        await new Promise(resolve => setImmediate(resolve))
      }
    }
  }
  const writers = [0, 1, 2].map(writer)
  for (let i = 0; i < 3; i++) {
    const before = made.get('w0') ?? 0
    while ((made.get('w0') ?? 0) < before + 3) await new Promise(resolve => setImmediate(resolve))
    await bind.kill()
    await bind.start()
  }
  going = false
  await Promise.all(writers)
  for (const n of [0, 1, 2]) {
    const [port] = ports(bind, `w${n}`)
    t.ok(port! >= made.get(`w${n}`)!, `w${n}: ${port} stands, ${made.get(`w${n}`)} was made`)
    await dns.apply([gone(`w${n}`)], c)
    t.same(ports(bind, `w${n}`), [])
  }
})
