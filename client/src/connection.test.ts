import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { encodeFrame, FrameReader } from '@fnaa/protocol'
import t, { type Test } from 'tap'
import { FnapConnection } from './connection.js'
import type { ConnectOptions, TraceLine } from './connection-options.js'
import { certificate, fakeAgent, type Script } from './fake-agent.test.helper.js'
import { expectSuccess } from './reply.js'
import { anonymous, plain, scram } from './sasl.js'
import { formatRecord, makeRecord, parseRecord, serverSignature } from './scram.js'
import { formatServerFirst, parseClientFinal, parseClientFirst } from './scram-messages.js'

const GREETING = '220 fnaa.unix.test FNAA'
const tls = certificate('unix.test')

/** A connection to an agent that plays `script` after its greeting. */
async function talk(
  t: Test,
  script: (a: Script) => Promise<void> | void,
  opt: ConnectOptions = {},
  greeting = GREETING,
) {
  const agent = await fakeAgent(t, async a => {
    a.say(greeting)
    await script(a)
  })
  const connection = await FnapConnection.connect(await agent.open(), opt)
  t.teardown(() => connection.destroy())
  return connection
}

const login = async (a: Script) => {
  await a.line()
  a.say('220 Authenticated')
}
/** An error that carries this reply. */
const replied = (reply: object) => ({ reply }) as unknown as Error
const enter = (c: FnapConnection) => c.authenticate('ANONYMOUS', anonymous())

t.test('the greeting', async t => {
  const c = await talk(t, () => {})
  t.equal(c.greeting, 'fnaa.unix.test')
  t.equal(c.state, 'connected')
  t.match(c.peerInfo(), { address: '127.0.0.1', loopback: true, tls: null, capabilities: '' })
  await t.rejects(
    talk(t, () => {}, {}, '220 mail.unix.test ESMTP'),
    { code: 'FNA_ERR_DENIED' },
    'H17: ends in FNAA',
  )
  t.equal((await talk(t, () => {}, { greeting: 'any' }, '220 something else')).greeting, '', 'a user may look at it')
  await t.rejects(
    talk(t, () => {}, {}, '421 CLOSING too many'),
    { code: 'FNA_ERR_UNAVAILABLE', reply: { code: 421 } },
  )
  await t.rejects(
    talk(t, () => {}, {}, 'HTTP/1.1 400 Bad Request'),
    { code: 'FNA_ERR_CORRUPT' },
  )
  const silent = await fakeAgent(t, () => {})
  await t.rejects(FnapConnection.connect(await silent.open(), { greetingMs: 30 }), { code: 'FNA_ERR_TIMEOUT' })
  const closing = await fakeAgent(t, a => a.end())
  await t.rejects(FnapConnection.connect(await closing.open()), { code: 'FNA_ERR_UNAVAILABLE' })
})

t.test('commands and replies', async t => {
  const c = await talk(t, async a => {
    await login(a)
    const replies: Record<string, string[]> = {
      NOOP: ['220 OK'],
      WHOAMI: ['220 OK test@unix.test'],
      'GET FLOWS': ['220 DATA', 'flow=a.unix.test', 'flow=b.unix.test', '220 OK'],
      'GET EMPTY': ['220 DATA ', '220 OK '],
      BAD: ['404 NOTFOUND there is no such flow here'],
      BUSY: ['429 RATE 30 slow down'],
      OLD: ['404 unknown command'],
    }
    for (let line = await a.line(); line !== null; line = await a.line())
      a.say(...(replies[line] ?? ['500 INTERNAL ?']))
  })
  await enter(c)
  t.match(await c.command('NOOP'), { code: 220, kind: 'ok', lines: [] })
  t.match(await c.command('WHOAMI'), { text: 'test@unix.test' })
  t.match(await c.command('GET FLOWS'), { lines: ['flow=a.unix.test', 'flow=b.unix.test'] })
  t.match(await c.command('GET EMPTY'), { kind: 'data', lines: [] })
  t.match(await c.command('BAD'), { kind: 'error', code: 404, symbol: 'NOTFOUND' })
  t.match(await c.command('BUSY'), { temporary: true, retryAfter: 30 })
  t.match(await c.command('OLD'), { code: 404, symbol: undefined, text: 'unknown command' })
  t.throws(() => expectSuccess({ kind: 'error', code: 404, symbol: 'NOTFOUND', text: 'x', lines: [] }), {
    code: 'FNA_ERR_DENIED',
  })
  const both = await Promise.all([c.command('WHOAMI'), c.command('GET FLOWS'), c.command('NOOP')])
  t.same(
    both.map(r => r.lines.length),
    [0, 2, 0],
    'calls wait for each other',
  )
  t.equal(c.state, 'authenticated')
  for (const bad of ['A\r\nB', 'A\0', 'x'.repeat(4095)]) await t.rejects(c.command(bad), { code: /INVALID|TOO_LARGE/ })
  t.match(await c.command('NOOP'), { code: 220 }, 'which nobody has sent')
  const many = await c.pipeline(['NOOP', 'GET FLOWS', 'BAD'])
  t.match(many, [{ code: 220 }, { lines: { length: 2 } }, { code: 404 }])
})

