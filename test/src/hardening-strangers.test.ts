import { formatCommand } from '@fnaa/protocol'
import t from 'tap'
import { a as address, cname, fakeDns, soa, srv, txt } from '../../client/dist/fake-dns.test.helper.js'
import driver from '../../plugins/broker-fnap/dist/driver.js'
import { eventually, pair, places, type Teardown, TestAgent } from './support/agents.js'
import { TurnableClock } from './support/clock.js'
import { meeting, type StrangerOptions, trap, type Visit } from './support/stranger.js'

const FLOW = 'time.flows.unix.test'
const THEIRS = 'x.flows.evil.test'
const MINE = 'x.flows.emiliano.test'
const soon = () => ({ signal: AbortSignal.timeout(20_000) })

/** A stranger, our agent with a clock that stands still, and a user of ours. */
async function met(t: Teardown, o: StrangerOptions, clock = new TurnableClock()) {
  const { stranger, b } = await meeting(t, o, { clock })
  return { stranger, b, user: await b.login(t) }
}

/** The subscription that b's user wishes, once `look` says so; the command itself goes on waiting. */
function wish(b: TestAgent, user: { say(line: string): Promise<unknown> }, local: string, error: RegExp) {
  void user.say(`SUBSCRIBE ${THEIRS} LOCAL ${local}`).catch(() => undefined)
  const found = () => b.kernel.resources.by('Subscription', 'local', local).find(s => error.test(s.status.error ?? ''))
  return eventually(b, found, String(error))
}

t.test('H23 NOTIFY is heeded from the owner only, once in ten seconds, and answered the same', async t => {
  const clock = new TurnableClock()
  const [wa, wb, wc] = await places(t, ['unix.test', 'emiliano.test', 'evil.test'])
  const [a, b, c] = [wa!, wb!, wc!].map(w => new TestAgent(w, { clock })) as [TestAgent, TestAgent, TestAgent]
  for (const agent of [a, b, c]) {
    await agent.start()
    t.teardown(() => agent.close())
  }
  let asked = 0
  const request = b.kernel.peers.request.bind(b.kernel.peers)
  b.kernel.peers.request = (place, line, call) => {
    if (line.startsWith('SUBSCRIBE ')) asked++
    return request(place, line, call)
  }
  const notify = async (from: TestAgent, id: string) => {
    const place = await from.kernel.peers.find('emiliano.test', soon(), true)
    const reply = await from.kernel.peers.request(place, formatCommand('NOTIFY', { id }), soon())
    await b.kernel.queue.idle()
    return [reply.code, reply.kind, reply.text]
  }
  await (await a.login(t)).ok(`CREATE FLOW ${FLOW} REQUESTS yes`)
  const { id } = await (await b.login(t)).ok(`SUBSCRIBE ${FLOW} LOCAL time.flows.emiliano.test`)
  await b.kernel.queue.idle()
  t.equal(asked, 1)
  const answer = [220, 'ok', '']
  t.strictSame(await notify(c, id!), answer)
  t.equal(asked, 1, 'another domain moves nothing')
  t.strictSame(await notify(c, 'a'.repeat(26)), answer, 'an id that nobody knows')
  t.strictSame(await notify(a, id!), answer)
  t.equal(asked, 2, "the owner's is heeded")
  for (let i = 0; i < 3; i++) t.strictSame(await notify(a, id!), answer)
  t.equal(asked, 2, 'but once in ten seconds')
  clock.turn(11_000)
  while (asked < 3) await new Promise(resolve => setImmediate(resolve))
  await b.kernel.queue.idle()
  t.equal(asked, 3, 'what came too soon is heeded later, once')
  clock.turn(11_000)
  await notify(a, id!)
  t.equal(asked, 4)
})

/** Sends text again and again until the other side has had enough. */
function pour(v: Visit, text: string): void {
  if (v.closed || v.socket.destroyed) return
  if (v.socket.write(text)) setImmediate(() => pour(v, text))
  else v.socket.once('drain', () => pour(v, text))
}

