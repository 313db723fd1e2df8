import { once } from 'node:events'
import { connect as tlsConnect } from 'node:tls'
import { encodeBatch, encodeFrame, FrameReader } from '@fnaa/protocol'
import t from 'tap'
import { type Client, single, type TestAgent } from './support/agents.js'
import { Raw } from './support/raw.js'

const FLOW = 'time.flows.unix.test'
let a: TestAgent
let owner: Client

t.before(async () => {
  a = await single({ teardown: fn => t.teardown(fn as () => Promise<void>) })
  owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
})
const raw = () => Raw.open(t, a.port)
const loggedIn = async () => {
  const r = await raw()
  await r.login()
  return r
}

t.test('H25 a browser: closed without a reply, and nothing of it runs', async t => {
  const r = await raw()
  await r.line()
  r.send(
    'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nAUTHENTICATE PLAIN AHRlc3QAdGVzdA==\r\nDELETE FLOW time.flows.unix.test\r\n',
  )
  t.equal(await r.rest(), '')
  t.equal((await owner.ok(`DESCRIBE FLOW ${FLOW}`)).lines.length, 4)
})

t.test('H25 the third unknown or malformed line before login closes', async t => {
  const r = await raw()
  await r.line()
  t.match(await r.say('HELO x'), [/^404 UNKNOWNCOMMAND /])
  t.match(await r.say('CREATE FLOW "x'), [/^400 SYNTAX /])
  r.send('WIZ\r\nNOOP\r\n')
  t.equal(await r.rest(), '')
})

t.test('H25 nothing may stand behind AUTHENTICATE or its answer', async t => {
  const r = await raw()
  await r.line()
  r.send('AUTHENTICATE PLAIN AHRlc3QAdGVzdA==\r\nDELETE FLOW time.flows.unix.test\r\n')
  t.notMatch(await r.rest(), /220/)
  const second = await raw()
  await second.line()
  await second.say('AUTHENTICATE PLAIN')
  second.send('AHRlc3QAdGVzdA==\r\nDELETE FLOW time.flows.unix.test\r\n')
  t.notMatch(await second.rest(), /220/)
  t.equal((await owner.ok(`DESCRIBE FLOW ${FLOW}`)).lines.length, 4)
})

t.test('H26 the events of a refused WRITE never run as commands', async t => {
  for (const line of [
    'WRITE FLOW absent.flows.unix.test',
    'WRITE FLOW',
    'WRITE FLOW time.flows.unix.test NOSUCH x',
    'WRITE FLOW absent.flows.unix.test FORMAT BATCH',
  ]) {
    for (const together of [true, false]) {
      const r = await loggedIn()
      if (together) r.send(`${line}\r\nDELETE FLOW ${FLOW}\r\n.\r\n`)
      else {
        r.send(`${line}\r\n`)
        await r.line()
        r.send(`DELETE FLOW ${FLOW}\r\n.\r\n`)
      }
      const said = await r.rest()
      t.notMatch(said, /220/, line)
    }
  }
  t.equal((await owner.ok(`DESCRIBE FLOW ${FLOW}`)).lines.length, 4)
})

t.test('H27 bytes behind STARTTLS: 400 BADLINE, closed', async t => {
  const r = await raw()
  await r.line()
  r.send('STARTTLS\r\nNOOP\r\n')
  t.match(await r.rest(), /^400 BADLINE [^\r]*\r\n$/)
})

t.test('H27 nothing of before STARTTLS counts inside TLS: no second greeting, no half command', async t => {
  const r = await raw()
  await r.line()
  r.send('STARTTLS\r\n')
  t.equal(await r.line(), '220 OK')
  r.socket.removeAllListeners('data')
  const tls = tlsConnect({ socket: r.socket, rejectUnauthorized: false, ALPNProtocols: ['fnap/1'] })
  await once(tls, 'secureConnect')
  t.equal(tls.alpnProtocol, 'fnap/1')
  let text = ''
  tls.on('data', d => (text += d))
  tls.write('NOOP\r\nSTARTTLS\r\n')
  while (text.split('\r\n').length < 3) await once(tls, 'data')
  t.match(text, /^220 OK\r\n409 BADSTATE /)
  tls.destroy()
})