t.test('pipelining is for after the log-in', async t => {
  const c = await talk(t, () => {})
  await t.rejects(c.pipeline(['NOOP']), { code: 'FNA_ERR_INVALID' })
})

t.test('a reply that never ends is void (H24, H28)', async t => {
  const cases: [string, (a: Script) => void, object, string][] = [
    ['no reply', () => {}, { timeoutMs: 30 }, 'FNA_ERR_TIMEOUT'],
    ['no end', a => a.say('220 DATA', 'x=1'), { timeoutMs: 30 }, 'FNA_ERR_TIMEOUT'],
    ['closed', a => a.last('220 DATA', 'x=1'), {}, 'FNA_ERR_UNAVAILABLE'],
    [
      'too many lines',
      a => a.say('220 DATA', ...Array.from({ length: 11 }, () => 'x'), '220 OK'),
      { maxLines: 10 },
      'FNA_ERR_TOO_LARGE',
    ],
    ['a long line', a => a.say('220 DATA', 'x'.repeat(70_000), '220 OK'), {}, 'FNA_ERR_TOO_LARGE'],
    ['a bare LF', a => a.raw('220 DATA\nx\n'), {}, 'FNA_ERR_CORRUPT'],
    ['no reply line', a => a.say('hello'), {}, 'FNA_ERR_CORRUPT'],
    ['354 for no WRITE', a => a.say('354 go on'), {}, 'FNA_ERR_CORRUPT'],
  ]
  for (const [what, play, opt, code] of cases) {
    const c = await talk(t, async a => {
      await login(a)
      await a.line()
      play(a)
    })
    await enter(c)
    await t.rejects(c.command('GET FLOWS', opt), { code }, what)
    t.notOk(c.open, `${what}: closed`)
    await t.rejects(c.command('NOOP'), `${what}: stays closed`)
    t.equal(c.state, 'idle')
  }
})

t.test('an aborted call closes the connection', async t => {
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
  })
  await enter(c)
  const controller = new AbortController()
  const reply = c.command('GET FLOWS', { signal: controller.signal })
  setImmediate(() => controller.abort())
  await t.rejects(reply, { code: 'FNA_ERR_TIMEOUT' })
  await c.closed
})

t.test('an agent that speaks unasked is not believed', async t => {
  const c = await talk(t, async a => {
    await a.line()
    a.say('220 Authenticated', '220 OK injected')
  })
  await enter(c)
  await t.rejects(c.command('WHOAMI'), { code: 'FNA_ERR_CORRUPT' })
  const closing = await talk(t, async a => {
    await a.line()
    a.say('220 Authenticated', '421 CLOSING the agent is closing this connection')
    a.end()
  })
  await enter(closing)
  await t.rejects(closing.command('WHOAMI'), { code: 'FNA_ERR_UNAVAILABLE' })
})

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
    a.say(GREETING)
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

t.test('READ: lines are pulled, FOLLOW is stopped by an empty line', async t => {
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 DATA', '{"a":1}', '{"a":2}')
    if ((await a.line()) === '') a.say('{"a":3}', '220 OK')
    await a.line()
    a.say('404 NOTFOUND no')
    await a.line()
    a.say('220 OK')
  })
  await enter(c)
  const lines: string[] = []
  const stream = await c.readLines('READ FLOW f FOLLOW')
  for await (const line of stream) {
    lines.push(line)
    if (lines.length === 2) await stream.stop()
  }
  t.same(lines, ['{"a":1}', '{"a":2}', '{"a":3}'], 'what was under way still comes')
  await t.rejects(c.readLines('READ FLOW g'), replied({ symbol: 'NOTFOUND' }))
  t.match(await c.command('NOOP'), { code: 220 }, 'the connection lives on')
})

t.test('leaving a READ early stops it', async t => {
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 DATA', '1', '2', '3')
    if ((await a.line()) === '') a.say('4', '220 OK')
    await a.line()
    a.say('220 OK')
  })
  await enter(c)
  for await (const _ of await c.readLines('READ FLOW f FOLLOW')) break
  t.match(await c.command('NOOP'), { code: 220 })
})

