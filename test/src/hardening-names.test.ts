import { randomBytes } from 'node:crypto'
import { mintId } from '@fnaa/protocol'
import t from 'tap'
import { a as address, fakeDns, soa, srv, txt } from '../../client/dist/fake-dns.test.helper.js'
import { places, single, type Teardown, TestAgent } from './support/agents.js'
import { dig } from './support/dialogue.js'

const FLOW = 'time.flows.unix.test'
const AGENT = 'fnaa.unix.test'
const TYPES = ['A', 'PTR', 'SRV', 'TXT'] as const

/** Every record of an owner, as its name server has them. */
async function owner(agent: TestAgent, name: string): Promise<string[]> {
  const server = `127.0.0.1:${agent.where.dnsPort}`
  return (await Promise.all(TYPES.map(type => dig(server, name, type)))).flat().sort()
}
const three = (flow: string) => [flow, `_flow._tcp.${flow}`, `_queue._flow._tcp.${flow}`]
const all = async (agent: TestAgent, flow: string) =>
  (await Promise.all(three(flow).map(name => owner(agent, name)))).flat()

t.test('annex B: what stands in DNS for a flow, record by record', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${FLOW} VISIBILITY listed`)
  const { port } = a
  t.strictSame(await owner(a, FLOW), [`PTR _flow._tcp.${FLOW}`, `SRV 0 0 ${port} ${AGENT}`])
  t.strictSame(await owner(a, `_flow._tcp.${FLOW}`), [`SRV 30 30 ${port} ${AGENT}`, 'TXT '], 'no word: STARTTLS')
  t.strictSame(await owner(a, `_queue._flow._tcp.${FLOW}`), [
    `SRV 30 30 ${port} ${AGENT}`,
    `TXT broker-type=fnap topic=${FLOW}`,
  ])
  t.strictSame(await owner(a, AGENT), ['A 127.0.0.1', `SRV 0 0 ${port} ${AGENT}`])
  t.strictSame(await owner(a, '_fnap.flows.unix.test'), ['TXT v=FNAP1; d=unix.test'])
  t.strictSame(await owner(a, '_fnap._tcp.flows.unix.test'), [`SRV 0 0 ${port} ${AGENT}`])
  const described = (await user.ok(`DESCRIBE FLOW ${FLOW}`)).lines
  t.strictSame(described, [`flow=${FLOW}`, 'type=fnap', `topic=${FLOW}`, `server=${AGENT}:${port}`], 'the same words')
})

t.test('annex B: implicit TLS is the word tls', async t => {
  const a = await single(t, { change: c => ({ ...c, listen: ['tls://127.0.0.1:0', 'tcp://127.0.0.1:0'] }) })
  t.strictSame(await dig(`127.0.0.1:${a.where.dnsPort}`, '_fnap._tcp.flows.unix.test', 'TXT'), ['TXT tls'])
})

t.test('H13 only flows that are not private are registered; going private removes them', async t => {
  const a = await single(t)
  const user = await a.login(t)
  const listing = () => owner(a, '_flow._tcp.flows.unix.test')
  for (const name of ['public', 'listed', 'private'])
    await user.ok(`CREATE FLOW ${name}.flows.unix.test VISIBILITY ${name}`)
  t.equal((await all(a, 'public.flows.unix.test')).length, 6)
  t.equal((await all(a, 'listed.flows.unix.test')).length, 6)
  t.strictSame(await all(a, 'private.flows.unix.test'), [])
  t.strictSame(await listing(), ['PTR public._flow._tcp.flows.unix.test'], 'enumerated: public ones only')

  await user.ok('UPDATE FLOW public.flows.unix.test VISIBILITY listed')
  t.strictSame(await listing(), [])
  t.equal((await all(a, 'public.flows.unix.test')).length, 6, 'still found by name')
  await user.ok('UPDATE FLOW public.flows.unix.test VISIBILITY private')
  t.strictSame(await all(a, 'public.flows.unix.test'), [], 'going private removes them')
  await user.ok('UPDATE FLOW listed.flows.unix.test VISIBILITY private')
  t.strictSame(await all(a, 'listed.flows.unix.test'), [])
  await user.ok('UPDATE FLOW private.flows.unix.test VISIBILITY public')
  t.equal((await all(a, 'private.flows.unix.test')).length, 6)
  t.strictSame(await listing(), ['PTR private._flow._tcp.flows.unix.test'])
  const instance = 'private._flow._tcp.flows.unix.test'
  t.match(await owner(a, instance), [/^SRV /, 'TXT flow=private.flows.unix.test'])
  await user.ok('DELETE FLOW private.flows.unix.test')
  t.strictSame(await all(a, 'private.flows.unix.test'), [], 'deleting too')
  t.strictSame(await owner(a, instance), [])
  t.strictSame(await listing(), [])
})

t.test('H13 a private flow cannot be told from one that is not there, by whatever question', async t => {
  const a = await single(t)
  await (await a.login(t)).ok('CREATE FLOW secret.flows.unix.test')
  for (const [secret, absent] of three('secret.flows.unix.test').map(
    name => [name, name.replace('secret', 'absent')] as const,
  ))
    t.strictSame(await owner(a, secret), await owner(a, absent), secret)
})

t.test('endpoints are in DNS with publishEndpoints only, and go with the subscriber', async t => {
  for (const publishEndpoints of [undefined, true] as const) {
    const a = await single(t, { change: c => ({ ...c, ...(publishEndpoints ? { publishEndpoints } : {}) }) })
    const user = await a.login(t)
    await user.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
    const [endpoint] = (await user.ok(`SUBSCRIBE ${FLOW} LOCAL copy.flows.unix.test`)).lines
    const records = await all(a, endpoint!)
    t.equal(records.length, publishEndpoints ? 6 : 0, `publishEndpoints: ${publishEndpoints}`)
    if (publishEndpoints) t.ok(records.includes(`TXT broker-type=fnap topic=${endpoint}`))
    t.strictSame(
      await owner(a, '_flow._tcp.flows.unix.test'),
      [`PTR ${FLOW.replace('.', '._flow._tcp.')}`],
      'never enumerated',
    )
    await user.ok(`REMOVE SUBSCRIBER ${FLOW} ${endpoint!.slice(0, 26)}`)
    t.strictSame(await all(a, endpoint!), [], 'cut')
  }
})

/** Records of evil.test: by `TYPE name`; a number is a response code, null is silence. */
type Zone = Record<string, number | null | readonly string[]>

async function walking(t: Teardown, zone: Zone) {
  const dns = await fakeDns(t as never, ({ name, type }) => {
    const found = zone[`${type} ${name}`]
    if (found === null) return null
    if (typeof found === 'number') return { rcode: found }
    if (found) return { answers: found.map(text => txt(name, text)) }
    if (type === 'SOA' && name === 'evil.test') return { answers: [soa(name)] }
    if (type === 'SRV') return { answers: [srv(name, 'agent.evil.test', { port: 1 })] }
    if (type === 'A' && name === 'agent.evil.test') return { answers: [address(name, '127.0.0.1')] }
    return { rcode: 3, authorities: [soa('evil.test')] }
  })
  const [w] = await places(t, ['emiliano.test'])
  const b = await new TestAgent({ ...w!, neighbours: { 'evil.test': `127.0.0.1:${dns.port}` } }).start()
  t.teardown(() => b.close())
  return { b, asked: dns.asked }
}

const GOOD = ['v=FNAP1; d=evil.test']

t.test('H14 only an absence goes on to a shorter suffix', async t => {
  const zone: Zone = { 'TXT _fnap.flows.evil.test': GOOD }
  const { b, asked } = await walking(t, zone)
  const bad: Readonly<Record<string, Zone[string]>> = {
    servfail: 2,
    refused: 5,
    silent: null,
    two: ['v=FNAP1; d=evil.test', 'v=FNAP1; d=evil.test'],
    version: ['v=FNAP2; d=evil.test'],
    twice: ['v=FNAP1; d=evil.test; d=evil.test'],
    elsewhere: ['v=FNAP1; d=unix.test'],
    inside: ['v=FNAP1; d=inside.flows.evil.test'],
    unreadable: ['v=FNAP1; d=evil.test\u00e9'],
    beside: ['v=FNAP1; d=evil.test', 'v=FNAP1; d=evil.test\u007f'],
  }
  for (const [label, answer] of Object.entries(bad)) zone[`TXT _fnap.${label}.flows.evil.test`] = answer
  await Promise.all(
    Object.keys(bad).map(async label => {
      const reply = await (await b.login(t)).say(`DESCRIBE FLOW x.${label}.flows.evil.test`)
      t.match(reply, { code: 503, symbol: 'UNAVAILABLE' }, label)
      if (label === 'servfail') t.match(reply.text, 'SERVFAIL', 'and it says what the name server said')
      t.ok(asked.includes(`TXT _fnap.${label}.flows.evil.test`), `${label}: it was asked`)
    }),
  )
  t.notOk(asked.includes('TXT _fnap.flows.evil.test'), 'and nobody went on to the suffix behind it')
  t.notOk(
    asked.some(q => q.startsWith('SRV')),
    'nor asked where an agent is',
  )
})

t.test('H14 an absence does: NXDOMAIN, or no record of that type; nothing at all is 404', async t => {
  const { b, asked } = await walking(t, { 'TXT _fnap.flows.evil.test': GOOD, 'TXT _fnap.empty.flows.evil.test': [] })
  const user = await b.login(t)
  for (const label of ['absent', 'empty']) {
    const reply = await user.say(`DESCRIBE FLOW x.${label}.flows.evil.test`)
    t.match(reply, { code: 502, symbol: 'REMOTE' }, `${label}: it was found, and nobody answers there`)
  }
  t.ok(asked.includes('SRV _fnap._tcp.flows.evil.test'))
  t.match(await user.say('DESCRIBE FLOW x.nowhere.evil.test'), { code: 404, symbol: 'NOTFOUND' })
  t.notOk(asked.includes('TXT _fnap.test'), 'a single label is never asked')
})

t.test('H15 names that look like something else are not made', async t => {
  const a = await single(t)
  const user = await a.login(t)
  const id = mintId(randomBytes(16))
  await user.ok('CREATE NAMESPACE unix.test')
  await user.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  const long = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.d`
  const refusals: readonly (readonly [string, string])[] = [
    [`CREATE FLOW ${id}.flows.unix.test`, 'BADNAME'],
    [`CREATE FLOW ${id.toUpperCase()}.flows.unix.test`, 'BADNAME'],
    [`CREATE FLOW ${id}.${FLOW}`, 'BADNAME'],
    [`CREATE NAMESPACE ${id}.unix.test`, 'BADNAME'],
    ['CREATE FLOW www.flows.unix.test', 'BADNAME'],
    ['CREATE FLOW _fnap.flows.unix.test', 'BADNAME'],
    ['CREATE FLOW *.flows.unix.test', 'BADNAME'],
    [`CREATE FLOW ${long}.flows.unix.test`, 'BADNAME'],
    [`CREATE FLOW ${AGENT}`, 'CONFLICT'],
    [`CREATE NAMESPACE ${AGENT}`, 'CONFLICT'],
    ['CREATE FLOW flows.unix.test', 'CONFLICT'],
    [`CREATE NAMESPACE ${FLOW}`, 'CONFLICT'],
    [`SUBSCRIBE ${FLOW} LOCAL ${id}.flows.unix.test`, 'BADNAME'],
    [`SUBSCRIBE ${FLOW} LOCAL www.flows.unix.test`, 'BADNAME'],
    [`SUBSCRIBE ${FLOW} LOCAL ${long}.flows.unix.test`, 'BADNAME'],
    [`SUBSCRIBE ${FLOW} LOCAL ${AGENT}`, 'CONFLICT'],
    [`SUBSCRIBE ${FLOW} LOCAL flows.unix.test`, 'CONFLICT'],
  ]
  for (const [line, symbol] of refusals) t.match(await user.say(line), { symbol }, line)
  t.strictSame(
    a.kernel.resources.list('Flow').map(f => f.name),
    [FLOW],
    'none was made',
  )
  t.equal(a.kernel.resources.count('Subscription'), 0)
  t.equal(a.kernel.resources.count('Namespace'), 2)
})
