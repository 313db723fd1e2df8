import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { FnapConnection } from './connection.js'
import type { TraceLine } from './connection-options.js'
import { certificate, enter, fakeAgent, replied, type Script, talk } from './fake-agent.test.helper.js'
import { plain, scram } from './sasl.js'
import { formatRecord, makeRecord, parseRecord, serverSignature } from './scram.js'
import { formatServerFirst, parseClientFinal, parseClientFirst } from './scram-messages.js'

const tls = certificate('unix.test')

t.test('STARTTLS', async t => {
  let theirs: Buffer | undefined
  const c = await talk(t, async a => {
    await a.line()
    a.say('220 DATA', 'version=FNAP/1', 'starttls=yes', '220 OK')
    await a.line()
    a.say('220 OK')
    await a.tls(tls)
    theirs = (a.socket as TLSSocket).exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
    await a.line()
    a.say('220 DATA', 'version=FNAP/1', 'starttls=no', 'auth=PLAIN', '220 OK')
  })
  t.match(await c.capabilities(), { starttls: true })
  t.equal(c.peerInfo().capabilities, 'version=FNAP/1\r\nstarttls=yes\r\n')
  await c.starttls({ servername: 'unix.test', ca: tls.cert, alpn: 'required' })
  t.equal(c.peerInfo().capabilities, '', 'what was said before TLS is forgotten (H19)')
  const info = c.peerInfo().tls!
  t.match(info, { version: 'TLSv1.3', verified: true, alpn: 'fnap/1' })
  t.ok(c.peerInfo().loopback)
  const bound = info.exporter('EXPORTER-Channel-Binding', 32)
  t.equal(bound.length, 32)
  t.match(await c.capabilities(), { auth: ['PLAIN'] })
  t.same(Buffer.from(bound), theirs, 'both sides export the same (RFC 9266)')
  t.equal(c.peerInfo().capabilities, 'version=FNAP/1\r\nstarttls=no\r\nauth=PLAIN\r\n')
  c.destroy()
  await c.closed
  t.same(info.exporter('EXPORTER-Channel-Binding', 32), bound, 'taken right after the handshake (H17)')
})

t.test('STARTTLS: bytes behind the answer, a refusal, a bad certificate', async t => {
  const injected = await talk(t, async a => {
    await a.line()
    a.raw('220 OK\r\n220 DATA\r\nauth=PLAIN\r\n220 OK\r\n')
  })
  await t.rejects(injected.starttls({ servername: 'unix.test', ca: tls.cert }), { code: 'FNA_ERR_DENIED' }, 'H27')
  t.notOk(injected.open)
  const refusing = await talk(t, async a => {
    await a.line()
    a.say('501 NOTSUPPORTED no certificate')
  })
  await t.rejects(refusing.starttls({ servername: 'unix.test' }), replied({ code: 501 }))
  const start = async (opt: object, server: object = tls) => {
    const c = await talk(t, async a => {
      await a.line()
      a.say('220 OK')
      await a.tls(server).catch(() => {})
    })
    await c.starttls({ servername: 'unix.test', ca: tls.cert, ...opt })
    return c
  }
  await t.rejects(start({ servername: 'other.test' }), { code: 'FNA_ERR_DENIED' }, 'another name')
  await t.rejects(start({ ca: certificate('unix.test').cert }), { code: 'FNA_ERR_DENIED' }, 'another CA')
  const recorded = await start({ servername: 'other.test', certificate: 'recorded' })
  t.equal(recorded.peerInfo().tls?.verified, false)
  await t.rejects(
    start({ alpn: 'required' }, { ...tls, alpn: ['h2'] }),
    { code: /DENIED|UNAVAILABLE/ },
    'H20: another protocol',
  )
  t.equal((await start({ alpn: 'none' })).peerInfo().tls?.alpn, null)
  await t.rejects(start({ minVersion: 'TLSv1.3' }, { ...tls, maxVersion: 'TLSv1.2' }), { code: 'FNA_ERR_UNAVAILABLE' })
})

t.test('TLS from the first byte', async t => {
  const agent = await fakeAgent(t, async a => {
    await a.tls(tls)
    a.say('220 fnaa.unix.test FNAA')
  })
  const c = await FnapConnection.connect(await agent.open(), { tls: { servername: 'unix.test', ca: tls.cert } })
  t.match(c.peerInfo(), { loopback: true, address: '127.0.0.1', tls: { verified: true } })
  c.destroy()
  const deaf = await fakeAgent(t, () => {})
  await t.rejects(FnapConnection.connect(await deaf.open(), { tls: { servername: 'unix.test', timeoutMs: 30 } }), {
    code: 'FNA_ERR_TIMEOUT',
  })
})

