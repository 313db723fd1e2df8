import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Config, flattenPlugins } from '@fnaa/core'
import {
  decodeBatch,
  encodeBatch,
  encodeFrame,
  formatCommand,
  LIMITS,
  MOST_BATCH,
  readBatchHeader,
} from '@fnaa/protocol'
import storeLmdb from '@fnaa/store-lmdb'
import t from 'tap'
import { type Client, pair, places, single, TestAgent } from './support/agents.js'
import { DAY, TurnableClock } from './support/clock.js'
import { Raw } from './support/raw.js'

const FLOW = 'time.flows.unix.test'
const soon = () => ({ signal: AbortSignal.timeout(20_000) })

/** The config with a store of this many bytes. */
const small = (mapSize: number) => (config: Config) => ({
  ...config,
  plugins: flattenPlugins(config.plugins).map(p => (p.id === 'store-lmdb' ? storeLmdb({ mapSize }) : p)),
})

/** Puts into the store up to this share of its limit; 1: until not even a small value fits. */
async function fill(a: TestAgent, share: number): Promise<void> {
  const bucket = a.kernel.store.bucket('plugin:filler')
  let size = 8000
  for (let i = 0; size > 10; i++) {
    const { used, limit } = await a.kernel.store.usage(soon())
    if (share < 1 && used > limit * share) return
    try {
      await bucket.put(`${share}/${i}`, new Uint8Array(size), {}, soon())
    } catch (e) {
      if ((e as { code?: string }).code !== 'FNA_ERR_FULL') throw e
      size /= 2
    }
  }
}

/** Reads one event with a cursor, and says something, which moves the cursor. */
async function readOne(user: Client, label: string): Promise<unknown[]> {
  const data = await user.read(FLOW, { from: { at: 'cursor', label }, max: 1 })
  await user.ok('NOOP')
  return data
}

t.test('anonymous readers keep no cursors', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  await user.write(FLOW, 'one')
  const anyone = await Raw.open(t, a.port)
  await anyone.line()
  await anyone.say('AUTHENTICATE ANONYMOUS eA==')
  for (const format of ['JSON', 'BATCH']) {
    const [reply] = await anyone.say(`READ FLOW ${FLOW} FROM CURSOR mine FORMAT ${format}`)
    t.match(reply, /^403 DENIED FROM CURSOR: .*earliest, latest or a time/, format)
  }
  t.equal((await anyone.say(`READ FLOW ${FLOW} FROM earliest`, 3))[2], '220 OK', 'and may read')
})