t.test('a READ that breaks off throws', async t => {
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 DATA', '1')
    a.end()
  })
  await enter(c)
  const stream = await c.readLines('READ FLOW f')
  t.same(await stream.next(), { done: false, value: '1' })
  await t.rejects(stream.next(), { code: 'FNA_ERR_UNAVAILABLE' })
  t.same(await stream.next(), { done: true, value: undefined })
})

t.test('a reader that does not read stops the agent', async t => {
  let written = 0
  let blocked = false
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 DATA')
    const chunk = `${'x'.repeat(998)}\r\n`.repeat(64)
    for (; written < 512 && !blocked; written++) {
      if (!a.socket.write(chunk)) {
        const drained = await Promise.race([new Promise(r => a.socket.once('drain', () => r(true))), sleep(300, false)])
        if (!drained) blocked = true
      }
    }
    if (blocked) await new Promise(r => a.socket.once('drain', r))
    a.say('220 OK')
  })
  await enter(c)
  const stream = await c.readLines('READ FLOW f')
  while (!blocked && written < 512) await sleep(20)
  t.ok(blocked, `the agent waits after ${written} of 512 chunks`)
  let count = 0
  for await (const _ of stream) count++
  t.equal(count, written * 64, 'and nothing is lost')
})

t.test('WRITE waits for 354, doubles dots, and refuses what would forge a line', async t => {
  const body: (string | null)[] = []
  const c = await talk(t, async a => {
    await login(a)
    body.push(await a.line())
    const early = await Promise.race([a.line(), sleep(20, 'nothing')])
    body.push(early)
    a.say('354 one event a line')
  })
  await enter(c)
  const sink = await c.write('WRITE FLOW f')
  t.same(body, ['WRITE FLOW f', 'nothing'], 'H26')
  for (const bad of ['a\r\nb', 'a\n', '\0']) await t.rejects(sink.send(bad), { code: 'FNA_ERR_INVALID' })
  sink.abort()
  t.notOk(c.open, 'half a body cannot be taken back')
})

t.test('WRITE to its end', async t => {
  const body: (string | null)[] = []
  const c = await talk(t, async a => {
    await login(a)
    for (let round = 0; round < 2; round++) {
      await a.line()
      a.say('354 go on')
      for (let line = await a.line(); line !== '.' && line !== null; line = await a.line()) body.push(line)
      a.say(round === 0 ? '220 OK written=3' : '400 BADEVENT no')
    }
    await a.line()
    a.say('404 NOTFOUND no')
    a.end()
  })
  await enter(c)
  const sink = await c.write('WRITE FLOW f')
  for (const line of ['.', '..x', 'plain']) await sink.send(line)
  t.match(await sink.end(), { kind: 'ok', text: 'written=3' })
  t.same(body, ['..', '...x', 'plain'])
  await t.rejects(sink.send('late'), { code: 'FNA_ERR_CLOSED' })
  t.match(await (await c.write('WRITE FLOW f')).end(), { kind: 'error', symbol: 'BADEVENT' })
  await t.rejects(c.write('WRITE FLOW nothing'), replied({ code: 404 }))
})

t.test('an early refusal of a WRITE is seen', async t => {
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('354 go on')
    await a.line()
    a.say('413 TOOLONG the event is too long')
  })
  await enter(c)
  const sink = await c.write('WRITE FLOW f')
  await sink.send('one')
  await sleep(30)
  await t.rejects(sink.send('two'), replied({ symbol: 'TOOLONG' }))
})

/** The agent's side of frames. */
async function frames(a: Script, reader = new FrameReader()) {
  return async () => {
    for (;;) {
      const frame = reader.next()
      if (frame) return frame
      const bytes = await a.bytes()
      if (bytes.length === 0) throw new Error('the client went away')
      reader.push(bytes)
    }
  }
}

t.test('frames, both ways, then lines again', async t => {
  const batch = Buffer.from('not looked at by the client')
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 STREAM')
    const next = await frames(a)
    a.raw(
      Buffer.concat([
        encodeFrame({ type: 'D', shard: '0', cursor: '1', batch }),
        encodeFrame({ type: 'H', epoch: 'e', lag: { events: 0 } }),
      ]),
    )
    const got = [await next(), await next(), await next()]
    t.match(got, [
      { type: 'W', bytes: 1000 },
      { type: 'D', shard: '1', cursor: 'c' },
      { type: 'E', code: 220 },
    ])
    t.same(Buffer.from((got[1] as { batch: Uint8Array }).batch), batch)
    a.raw(
      Buffer.concat([
        encodeFrame({ type: 'H', epoch: 'e', lag: { events: 1 } }),
        encodeFrame({ type: 'E', code: 220, text: 'OK' }),
      ]),
    )
    await a.line()
    a.say('220 OK')
  })
  await enter(c)
  const stream = await c.stream('READ FLOW f FORMAT BATCH')
  await stream.send({ type: 'W', bytes: 1000 })
  await stream.sendData('1', 'c', batch)
  t.match(await stream.next(), { type: 'D', shard: '0', cursor: '1' })
  t.match(await stream.next(), { type: 'H' })
  t.match(await stream.end(), { type: 'E', code: 220 })
  t.equal(await stream.next(), null)
  await t.rejects(stream.send({ type: 'X' }), { code: 'FNA_ERR_CLOSED' })
  t.match(await c.command('NOOP'), { code: 220 }, 'lines go on')
})

