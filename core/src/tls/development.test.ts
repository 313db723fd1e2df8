import { X509Certificate } from 'node:crypto'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect as netConnect } from 'node:net'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import t from 'tap'
import { developmentCa, developmentCertificates } from './development.js'

const DAY = 86_400_000
const names = ['fnaa.unix.test', 'unix.test']
const addresses = ['127.0.0.1', '::1']

t.test('makes a CA and a certificate that Node verifies', async t => {
  const directory = t.testdir()
  const { ca, cert, key } = await developmentCertificates({ directory, names, addresses })
  const server = createServer({ cert, key })
  await new Promise<void>(r => server.listen(0, '127.0.0.1', r))
  const { port } = server.address() as AddressInfo
  const verified = await new Promise(r => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'unix.test', ca }, () => {
      r(socket.authorized)
      socket.destroy()
    })
    socket.on('error', e => r(e))
  })
  t.equal(verified, true)
  const byAddress = await new Promise(r => {
    const socket = connect({ socket: netConnect(port, '127.0.0.1'), host: '127.0.0.1', ca }, () => {
      r(socket.authorized)
      socket.destroy()
    })
    socket.on('error', e => r(e))
  })
  t.equal(byAddress, true)
  server.close()
  const x = new X509Certificate(cert)
  t.ok(Date.parse(x.validTo) - Date.now() <= 90 * DAY, 'it lives 90 days at most')
  t.match(x.subjectAltName, /DNS:fnaa\.unix\.test, DNS:unix\.test, IP Address:127\.0\.0\.1, IP Address:0:0:0:0:0:0:0:1/)
  t.notOk(x.ca)
  t.ok(new X509Certificate(ca).ca)
  t.not(x.serialNumber[0], '0', 'a positive serial without leading zero')
})

t.test('keys are readable for the owner alone', async t => {
  const directory = join(t.testdir(), 'made', 'here')
  await developmentCertificates({ directory, names })
  t.same((await readdir(directory)).sort(), ['ca.crt', 'ca.pem', 'fnaa.unix.test.pem'])
  for (const file of ['ca.pem', 'fnaa.unix.test.pem']) {
    t.equal((await stat(join(directory, file))).mode & 0o777, 0o600, file)
  }
})

t.test('loads what is there, quickly', async t => {
  const directory = t.testdir()
  const first = await developmentCertificates({ directory, names, addresses })
  const times: number[] = []
  for (let i = 0; i < 20; i++) {
    const began = performance.now()
    t.same(await developmentCertificates({ directory, names, addresses }), first)
    times.push(performance.now() - began)
  }
  t.ok(Math.min(...times) < 5, `${Math.min(...times)} ms`)
})

t.test('makes the certificate anew, the CA not', async t => {
  const directory = t.testdir()
  const now = Date.now()
  const first = await developmentCertificates({ directory, names, now })
  const renewed = await developmentCertificates({ directory, names, now: now + 61 * DAY })
  t.not(renewed.cert, first.cert, 'fewer than 30 days remain')
  t.equal(renewed.ca, first.ca)
  const more = await developmentCertificates({ directory, names: [...names, 'flows.unix.test'], now: now + 61 * DAY })
  t.not(more.cert, renewed.cert, 'another name')
  await writeFile(join(directory, 'fnaa.unix.test.pem'), 'broken')
  const mended = await developmentCertificates({ directory, names, now })
  t.ok(new X509Certificate(mended.cert).checkHost('unix.test'))
  const late = await developmentCa(directory, now + 1800 * DAY)
  t.not(late.cert, first.ca, 'a CA at its end is replaced')
})

t.test('two agents share a directory, also when they boot at once', async t => {
  const directory = t.testdir()
  const [a, b] = await Promise.all([
    developmentCertificates({ directory, names: ['fnaa.unix.test'] }),
    developmentCertificates({ directory, names: ['fnaa.emiliano.test'] }),
  ])
  t.equal(a.ca, b.ca)
  t.equal((await developmentCa(directory)).cert, a.ca)
  t.same(
    (await readdir(directory)).filter(f => /\.pem\./.test(f)),
    [],
    'no drafts are left',
  )
})

t.test('says which directory cannot be used', async t => {
  const directory = join(t.testdir({ file: 'x' }), 'file')
  await t.rejects(developmentCertificates({ directory, names }), { code: 'FNA_ERR_CONFIG', message: /file/ })
  await t.rejects(developmentCertificates({ directory, names: [] }), { code: 'FNA_ERR_CONFIG' })
  await t.rejects(developmentCertificates({ directory, names: ['../etc'] }), { code: 'FNA_ERR_CONFIG' })
})