t.test('one reader has so many cursors and no more; unused ones are forgotten', async t => {
  const clock = new TurnableClock()
  const a = await single(t, { clock, change: c => ({ ...c, limits: { cursors: 3, cursorDays: 3 } }) })
  let user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW}`)
  await user.write(FLOW, 'one', 'two', 'three')
  for (const label of ['a', 'b', 'c']) t.strictSame(await readOne(user, label), ['one'], label)
  await a.kernel.positions.flush()
  t.match(await user.say(`READ FLOW ${FLOW} FROM CURSOR d`), { code: 429, symbol: 'QUOTA' })
  t.match(await user.say(`READ FLOW ${FLOW} FROM CURSOR d`), { text: /^900 .*you have 3 cursors/ }, 'the text says why')
  t.strictSame(await readOne(user, 'a'), ['two'], 'those that there are go on')
  clock.turn(2 * DAY)
  t.strictSame(await readOne(await a.login(t), 'a'), ['three'])
  await a.kernel.positions.flush()
  clock.turn(2 * DAY)
  await a.kernel.positions.expire(soon())
  user = await a.login(t)
  t.strictSame(await readOne(user, 'd'), ['one'], 'the two that nobody used made room')
  t.strictSame(await user.read(FLOW, { from: { at: 'cursor', label: 'a' } }), [], 'the used one stands')
  t.strictSame(await user.read(FLOW, { from: { at: 'cursor', label: 'b' }, max: 1 }), ['one'], 'b begins anew')
})

t.test('cursors made at once are counted too', async t => {
  const a = await single(t, { change: c => ({ ...c, limits: { cursors: 3 } }) })
  const { positions } = a.kernel
  for (let i = 0; i < 20; i++) positions.move({ owner: 'u@unix.test', key: `u@unix.test/f/${i}` }, 'e', '0', '1')
  await positions.flush()
  const stored = await a.kernel.store.bucket('cursors').list('at/u@unix.test/', { limit: 100 }, soon())
  t.equal(stored.length, 3)
})

t.test('H9 a store that is getting full: strangers stop, owners go on', async t => {
  const { a, b } = await pair(t, { change: small(1 << 20) })
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} REQUESTS yes`)
  const place = await b.kernel.peers.find('unix.test', soon(), true)
  const ask = async (line: string) => {
    const { code, symbol } = (await b.kernel.peers.request(place, line, soon())) as { code: number; symbol?: string }
    return `${code} ${symbol ?? 'OK'}`
  }
  const id = (c: string) => c.repeat(26)
  const wish = (c: string) =>
    formatCommand('SUBSCRIBE', { flow: FLOW }, { id: id(c), gen: 1, accept: ['fnap'], for: 'x@emiliano.test' })
  const end = (c: string) => formatCommand('UNSUBSCRIBE', { flow: FLOW }, { id: id(c), gen: 1 })
  t.equal(await ask(wish('a')), '220 OK', 'while there is room: a request')
  t.equal(await ask(end('b')), '220 OK', 'a tombstone')
  await fill(a, 0.81)
  t.equal(await ask(wish('c')), '429 QUOTA', 'a request')
  t.equal(await ask(end('d')), '429 QUOTA', 'a tombstone')
  await owner.ok(`GRANT read,subscribe ON FLOW ${FLOW} TO x@emiliano.test`)
  t.equal(await ask(wish('e')), '429 QUOTA', 'a subscriber')
  await owner.ok(`GRANT read ON FLOW ${FLOW} TO emiliano.test`)
  t.equal(await ask(`READ FLOW ${FLOW} FROM CURSOR x`), '429 QUOTA', 'a cursor')
  const before = a.kernel.resources.count('Peer')
  await a.kernel.pins.admit({ type: 'domain', principal: 'other.test', level: 'dnssec' }, '127.0.0.1')
  t.equal(a.kernel.resources.count('Peer'), before, 'a peer is not remembered')
  await owner.ok('CREATE FLOW other.flows.unix.test')
})

t.test('H9 a full store: an owner can take everything away, and the agent starts again', async t => {
  const [w] = await places(t, ['unix.test'])
  const options = { change: small(1 << 20) }
  let a = await new TestAgent(w!, options).start()
  t.teardown(() => a.close())
  for (const name of ['eve', 'bob', 'joe']) await a.addUser(name, name)
  const owner = await a.login(t)
  for (const n of [1, 2, 3, 4]) await owner.ok(`CREATE FLOW f${n}.flows.unix.test`)
  await owner.ok('UPDATE FLOW f3.flows.unix.test VISIBILITY public')
  await owner.ok('UPDATE FLOW f4.flows.unix.test REQUESTS yes VISIBILITY listed')
  for (const n of [1, 2]) await owner.ok(`GRANT read,subscribe ON FLOW f${n}.flows.unix.test TO eve@unix.test`)
  const eve = await a.login(t, 'eve', 'eve')
  for (const n of [1, 2, 3]) await eve.ok(`SUBSCRIBE f${n}.flows.unix.test LOCAL l${n}.eve.example`)
  const { id } = await eve.ok('SUBSCRIBE f4.flows.unix.test LOCAL l4.eve.example')
  await fill(a, 1)
  t.match(await owner.say('CREATE FLOW more.flows.unix.test'), { code: 503, symbol: 'UNAVAILABLE' }, 'it is full')
  const cut = async (line: string) => t.equal((await owner.say(line)).code, 220, line)
  await cut('REVOKE read,subscribe ON FLOW f1.flows.unix.test FROM eve@unix.test')
  await cut('REMOVE SUBSCRIBER f3.flows.unix.test eve@unix.test')
  await cut(`DENY ${id} REASON "no room"`)
  await a.close()
  a = await new TestAgent(w!, options).start()
  const again = await a.login(t)
  t.equal((await again.say('DELETE FLOW f2.flows.unix.test')).code, 220, 'DELETE FLOW after a restart')
  t.equal((await again.say('CREATE FLOW more.flows.unix.test')).code, 503, 'it is full still')
  t.match((await again.ok('GET SUBSCRIBERS f3.flows.unix.test ALL')).lines, [/phase=revoked/], 'what was cut stays cut')
})

