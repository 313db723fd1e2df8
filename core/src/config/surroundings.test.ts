import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { developmentCertificates } from '../tls/development.js'
import type { Config } from './define.js'
import { surroundings } from './surroundings.js'

const DAY = 86_400_000
const host = 'fnaa.unix.test'
const said = async (change: Partial<Config>, opt?: { dates: boolean }): Promise<string[]> =>
  (await surroundings({ host, domains: ['unix.test'], listen: [], data: '/tmp', plugins: [], ...change }, opt)).map(
    p => `${p.path.join('/')}: ${p.message}`,
  )

/** A certificate and its key as two files. */
async function pair(directory: string, name: string, names: readonly string[], now: number) {
  const made = await developmentCertificates({ directory: join(directory, name), names, now })
  const [cert, key] = ['crt', 'key'].map(ending => join(directory, `${name}.${ending}`)) as [string, string]
  writeFileSync(cert, made.cert)
  writeFileSync(key, made.key)
  return { cert, key }
}

t.test('the data folder: a file, below a file, not writable, too long for its socket; nothing is made', async t => {
  // tap's own folders have long names.
  const dir = mkdtempSync(join(tmpdir(), 'fnaad-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  mkdirSync(join(dir, 'there'))
  writeFileSync(join(dir, 'file'), '')
  t.same(await said({ data: join(dir, 'there') }), [])
  t.same(await said({ data: join(dir, 'not', 'yet') }), [])
  t.notOk(existsSync(join(dir, 'not')), 'looking makes nothing')
  const rule = 'it must be a directory, which is made where it is missing'
  const file = join(dir, 'file')
  t.same(await said({ data: file }), [`data: data is ${file}: it is a file; ${rule}`])
  t.same(await said({ data: join(file, 'x') }), [`data: data is ${join(file, 'x')}: ${file} is a file; ${rule}`])
  t.match(await said({ data: `/tmp/${'x'.repeat(200)}` }), [/would have a path of \d+ bytes, at most 107 are possible/])
  t.match(await said({ tls: { development: file } }), [/^tls\/development: tls\.development is \S+: it is a file/])
  t.same(await said({ data: 7 as never, tls: 'x' as never }), [], 'types are for the schema')
})

t.test('a folder of another user', { skip: process.getuid?.() === 0 && 'root may write anywhere' }, async t => {
  const dir = t.testdir({ shut: {} })
  chmodSync(join(dir, 'shut'), 0o500)
  t.match(await said({ data: join(dir, 'shut', 'x') }), [/shut cannot be written by this user; give it to the user/])
})

t.test('certificates: missing, no PEM, of another key, of another name, expired, not yet valid', async t => {
  const dir = t.testdir({ 'no.pem': 'nothing', directory: {} })
  const now = Date.now()
  const good = await pair(dir, 'good', [host, 'unix.test'], now)
  t.same(await said({ tls: good }), [])
  t.same(await said({ tls: { ...good, ca: good.cert } }), [])
  const other = await pair(dir, 'other', ['fnaa.other.test'], now)
  const old = await pair(dir, 'old', [host], now - 200 * DAY)
  const young = await pair(dir, 'young', [host], now + 10 * DAY)
  const none = join(dir, 'none.pem')
  for (const [tls, message] of [
    [
      { ...good, cert: none },
      /^tls\/cert: tls\.cert is \S+none\.pem: there is no such file; it must be a certificate, in PEM$/,
    ],
    [
      { ...good, key: join(dir, 'directory') },
      /^tls\/key: tls\.key is \S+: it is a directory; it must be a private key/,
    ],
    [{ ...good, cert: join(dir, 'no.pem') }, /^tls\/cert: .* it holds no certificate in PEM$/],
    [{ ...good, key: good.cert }, /^tls\/key: .* it holds no private key without password in PEM$/],
    [{ ...good, ca: none }, /^tls\/ca: tls\.ca is \S+: there is no such file/],
    [{ ...good, key: other.key }, /^tls\/key: .* it is not the key of the certificate in \S+good\.crt; give the two/],
    [other, /^tls\/cert: .* it does not bear host, fnaa\.unix\.test; clients would refuse it/],
    [old, /^tls\/cert: .* it expired on .*; renew it$/],
    [young, /^tls\/cert: .* it is valid from .* only; is the clock/],
  ] as const)
    t.match(await said({ tls }), [message])
  t.same(await said({ tls: old }, { dates: false }), [], 'an agent that restarts is not kept down by it')
})