t.test('H24 a reply without end closes the connection; the user gets 502', async t => {
  const endless: Readonly<Record<string, string>> = {
    list: 'flow=y.flows.evil.test\r\n'.repeat(100),
    line: 'x'.repeat(4096),
  }
  const now = { kind: 'list' }
  const { stranger, b, user } = await met(t, {
    answer: (line, v) => {
      if (!/^(?:DESCRIBE|GET FLOWS) /.test(line)) return false
      v.say('220 DATA')
      if (endless[now.kind]) pour(v, endless[now.kind]!)
      return true
    },
  })
  for (const command of [
    `DESCRIBE FLOW ${THEIRS}`,
    'GET FLOWS flows.evil.test',
    `DESCRIBE FLOW ${THEIRS} FORMAT JSON`,
  ]) {
    for (const kind of ['list', 'line']) {
      now.kind = kind
      t.match(await user.say(command), { code: 502, symbol: 'REMOTE' }, `${command}: ${kind}`)
      const last = stranger.visits.at(-1)!
      await stranger.until(() => (last.closed ? true : undefined), 'closed')
    }
  }
  now.kind = 'nothing more'
  const place = await b.kernel.peers.find(THEIRS, soon())
  await t.rejects(b.kernel.peers.request(place, `DESCRIBE FLOW ${THEIRS}`, { signal: AbortSignal.timeout(500) }))
  const last = stranger.visits.at(-1)!
  await stranger.until(() => (last.closed ? true : undefined), 'a call that is called off closes too')
})

t.test('H24 lies inside a reply stay outside', async t => {
  const now = { text: '' }
  const { user } = await met(t, {
    answer: (line, v) => {
      if (!/^(?:DESCRIBE|GET FLOWS) /.test(line)) return false
      v.say(now.text)
      return true
    },
  })
  now.text = '220 DATA\r\n{"flow":\r\n220 OK'
  t.match(await user.say(`DESCRIBE FLOW ${THEIRS} FORMAT JSON`), { code: 502, symbol: 'REMOTE' }, 'no JSON')
  now.text = '220 DATA\r\nflow\r\n220 OK'
  t.match(await user.say(`DESCRIBE FLOW ${THEIRS}`), { code: 502, symbol: 'REMOTE' }, 'no pairs')
  now.text = '220 DATA\r\nflow=x%0D%0Ay\r\nKEY=%25zz%20z\r\n220 OK'
  const written = await user.ok(`DESCRIBE FLOW ${THEIRS} FULL`)
  t.strictSame(written.lines, ['flow=x%0D%0Ay', 'key=%25zz%20z'], 'written anew')
  now.text = '220 DATA\r\nflow=in.flows.evil.test\r\nflow=time.flows.unix.test\r\nflow=flows.evil.test\r\n220 OK'
  t.strictSame((await user.ok('GET FLOWS flows.evil.test')).lines, ['flow=in.flows.evil.test'], 'outside: dropped')
  now.text =
    '220 DATA\r\nflow=a%0d%0a220%20OK%0d%0a421%20MOVED%20x.flows.evil.test\r\nflow=%1b[2J.flows.evil.test\r\n220 OK'
  t.strictSame((await user.ok('GET FLOWS flows.evil.test MAX 5')).lines, [], 'no names: dropped')
  await user.ok('NOOP')
})

/** Keeps the waits of backoff: they have jitter, so they are no whole numbers. */
class Waits extends TurnableClock {
  readonly backoff: number[] = []
  override timer(ms: number, signal: AbortSignal): Promise<void> {
    if (!Number.isInteger(ms)) this.backoff.push(ms)
    return super.timer(ms, signal)
  }
}