t.test('a stored position that the broker does not know hides no other subscriber', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW}`)
  for (const local of ['one.b.example', 'two.b.example']) await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${local}`)
  const [first] = a.kernel.resources.by('Subscriber', 'flow', FLOW)
  const { epoch } = a.kernel.resources.get('Flow', FLOW)!.status
  for (const stored of [`{"epoch":"${epoch}","shards":{"0":"garbage"}}`, '{"epoch":']) {
    // Paused, so that its processor's next acknowledgement does not mend it.
    for (const local of ['one.b.example', 'two.b.example']) await user.ok(`PAUSE FLOW ${local}`)
    await a.kernel.positions.flush()
    await a.kernel.store.bucket('cursors').put(`at/${first!.uid}`, Buffer.from(stored), {}, soon())
    const { lines } = await user.ok(`GET SUBSCRIBERS ${FLOW}`)
    t.equal(lines.length, 2, stored)
    t.equal(lines.filter(l => l.includes('lag-events=0')).length, 1, "the other one's lag is shown")
  }
})

t.test('a client that names a cursor which is none is told so', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW}`)
  const epoch = a.kernel.resources.get('Flow', FLOW)!.status.epoch!
  const stream = await user.connection.stream(`READ FLOW ${FLOW} FROM POSITION FORMAT BATCH`)
  await stream.send({ type: 'P', position: { epoch, shards: { 0: 'garbage' } } })
  for await (const frame of stream) t.match(frame, { type: 'E', code: 400, symbol: 'BADVALUE' })
})

t.test('a text WRITE that is longer than a frame reaches readers by frames, all or nothing', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW}`)
  await user.ok(`CREATE FLOW many.flows.unix.test SHARDS 3`)
  const lines = Array.from({ length: 100 }, (_, n) => `${n} ${'y'.repeat(30_000)}`)
  for (const flow of [FLOW, 'many.flows.unix.test']) {
    t.match(await user.write(flow, ...lines), { code: 220, text: 'written=100' })
    const stream = await user.connection.stream(`READ FLOW ${flow} FROM earliest FORMAT BATCH`)
    await stream.send({ type: 'W', bytes: 16 << 20 })
    const found: string[] = []
    for await (const frame of stream) {
      if (frame.type === 'E') t.equal(frame.code, 220, flow)
      if (frame.type !== 'D') continue
      for (const e of decodeBatch(frame.batch, { bytes: 16 << 20 })) found.push(Buffer.from(e.value!).toString())
    }
    await stream.end()
    t.strictSame(found, lines)
  }
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL copy.flows.unix.test FROM earliest`)
  t.equal((await user.follow('copy.flows.unix.test', 100, { from: { at: 'earliest' } })).length, 100, 'a subscription')
})

/** Writes until the other side closes; what the socket took until then, at most `most` bytes. */
async function pour(raw: Raw, most: number): Promise<number> {
  const junk = Buffer.alloc(1 << 16, 'A')
  let poured = 0
  const closed = new Promise<void>(resolve => raw.socket.once('close', () => resolve()))
  while (!raw.closed && !raw.socket.destroyed && poured < most) {
    poured += junk.length
    if (!raw.socket.write(junk)) await Promise.race([closed, new Promise(r => raw.socket.once('drain', r))])
  }
  return poured
}

t.test('who reads nothing and says E is not poured into memory', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW}`)
  for (let i = 0; i < 4; i++) await user.write(FLOW, ...Array.from({ length: 200 }, () => 'x'.repeat(30_000)))
  const raw = await Raw.open(t, a.port)
  await raw.login()
  await raw.say(`READ FLOW ${FLOW} FROM earliest FORMAT BATCH`)
  raw.socket.pause()
  raw.send(encodeFrame({ type: 'W', bytes: 64 << 20 }))
  while (![...a.kernel.sessions].some(s => s.socket.writableNeedDrain)) await new Promise(r => setImmediate(r))
  raw.send(encodeFrame({ type: 'E', code: 220, text: 'OK' }))
  const poured = await pour(raw, 64 << 20)
  t.ok(poured < 32 << 20, `${poured} bytes went in`)
})