t.test('H20 another protocol by ALPN is refused by alert', async t => {
  const r = await raw()
  await r.line()
  r.send('STARTTLS\r\n')
  await r.line()
  r.socket.removeAllListeners('data')
  const tls = tlsConnect({ socket: r.socket, rejectUnauthorized: false, ALPNProtocols: ['http/1.1', 'h2'] })
  const [error] = (await once(tls, 'error')) as [Error]
  t.match(error.message, /no application protocol|alert/i)
})

t.test('H28 inside frames nothing is said: a cut session just closes', async t => {
  const r = await loggedIn()
  r.send(`READ FLOW ${FLOW} FOLLOW\r\n`)
  t.equal(await r.line(), '220 DATA')
  a.kernel.sessions.cut(s => s.streaming)
  t.equal(await r.rest(), '', 'no 421, no end')
})

t.test('H29 a cursor moves only by a line that comes after the reply', async t => {
  await owner.ok('CREATE FLOW cursor.flows.unix.test')
  await owner.write('cursor.flows.unix.test', 'a', 'b')
  const r = await loggedIn()
  const read = 'READ FLOW cursor.flows.unix.test FROM CURSOR mine'
  const data = async () => {
    const lines: string[] = []
    for (let line = await r.line(); line !== '220 OK'; line = await r.line())
      if (line !== '220 DATA') lines.push((JSON.parse(line) as { data: string }).data)
    return lines
  }
  r.send(`${read}\r\n${read}\r\n${read}\r\n`)
  t.same(await data(), ['a', 'b'])
  t.same(await data(), ['a', 'b'], 'pipelined lines acknowledge nothing')
  t.same(await data(), ['a', 'b'])
  t.same(await r.say('NOOP'), ['220 OK'])
  r.send(`${read}\r\n`)
  t.same(await data(), [], 'the line after the reply did')
  const other = await loggedIn()
  other.send('READ FLOW cursor.flows.unix.test FROM CURSOR other\r\n')
  t.equal(await other.line(), '220 DATA')
  t.match(await other.line(), /"a"/, 'another label begins at earliest')
})

t.test('H30 a quoted word is never a keyword', async t => {
  t.match(await owner.say(`READ FLOW ${FLOW} "FOLLOW"`), { code: 400 })
  t.match(await owner.say(`CREATE FLOW x.flows.unix.test TITLE "a" "VISIBILITY" public`), { code: 400 })
  const made = await owner.ok('CREATE FLOW q.flows.unix.test TITLE "VISIBILITY public"')
  t.equal(made.kind, 'ok')
  t.match(
    (await owner.ok('DESCRIBE FLOW q.flows.unix.test FULL')).lines.join(' '),
    /visibility=private .*title=VISIBILITY%20public/,
  )
})

t.test('H31 a frame of 4 GiB is refused on its length; a long text too', async t => {
  const r = await loggedIn()
  r.send(`WRITE FLOW ${FLOW} FORMAT BATCH\r\n`)
  t.equal(await r.line(), '220 STREAM')
  r.send(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x44]))
  await r.rest()
  t.ok(r.closed)
  t.match(await owner.say(`CREATE FLOW y.flows.unix.test TITLE "${'x'.repeat(1025)}"`), {
    code: 400,
    symbol: 'BADVALUE',
  })
  t.match(
    (await owner.ok('CAPABILITIES')).lines.at(-1),
    /^limits=line:4096,auth:12288,frame:\d+,event:\d+,body:\d+,text:1024$/,
  )
})

