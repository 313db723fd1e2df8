import t from 'tap'
import { FnapConnection } from './connection.js'
import { enter, fakeAgent, login, type Script, talk } from './fake-agent.test.helper.js'
import { expectSuccess } from './reply.js'

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