t.test('a command behind E waits for its turn', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW}`)
  const raw = await Raw.open(t, a.port)
  await raw.login()
  const end = encodeFrame({ type: 'E', code: 220, text: 'OK' })
  for (const command of [`READ FLOW ${FLOW} FOLLOW FORMAT BATCH`, `WRITE FLOW ${FLOW} FORMAT BATCH`]) {
    await raw.say(command)
    raw.send(Buffer.concat([end, Buffer.from('WHOAMI\r\n')]))
    t.match(await raw.line(), /220 OK test@unix.test$/, command)
  }
})

t.test('a frame that is begun and not ended is given up, like a line', async t => {
  const clock = new TurnableClock()
  const a = await single(t, { clock })
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW}`)
  for (const command of [`READ FLOW ${FLOW} FOLLOW FORMAT BATCH`, `WRITE FLOW ${FLOW} FORMAT BATCH`]) {
    const half = await Raw.open(t, a.port)
    await half.login()
    t.same(await half.say(command), ['220 STREAM'])
    const session = [...a.kernel.sessions].at(-1)!
    // Whole frames one after the other start the time anew; the rest of one does not.
    const credit = encodeFrame({ type: 'W', bytes: 1 })
    const piece = command.startsWith('READ') ? credit : Buffer.alloc(0)
    half.send(Buffer.concat([piece, credit.subarray(0, 5)]))
    while (session.lineSince === 0) await new Promise(r => setImmediate(r))
    clock.turn(29_000)
    t.notOk(half.closed)
    clock.turn(3000)
    await half.rest()
  }
})

t.test('a reader has no use for long frames', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW}`)
  const raw = await Raw.open(t, a.port)
  await raw.login()
  t.same(await raw.say(`READ FLOW ${FLOW} FOLLOW FORMAT BATCH`), ['220 STREAM'])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(LIMITS.jsonLine + 2)
  raw.send(length)
  await raw.rest()
  t.pass('closed at its length')
})

/** A gzip batch of so many events with this many bytes of one letter each. */
const bomb = (n: number, size: number) => {
  const value = Buffer.alloc(size, 'x')
  const events = Array.from({ length: n }, () => ({ key: null, value, headers: [], timestamp: Date.now() }))
  return encodeBatch(events, { codec: 'gzip' })
}

t.test('a small batch that expands to a large one holds nobody up', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW}`)
  const batch = bomb(150, 100_000)
  t.ok(batch.length < 40_000, `${batch.length} bytes`)
  const stream = await user.connection.stream(`WRITE FLOW ${FLOW} FORMAT BATCH`)
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  for (let i = 0; i < 5; i++) await stream.send({ type: 'D', shard: '0', cursor: String(i), batch })
  for (let acks = 0; acks < 5; ) if ((await stream.next())?.type === 'A') acks++
  delay.disable()
  await stream.end()
  t.comment(`the loop was held up for ${delay.max / 1e6} ms at most`)
  const reader = await a.login(t)
  const frames = await reader.connection.stream(`READ FLOW ${FLOW} FROM earliest MAX 150 FORMAT BATCH`)
  await frames.send({ type: 'W', bytes: 64 << 20 })
  let found = 0
  for await (const frame of frames) {
    if (frame.type !== 'D') continue
    const { count, codec, length } = readBatchHeader(frame.batch)
    t.ok(codec === 'none' && length <= MOST_BATCH, 'what is kept expands no more')
    found += count
  }
  t.equal(found, 150)
})

t.test('a batch of too many events is refused before it is expanded', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW}`)
  const stream = await user.connection.stream(`WRITE FLOW ${FLOW} FORMAT BATCH`)
  await stream.send({ type: 'D', shard: '0', cursor: '1', batch: bomb(LIMITS.batchEvents + 1, 0) })
  for await (const frame of stream) if (frame.type === 'E') t.match(frame, { code: 413, symbol: 'TOOLONG' })
  t.match(
    await (await a.login(t)).write(FLOW, ...Array.from({ length: 70_000 }, () => '')),
    { code: 220 },
    'as text it may',
  )
})

t.test('nobody else may read what an agent keeps, and its hosts leave nothing', async t => {
  const [w] = await places(t, ['unix.test'])
  const a = await new TestAgent(w!).start()
  t.teardown(() => a.close())
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW}`)
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL copy.flows.unix.test`)
  const entries = readdirSync(w!.data, { recursive: true, withFileTypes: true })
  const open = entries.filter(e => !e.isSymbolicLink() && (statSync(join(e.parentPath, e.name)).mode & 0o077) !== 0)
  t.strictSame(
    open.filter(e => !e.isSocket()).map(e => e.name),
    [],
  )
  const run = join(w!.data, 'runtime-process', 'run')
  t.equal(readdirSync(run).length, 1, 'the folder of its host')
  await a.close()
  t.strictSame(readdirSync(run), [])
})