t.test('H24 a subscription to such an agent backs off', async t => {
  const clock = new Waits()
  const answer = (line: string, v: Visit) => {
    if (!line.startsWith('SUBSCRIBE ')) return false
    v.say('220 DATA')
    pour(v, '{'.repeat(4096))
    return true
  }
  const { stranger, b, user } = await met(t, { answer }, clock)
  await wish(b, user, MINE, /^REMOTE /)
  await stranger.until(() => (clock.backoff.length >= 4 ? true : undefined), 'four waits')
  // Each is half to all of a power of two times 100 ms; a change of the resource may have cut one short.
  const powers = clock.backoff.slice(0, 4).map(ms => Math.floor(Math.log2(ms / 50)))
  t.ok(
    powers.every((n, i) => n >= 0 && (i === 0 || n > powers[i - 1]!)),
    `they grow: ${clock.backoff.map(Math.round).join(', ')} ms`,
  )
  const [s] = b.kernel.resources.list('Subscription')
  t.not(s!.status.phase, 'active')
  t.equal(b.kernel.resources.count('Processor'), 0)
})

t.test('rule 12: a subscription is active when the first heartbeat has come, not before', async t => {
  const { a, b } = await pair(t)
  await (await a.login(t)).ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  let release = () => {}
  const gate = new Promise<void>(resolve => (release = resolve))
  let heard = () => {}
  const streaming = new Promise<void>(resolve => (heard = resolve))
  // The provider opens the stream and then says nothing: its heartbeat waits for what the broker knows of the lag.
  const open = a.kernel.brokers.open.bind(a.kernel.brokers)
  a.kernel.brokers.open = async (flow, c) => {
    const wire = await open(flow, c)
    const source = wire.source.bind(wire)
    wire.source = async (...args) => {
      const found = await source(...args)
      const lag = found.lag.bind(found)
      found.lag = async call => {
        heard()
        await gate
        return lag(call)
      }
      return found
    }
    return wire
  }
  const user = await b.login(t)
  const reply = user.ok(`SUBSCRIBE ${FLOW} LOCAL time.flows.emiliano.test`)
  await streaming
  const phases = new Set<string | undefined>()
  const watcher = await b.login(t)
  for (let i = 0; i < 300; i++) {
    phases.add(/ phase=(\S+)/.exec((await watcher.ok('GET SUBSCRIPTIONS')).lines[0] ?? '')?.[1])
  }
  t.strictSame([...phases], ['starting'], 'the stream is open, nothing was heard')
  release()
  t.match((await reply).lines[0], /SUBSCRIBED TO/)
  t.equal(b.kernel.resources.list('Subscription')[0]?.status.phase, 'active')
})

t.test('rule 13: what names lead a stranger to choose is never dialled, in any notation', async t => {
  const bait = await trap(t)
  const at = (type: 'A' | 'AAAA', data: string) => (host: string) => [{ type, name: host, ttl: 60, data }]
  const hosts: Readonly<Record<string, (host: string) => object[]>> = {
    metadata: at('A', '169.254.169.254'),
    loopback: at('A', '127.0.0.1'),
    private: at('A', '10.0.0.1'),
    zero: at('A', '0.0.0.0'),
    six: at('AAAA', '::1'),
    mapped: at('AAAA', '::ffff:127.0.0.1'),
    nat64: at('AAAA', '64:ff9b::7f00:1'),
    alias: host => [cname(host, 'loopback.evil.test'), address('loopback.evil.test', '127.0.0.1')],
  }
  const literal: Readonly<Record<string, string>> = {
    hex: '0x7f.1',
    dotted: '127.0.0.1',
    short: '127.1',
    decimal: '2130706433',
    localhost: 'localhost',
  }
  const dns = await fakeDns(t as never, ({ name, type }) => {
    if (type === 'SOA' && name === 'evil.test') return { answers: [soa('evil.test')] }
    const [first = '', second = '', third = ''] = name.split('.')
    if (type === 'TXT' && first === '_fnap' && second !== '_tcp' && name.split('.').length === 4)
      return { answers: [txt(name, 'v=FNAP1; d=evil.test')] }
    if (type === 'SRV') return { answers: [srv(name, literal[third] ?? `${third}.evil.test`, { port: bait.port })] }
    const records = hosts[first]?.(name) ?? []
    return { answers: records.filter(r => ['CNAME', type].includes((r as { type: string }).type)) as never }
  })
  const [w] = await places(t, ['emiliano.test'])
  const where = { ...w!, neighbours: { 'evil.test': `127.0.0.1:${dns.port}` } }
  const b = await new TestAgent(where, { change: c => ({ ...c, network: { allow: [] } }) }).start()
  t.teardown(() => b.close())
  const user = await b.login(t)
  for (const name of [...Object.keys(hosts), ...Object.keys(literal)]) {
    const reply = await user.say(`DESCRIBE FLOW x.${name}.evil.test`)
    t.match(reply, { code: 503, symbol: 'UNAVAILABLE' }, `${name}: ${reply.text}`)
  }
  t.equal(bait.sprung(), 0, 'no attempt was made')
})