t.test('a stream that ends on the other side', async t => {
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 STREAM')
    a.raw(encodeFrame({ type: 'E', code: 410, symbol: 'REVOKED', text: 'by the owner' }))
    const next = await frames(a)
    await next()
    await a.line()
    a.say('220 OK')
  })
  await enter(c)
  const stream = await c.stream('READ FLOW f FORMAT BATCH')
  const seen = []
  for await (const frame of stream) seen.push(frame)
  t.match(seen, [{ type: 'E', code: 410, symbol: 'REVOKED' }])
  t.match(stream.ended, { code: 410 })
  await stream.end()
  t.match(await c.command('NOOP'), { code: 220 })
})

t.test('bad frames, silence and a broken stream end the connection', async t => {
  const open = async (play: (a: Script) => void, opt: object = {}) => {
    const c = await talk(t, async a => {
      await login(a)
      await a.line()
      a.say('220 STREAM')
      play(a)
    })
    await enter(c)
    return { c, stream: await c.stream('READ FLOW f FORMAT BATCH', opt) }
  }
  const huge = await open(a => a.raw(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x44])))
  await t.rejects(huge.stream.next(), { code: 'FNA_ERR_TOO_LARGE' }, 'H31: 4 GiB')
  t.notOk(huge.c.open)
  const rubbish = await open(a => a.raw(Buffer.from([0, 0, 0, 1, 0x7a])))
  await t.rejects(rubbish.stream.next(), { code: 'FNA_ERR_CORRUPT' })
  const silent = await open(() => {}, { idleMs: 30 })
  await t.rejects(silent.stream.next(), { code: 'FNA_ERR_TIMEOUT' })
  const cut = await open(a => a.end())
  await t.rejects(cut.stream.next(), { code: 'FNA_ERR_UNAVAILABLE' })
})

t.test('a consumer of frames that does not read stops the agent', async t => {
  let sent = 0
  let blocked = false
  const frame = encodeFrame({ type: 'D', shard: '0', cursor: '1', batch: Buffer.alloc(60_000) })
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 STREAM')
    while (sent < 500 && !blocked) {
      sent++
      if (a.socket.write(frame)) continue
      blocked = !(await Promise.race([new Promise(r => a.socket.once('drain', () => r(true))), sleep(300, false)]))
    }
    a.raw(encodeFrame({ type: 'E', code: 220, text: 'OK' }))
  })
  await enter(c)
  const stream = await c.stream('READ FLOW f FORMAT BATCH')
  while (!blocked && sent < 500) await sleep(20)
  t.ok(blocked, `after ${sent} of 500 frames`)
  let got = 0
  for await (const f of stream) if (f.type === 'D') got++
  t.equal(got, sent)
})

t.test('quit', async t => {
  const seen: (string | null)[] = []
  const c = await talk(t, async a => {
    seen.push(await a.line())
    a.say('220 Bye')
    a.end()
  })
  await c.quit()
  await c.closed
  t.same(seen, ['QUIT'])
  t.notOk(c.open)
  await c.quit()
  const rude = await talk(t, a => void a.socket.destroy())
  await rude.quit()
})

t.test('many writers and many streams leave no listeners behind', async t => {
  const warnings: Error[] = []
  const warned = (w: Error) => warnings.push(w)
  process.on('warning', warned)
  t.teardown(() => process.off('warning', warned))
  const c = await talk(t, async a => {
    await login(a)
    for (let i = 0; i < 30; i++) {
      await a.line()
      a.say('220 STREAM')
      const next = await frames(a)
      while ((await next()).type !== 'E');
      a.raw(encodeFrame({ type: 'E', code: 220, text: 'OK' }))
    }
  })
  await enter(c)
  for (let i = 0; i < 30; i++) {
    const stream = await c.stream('WRITE FLOW f FORMAT BATCH')
    const batch = Buffer.alloc(30_000)
    if (i === 0) await Promise.all(Array.from({ length: 50 }, (_, n) => stream.sendData('0', String(n), batch)))
    await stream.end()
  }
  await new Promise(setImmediate)
  t.same(warnings, [])
})