t.test('PLAIN as in the thesis (T6)', async t => {
  const seen: (string | null)[] = []
  const trace: TraceLine[] = []
  const c = await talk(
    t,
    async a => {
      seen.push(await a.line())
      a.say('220 OK')
      seen.push(await a.line())
      a.say('220 Authenticated')
    },
    { trace: line => trace.push(line) },
  )
  const peer = c.peerInfo()
  t.match(await c.authenticate('PLAIN', plain({ user: 'test', password: 'test', peer })), {
    type: 'user',
    principal: 'test',
  })
  t.same(seen, ['AUTHENTICATE PLAIN', 'AHRlc3QAdGVzdA=='])
  t.equal(c.state, 'authenticated')
  t.same(trace, [
    { direction: 'receive', line: '220 fnaa.unix.test FNAA', bytes: 25 },
    { direction: 'send', line: 'AUTHENTICATE PLAIN', bytes: 20 },
    { direction: 'receive', line: '220 OK', bytes: 8 },
    { direction: 'send', line: '***', bytes: 18 },
    { direction: 'receive', line: '220 Authenticated', bytes: 19 },
  ])
})

t.test('an agent that ignores the initial response is told again', async t => {
  const seen: (string | null)[] = []
  const c = await talk(t, async a => {
    seen.push(await a.line())
    a.say('220 OK')
    seen.push(await a.line())
    a.say('220 Authenticated')
  })
  await c.authenticate('PLAIN', plain({ user: 'test', password: 'test', peer: c.peerInfo() }), { initial: true })
  t.same(seen, ['AUTHENTICATE PLAIN AHRlc3QAdGVzdA==', 'AHRlc3QAdGVzdA=='])
})

t.test('a refused log-in leaves the connection, and may be tried again', async t => {
  const c = await talk(t, async a => {
    await a.line()
    a.say('401 AUTHFAILED authentication failed')
    await a.line()
    a.say('220 Authenticated')
  })
  await t.rejects(enter(c), replied({ code: 401, symbol: 'AUTHFAILED' }))
  t.equal(c.state, 'connected')
  await enter(c)
  await t.rejects(enter(c), { code: 'FNA_ERR_INVALID' }, 'not twice')
})

/** The server's side of SCRAM, by the book or not. */
function scramAgent(
  password: string,
  cheat: { signature?: boolean; early?: boolean; nonce?: boolean; iterations?: number } = {},
) {
  return async (a: Script) => {
    const initial = Buffer.from((await a.line())!.split(' ')[2]!, 'base64').toString()
    const first = parseClientFirst(initial)
    const record = parseRecord(formatRecord(await makeRecord(password, { iterations: 4096 })))
    const nonce = cheat.nonce ? 'x'.repeat(30) : `${first.nonce}SERVER`
    const text = formatServerFirst({ ...record, iterations: cheat.iterations ?? 4096, nonce })
    if (cheat.early) return a.say('220 Authenticated')
    a.say(`334 ${Buffer.from(text).toString('base64')}`)
    const line = await a.line()
    if (line === '*') return a.say('400 CANCELLED the exchange was cancelled')
    const final = parseClientFinal(Buffer.from(line!, 'base64').toString())
    const signature = serverSignature(record.server, `${first.bare},${text},${final.withoutProof}`)
    if (cheat.signature) signature[0]! ^= 1
    a.say(`220 Authenticated ${Buffer.from(`v=${signature.toString('base64')}`).toString('base64')}`)
  }
}

t.test('SCRAM: the agent must prove itself too', async t => {
  const attempt = async (cheat: object, password = 'pencil') => {
    const c = await talk(t, scramAgent('pencil', cheat))
    const login = { user: 'test', password, peer: c.peerInfo(), mechanism: 'SCRAM-SHA-256', offered: [] } as const
    return { c, done: c.authenticate('SCRAM-SHA-256', scram(login)) }
  }
  t.match(await (await attempt({})).done, { principal: 'test' })
  const forged = await attempt({ signature: true })
  await t.rejects(forged.done, { code: 'FNA_ERR_DENIED', message: /signature/ })
  t.notOk(forged.c.open, 'a false agent is left')
  const early = await attempt({ early: true })
  await t.rejects(early.done, { code: 'FNA_ERR_DENIED' }, 'success before its time')
  t.notOk(early.c.open)
  const nonce = await attempt({ nonce: true })
  await t.rejects(nonce.done, { code: 'FNA_ERR_DENIED', message: /nonce/ })
  t.ok(nonce.c.open, 'an exchange called off leaves the connection')
  await t.rejects((await attempt({ iterations: 100 })).done, { message: /iterations/ }, 'a cheap proof is not given')
  await t.rejects((await attempt({ iterations: 90_000_000 })).done, { message: /iterations/ }, 'nor an endless one')
})

t.test('passwords do not travel in clear', t => {
  const peer = { address: '192.0.2.1', loopback: false, tls: null, capabilities: '' }
  t.throws(() => plain({ user: 'a', password: 'b', peer }), { code: 'FNA_ERR_DENIED' })
  t.throws(() => scram({ user: 'a', password: 'b', peer, mechanism: 'SCRAM-SHA-256', offered: [] }), {
    code: 'FNA_ERR_DENIED',
  })
  t.ok(plain({ user: 'a', password: 'b', peer, clear: true }))
  const old = { ...peer, tls: { version: 'TLSv1.2', exporter: () => Buffer.alloc(32), alpn: null } }
  t.throws(() => scram({ user: 'a', password: 'b', peer: old, mechanism: 'SCRAM-SHA-256-PLUS', offered: [] }), {
    code: 'FNA_ERR_UNSUPPORTED',
  })
  t.end()
})