t.test('an endpoint of another domain without TLS, and other agreements that are none, are refused', async t => {
  const bait = await trap(t)
  const now: { change: object } = { change: {} }
  const { b, user } = await met(t, {
    answer: (line, v) => {
      const id = /^SUBSCRIBE \S+ ID ([a-z2-7]{26}) /.exec(line)?.[1]
      if (id === undefined) return false
      const agreement = {
        endpoint: `${id}.${THEIRS}`,
        type: 'fnap',
        servers: [`fnaa.evil.test:${bait.port}`],
        queue: `${id}.${THEIRS}`,
        tls: { servername: 'fnaa.evil.test' },
        options: { tls: 'starttls' },
        epoch: 'e',
        lease: 604_800,
        origins: [THEIRS],
        credential: { mechanism: 'SCRAM-SHA-256', values: { user: 'u', password: 'p' } },
      }
      v.say(`220 DATA\r\n${JSON.stringify({ ...agreement, ...now.change })}\r\n220 OK`)
      return true
    },
  })
  const bad: readonly (readonly [object, RegExp])[] = [
    [{ tls: undefined }, /^REMOTE .*without TLS/],
    [{ options: { tls: 'none' } }, /^REMOTE .*without TLS/],
    [{ endpoint: `${'a'.repeat(26)}.${THEIRS}` }, /^REMOTE .*another endpoint/],
    [{ servers: [] }, /^REMOTE .*no server/],
    [{ servers: ['file:///etc/passwd'] }, /^REMOTE .*server that is none/],
    [{ type: 'kafka' }, /^REMOTE .*not offered/],
    [{ credential: undefined }, /^REMOTE .*no credential/],
    [{ origins: 'x' }, /^REMOTE .*origins/],
  ]
  for (const [i, [change, error]] of bad.entries()) {
    now.change = change
    const s = await wish(b, await b.login(t), `n${i}.flows.emiliano.test`, error)
    t.not(s.status.phase, 'active', JSON.stringify(change))
    await b.kernel.resources.delete('Subscription', s.name, soon(), s.uid)
  }
  now.change = { origins: [THEIRS, MINE] }
  t.match(await user.say(`SUBSCRIBE ${THEIRS} LOCAL ${MINE}`), { code: 409, symbol: 'LOOP' })
  t.equal(bait.sprung(), 0, 'nobody logged in there')

  let dialled = 0
  const host = { log: console, dial: async () => dialled++, foreign: true }
  const endpoint = { type: 'fnap', servers: ['127.0.0.1:1'], queue: 'q', options: { tls: 'none' } }
  await t.rejects(driver.open(endpoint as never, null, host as never, soon()), { code: 'FNA_ERR_DENIED' })
  t.equal(dialled, 0, 'the driver refuses by itself too')
})