t.test('H32 time stamps of the year 3000 or 1970 are clamped', async t => {
  await owner.ok('CREATE FLOW stamps.flows.unix.test')
  const r = await loggedIn()
  r.send('WRITE FLOW stamps.flows.unix.test FORMAT BATCH\r\n')
  await r.line()
  const event = (timestamp: number) => ({ key: null, value: Buffer.from('x'), headers: [], timestamp })
  const batch = encodeBatch([event(Date.UTC(3000, 0)), event(Date.UTC(1970, 1)), event(Date.now())])
  const frames = new FrameReader()
  r.socket.removeAllListeners('data')
  const acknowledged = new Promise<void>(resolve => {
    r.socket.on('data', chunk => {
      frames.push(chunk)
      for (let f = frames.next(); f; f = frames.next()) if (f.type === 'A') resolve()
    })
  })
  r.send(encodeFrame({ type: 'D', shard: '0', cursor: '1', batch }))
  await acknowledged
  const stream = await owner.connection.readLines('READ FLOW stamps.flows.unix.test')
  const times: number[] = []
  for await (const line of stream) times.push(Date.parse((JSON.parse(line) as { time: string }).time))
  t.equal(times.length, 3)
  for (const time of times) t.ok(Math.abs(time - Date.now()) < 8 * 86_400_000, new Date(time).toISOString())
})

t.test('H33 the audit says who got which right, and no secret', async t => {
  await owner.ok(`GRANT read ON FLOW ${FLOW} TO bob@unix.test`)
  await owner.ok(`REVOKE read ON FLOW ${FLOW} FROM bob@unix.test`)
  const entries = await a.kernel.store.bucket('audit').list('', { limit: 1000 }, { signal: AbortSignal.timeout(5000) })
  const text = entries.map(([, e]) => Buffer.from(e.value).toString()).join('\n')
  t.match(text, /"what":"login","who":"test@unix.test"/)
  t.match(text, /"what":"grant".*read to bob@unix.test/)
  t.match(text, /"what":"revoke".*read from bob@unix.test/)
  t.notMatch(text, /password|AHRlc3Q/)
})

t.test('smuggling: a line ends with CRLF and nothing else', async t => {
  for (const bad of [
    'NOOP\n',
    'NOOP\rNOOP\r\n',
    'NO\0OP\r\n',
    '\nNOOP\r\n',
    'NOOP\n\r\n',
    'NOOP\r\r\n',
    '\n.\n',
    '\r.\r',
    '\r\n.\n',
    '\n.\r\n',
    '\0.\r\n',
  ]) {
    const r = await loggedIn()
    r.send(`${bad}WHOAMI\r\n`)
    const said = await r.rest()
    t.match(said, /400 BADLINE [^\r\n]*CRLF[^\r\n]*\r\n$/, JSON.stringify(bad))
    t.notMatch(said, /test@unix.test/, 'no second command ran')
  }
})

t.test('bare LF gets one 400 that says so, and the connection closes', async t => {
  const r = await raw()
  await r.line()
  r.send('AUTHENTICATE PLAIN\n')
  t.match(await r.rest(), /^400 BADLINE [^\r\n]*CRLF[^\r\n]*\r\n$/)
})

t.test('a line without end is refused while it is read', async t => {
  const r = await loggedIn()
  r.send('x'.repeat(5000))
  t.match(await r.rest(), /^413 LINETOOLONG /)
})

t.test('WRITE: dots, long bodies, bad lines: nothing is written', async t => {
  await owner.ok('CREATE FLOW body.flows.unix.test')
  const r = await loggedIn()
  t.match(await r.say('WRITE FLOW body.flows.unix.test'), [/^354 /])
  t.same(await r.say('..leading\r\nplain\r\n{"a":1}\r\n.'), ['220 OK written=3'])
  t.same(await owner.read('body.flows.unix.test'), ['.leading', 'plain', { a: 1 }])
  t.match(await r.say('WRITE FLOW body.flows.unix.test'), [/^354 /])
  t.match(await r.say('good\r\n{"specversion":"1.0","type":"x"}\r\n.'), [/^400 BADEVENT /])
  t.equal((await owner.read('body.flows.unix.test')).length, 3)
})
