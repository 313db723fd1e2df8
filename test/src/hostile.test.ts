import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { encodeBatch, encodeFrame } from '@fnaa/protocol'
import t from 'tap'
import { places, single } from './support/agents.js'
import { MINUTE, TurnableClock } from './support/clock.js'
import { ProcessAgent } from './support/process.js'
import { Random, seedOf } from './support/random.js'
import { Raw } from './support/raw.js'

const SEED = seedOf()
const MIB = 1 << 20
const CROWD = fileURLToPath(new URL('./support/crowd.js', import.meta.url))

/** Bytes of the process's own memory: what the kernel maps of LMDB's file is not counted. */
async function anonymous(pid: number): Promise<number> {
  const m = /RssAnon:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))
  return Number(m?.[1] ?? 0) * 1024
}

t.setTimeout(300_000)
t.test(`random bytes in random chunks, seed ${SEED}`, async t => {
  const a = await single(t)
  const random = new Random(SEED)
  const words = [
    'NOOP',
    'QUIT',
    'AUTHENTICATE PLAIN',
    'STARTTLS',
    'CAPABILITIES',
    'GET FLOWS',
    'READ FLOW a.b',
    'WRITE FLOW a.b',
    '"',
    '\\',
    '\r\n',
    '\r',
    '\n',
    '\0',
    ' ',
    '220 OK',
    '*',
    '=',
    'é',
    'FORMAT BATCH',
    'x'.repeat(300),
  ]
  for (let i = 0; i < 300; i++) {
    const socket = connect(a.port, '127.0.0.1').on('error', () => undefined)
    await once(socket, 'connect')
    if (random.next() < 0.5) socket.write('AUTHENTICATE PLAIN\r\n')
    let bytes = Buffer.alloc(0)
    for (let n = random.below(40); n > 0; n--) {
      const part =
        random.next() < 0.7
          ? Buffer.from(random.pick(words))
          : Buffer.from(Array.from({ length: random.below(50) }, () => random.below(256)))
      bytes = Buffer.concat([bytes, part])
    }
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + random.below(64)
      socket.write(bytes.subarray(at, at + size))
      at += size
      if (random.next() < 0.1) await new Promise(resolve => setImmediate(resolve))
    }
    socket.end()
  }
  const r = await Raw.open(t, a.port)
  await r.login()
  t.same(await r.say('NOOP'), ['220 OK'], 'still answers')
})

t.test('slow senders and half-open connections are closed in time', async t => {
  const clock = new TurnableClock()
  const a = await single(t, { clock })
  const silent = await Raw.open(t, a.port)
  await silent.line()
  const slow = await Raw.open(t, a.port)
  await slow.login()
  slow.send('NOO')
  const idle = await Raw.open(t, a.port)
  await idle.login()
  const empty = await Raw.open(t, a.port)
  await empty.login()
  await slow.socket.write('')
  clock.turn(29_000)
  slow.send('P')
  clock.turn(3000)
  t.match(await slow.rest(), /^421 CLOSING /, 'a line has thirty seconds in all')
  clock.turn(MINUTE)
  t.match(await silent.rest(), /^421 CLOSING /, 'a login has sixty')
  empty.send('\r\n\r\n')
  clock.turn(4 * MINUTE)
  t.match(await idle.rest(), /^421 CLOSING /, 'a session may be idle for five minutes')
  t.match(await empty.rest(), /^421 CLOSING /, 'H30 empty lines do not keep it alive')
})

t.test('a client that pipelines and does not read is not read from', async t => {
  const [where] = await places(t, ['unix.test'])
  const agent = await (await ProcessAgent.prepare(t, where!)).start()
  const r = await Raw.open(t, agent.where.port)
  await r.login()
  r.socket.pause()
  const before = await anonymous(agent.pid)
  const lines = Buffer.from('HELP\r\n'.repeat(10_000))
  let sent = 0
  // Until the agent's window is full: 60 kB of commands come to some 60 MB of replies.
  const stalled = new Promise<void>(resolve => {
    const push = () => {
      while (sent < 200 && r.socket.write(lines)) sent++
      if (sent >= 200) resolve()
    }
    r.socket.on('drain', push)
    push()
    setTimeout(resolve, 4000)
  })
  await stalled
  const grown = (await anonymous(agent.pid)) - before
  t.ok(grown < 64 * MIB, `grew by ${Math.round(grown / MIB)} MiB`)
  const other = await Raw.open(t, agent.where.port)
  await other.login()
  t.same(await other.say('NOOP'), ['220 OK'], 'others are served')
})

t.test('10,000 connections from many addresses: nobody falls, memory is bounded', async t => {
  const [where] = await places(t, ['unix.test'])
  const agent = await ProcessAgent.prepare(t, where!, { limits: { unauthenticated: 8000 } })
  await agent.start()
  const before = await anonymous(agent.pid)
  const crowd = spawn(process.execPath, [CROWD, String(agent.where.port), '10000'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => crowd.kill('SIGKILL'))
  let said = ''
  crowd.stdout.on('data', d => (said += d))
  while (!said.includes('\n')) await once(crowd.stdout, 'data')
  const { greeted, refused } = JSON.parse(said) as { greeted: number; refused: number }
  const grown = (await anonymous(agent.pid)) - before
  t.comment(`${greeted} greeted, ${refused} refused with 421, memory +${Math.round(grown / MIB)} MiB`)
  t.equal(greeted + refused, 10_000, 'everyone got an answer')
  t.ok(greeted >= 7900, 'up to the bound of those that have not logged in')
  t.ok(grown < 256 * MIB, 'bounded')
  crowd.stdin.end()
  await once(crowd, 'exit')
  const r = await Raw.open(t, agent.where.port)
  await r.login()
  t.same(await r.say('NOOP'), ['220 OK'])
})

t.test('1 GiB against a reader that does not read grows memory by at most 64 MiB', async t => {
  const [where] = await places(t, ['unix.test'])
  const agent = await (await ProcessAgent.prepare(t, where!)).start()
  const client = await agent.login()
  t.teardown(() => client.connection.destroy())
  await client.ok('CREATE FLOW big.flows.unix.test')
  const event = { key: null, value: Buffer.alloc(1000, 0x61), headers: [], timestamp: Date.now() }
  const batch = encodeBatch(Array.from({ length: 1000 }, () => event))
  const stream = await client.connection.stream('WRITE FLOW big.flows.unix.test FORMAT BATCH')
  let credit = 0
  let highest = 0
  let next = 0
  const write = async (bytes: number) => {
    const total = Math.ceil(bytes / batch.length)
    let sent = 0
    let acknowledged = 0
    while (acknowledged < total) {
      while (sent < total && credit > 0) {
        await stream.send({ type: 'D', shard: '0', cursor: String(next++), batch })
        credit -= batch.length
        sent++
      }
      const frame = await stream.next()
      if (frame?.type === 'W') credit += frame.bytes
      if (frame?.type === 'A' && ++acknowledged % 50 === 0) highest = Math.max(highest, await anonymous(agent.pid))
    }
  }
  // What writing itself needs is there before the readers come.
  await write(128 * MIB)
  const reader = await Raw.open(t, agent.where.port)
  await reader.login()
  const lines = await Raw.open(t, agent.where.port)
  await lines.login()
  reader.send('READ FLOW big.flows.unix.test FROM earliest FOLLOW FORMAT BATCH\r\n')
  lines.send('READ FLOW big.flows.unix.test FROM earliest FOLLOW\r\n')
  await Promise.all([reader.line(), lines.line()])
  // All the credit that there is, and then deaf.
  reader.send(encodeFrame({ type: 'W', bytes: 0x7fffffff }))
  reader.socket.pause()
  lines.socket.pause()
  const before = Math.max(highest, await anonymous(agent.pid))
  highest = 0
  await write(1024 * MIB)
  const grown = Math.max(highest, await anonymous(agent.pid)) - before
  t.comment(`1 GiB written; memory +${Math.round(grown / MIB)} MiB at the most`)
  t.ok(grown <= 64 * MIB, `${Math.round(grown / MIB)} MiB`)
})

export type { Socket }
