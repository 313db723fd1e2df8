import { createServer } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { makeDial } from './dial.js'
import { certificate, fakeAgent } from './fake-agent.test.helper.js'
import { AddressGuard } from './guard.js'
import type { Answer, Resolve } from './types.js'

const c = { signal: new AbortController().signal }

t.test('what strangers may name', t => {
  const guard = new AddressGuard()
  for (const good of ['8.8.8.8', '1.1.1.1', '100.128.0.1', '172.32.0.1', '192.0.1.1', '2606:4700::1111', '2a00::1']) {
    t.ok(guard.allows(good), good)
  }
  const bad = `127.0.0.1 127.1 0.0.0.0 0x7f.1 2130706433 0177.0.0.1 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254
    100.64.0.1 100.100.100.200 192.0.0.192 168.63.129.16 198.18.0.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 192.0.2.1
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::a00:1 2002:7f00:1::
    2001::1 2001:db8::1 fe80::1 fe80::1%lo fd00::1 fd00:ec2::254 fec0::1 ff02::1 100::1 3fff::1 2620:4f:8000::1 ::ffff:0:127.0.0.1`
  for (const address of ['', 'localhost', ...bad.split(/\s+/)]) t.notOk(guard.allows(address), address)
  t.end()
})

t.test('what the operator allows', t => {
  const guard = new AddressGuard({ allow: ['127.0.0.0/8', '::1', '10.1.2.3'] })
  for (const good of ['127.0.0.1', '127.9.9.9', '::1', '10.1.2.3', '8.8.8.8']) t.ok(guard.allows(good), good)
  for (const bad of ['10.1.2.4', '::ffff:127.0.0.1', '::2', '169.254.169.254']) t.notOk(guard.allows(bad), bad)
  t.ok(new AddressGuard({ allow: ['0.0.0.0/0', '::/0'] }).allows('fe80::1'))
  for (const bad of ['', '127.0.0.1/33', '127.1/8', '::1/129', 'x/8', '10.0.0.0/8/8', '10.0.0.0/', 'fe80::1%lo/64']) {
    t.throws(() => new AddressGuard({ allow: [bad] }), { code: 'FNA_ERR_CONFIG' }, bad)
  }
  t.end()
})

t.test('every private IPv4 address is refused in every form', t => {
  const guard = new AddressGuard()
  const octet = fc.integer({ min: 0, max: 255 })
  const inside = fc.tuple(fc.constantFrom('10', '127', '169.254', '192.168', '0', '224', '255'), octet, octet, octet)
  fc.assert(
    fc.property(inside, ([prefix, ...rest]) => {
      const v4 = [...prefix.split('.'), ...rest].slice(0, 4).map(Number)
      const hex = v4.map(n => n.toString(16).padStart(2, '0')).join('')
      const tail = `${hex.slice(0, 4)}:${hex.slice(4)}`
      const forms = [
        v4.join('.'),
        `::ffff:${v4.join('.')}`,
        `::ffff:${tail}`,
        `64:ff9b::${tail}`,
        `2002:${tail}::`,
        `::${tail}`,
      ]
      return forms.every(form => !guard.allows(form))
    }),
    { seed: 1 },
  )
  t.end()
})

const answer = (type: 'A' | 'AAAA', ...list: string[]): Answer => ({
  records: list.map(address => ({ name: 'x.test', ttl: 1, type, address })),
  status: 'insecure',
  ttl: 1,
})
const names = (table: Record<string, string[]>): Resolve & { asked: string[] } => {
  const asked: string[] = []
  const resolve = (async (name, type) => {
    asked.push(`${type} ${name}`)
    const list = (table[name] ?? []).filter(x => x.includes(':') === (type === 'AAAA'))
    return answer(type as 'A', ...list)
  }) as Resolve
  return Object.assign(resolve, { asked })
}

t.test('no connection to where a stranger may not send us', async t => {
  let connections = 0
  const server = createServer(() => connections++)
  await new Promise<void>(r => server.listen(0, '127.0.0.1', r))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const resolve = names({ 'evil.test': ['127.0.0.1', '::ffff:7f00:1'], 'meta.test': ['169.254.169.254'] })
  const dial = makeDial({ resolve, guard: new AddressGuard(), timeoutMs: 500 })
  const hosts = [
    '127.0.0.1',
    '::1',
    '::ffff:127.0.0.1',
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '0177.0.0.1',
    '017700000001',
    'localhost',
    'LOCALHOST.',
    'evil.test',
    'meta.test',
    'a b',
    'x.test/',
    '*.test',
    '',
  ]
  for (const host of hosts) await t.rejects(dial({ host, port }, c), { code: 'FNA_ERR_ADDRESS' }, JSON.stringify(host))
  t.equal(connections, 0)
  t.notOk(
    resolve.asked.some(q => /127|0x7f|localhost/i.test(q)),
    'addresses in disguise are not asked for',
  )
  await t.rejects(dial({ host: 'nothing.test', port }, c), { code: 'FNA_ERR_UNAVAILABLE' })
  for (const bad of [0, -1, 65_536, 1.5, Number.NaN])
    await t.rejects(dial({ host: '8.8.8.8', port: bad }, c), { code: 'FNA_ERR_INVALID' })
})

t.test('connects to the address that was checked, resolving once (rebinding)', async t => {
  const agent = await fakeAgent(t, a => a.say('hello'))
  let turn = 0
  const changing = (async (_name, type) =>
    type === 'A' ? answer('A', turn++ === 0 ? '127.0.0.1' : '10.0.0.1') : answer('AAAA')) as Resolve
  const dial = makeDial({ resolve: changing, guard: new AddressGuard({ allow: ['127.0.0.1'] }) })
  const stream = await dial({ host: 'x.test', port: agent.port }, c)
  t.match(stream, { remoteAddress: '127.0.0.1' })
  ;(stream as { destroy?: () => void }).destroy?.()
  t.equal(turn, 1)
  await t.rejects(
    dial({ host: 'x.test', port: agent.port }, c),
    { code: 'FNA_ERR_ADDRESS' },
    'the next connection is judged anew',
  )
})

t.test('of several addresses only the allowed ones, one after the other', async t => {
  const agent = await fakeAgent(t, () => {}, '127.0.0.7')
  const resolve = names({ 'x.test': ['127.0.0.6', '10.0.0.1', '127.0.0.7'] })
  const dial = makeDial({ resolve, guard: new AddressGuard({ allow: ['127.0.0.0/8'] }) })
  const stream = await dial({ host: 'x.test', port: agent.port }, c)
  t.match(stream, { remoteAddress: '127.0.0.7' })
  ;(stream as { destroy?: () => void }).destroy?.()
  const dead = makeDial({
    resolve: names({ 'x.test': ['127.0.0.6'] }),
    guard: new AddressGuard({ allow: ['127.0.0.0/8'] }),
  })
  await t.rejects(dead({ host: 'x.test', port: agent.port }, c), { code: 'FNA_ERR_UNAVAILABLE' })
})

t.test('bogus names, deadlines and aborted calls', async t => {
  const guard = new AddressGuard({ allow: ['127.0.0.1'] })
  const bogus = (async () => ({ ...answer('A', '127.0.0.1'), status: 'bogus' })) as unknown as Resolve
  await t.rejects(makeDial({ resolve: bogus, guard })({ host: 'x.test', port: 1 }, c), { code: 'FNA_ERR_UNAVAILABLE' })
  const deaf = await fakeAgent(t, () => {})
  const dial = makeDial({ resolve: names({}), guard, timeoutMs: 50 })
  const tls = { servername: 'unix.test' }
  await t.rejects(
    dial({ host: '127.0.0.1', port: deaf.port, tls }, c),
    { code: /TIMEOUT|UNAVAILABLE/ },
    'a handshake that does not come',
  )
  await t.rejects(dial({ host: '127.0.0.1', port: deaf.port }, { signal: AbortSignal.abort() }), {
    code: 'FNA_ERR_UNAVAILABLE',
  })
})

t.test('TLS: the name, the CA, ALPN, and never a resumed session', async t => {
  const tls = certificate('unix.test')
  const seen: { resumed: boolean; alpn: unknown; servername: unknown }[] = []
  const agent = await fakeAgent(t, async a => {
    await a.tls(tls)
    const s = a.socket as unknown as { isSessionReused(): boolean; alpnProtocol: unknown; servername: unknown }
    seen.push({ resumed: s.isSessionReused(), alpn: s.alpnProtocol, servername: s.servername })
    a.say('hello')
  })
  const guard = new AddressGuard({ allow: ['127.0.0.1'] })
  const dial = makeDial({ resolve: names({}), guard })
  for (let i = 0; i < 2; i++) {
    const stream = await dial(
      { host: '127.0.0.1', port: agent.port, tls: { servername: 'unix.test', ca: tls.cert } },
      c,
    )
    await new Promise(r => stream.once('data', r))
    ;(stream as { destroy?: () => void }).destroy?.()
  }
  t.same(seen, Array(2).fill({ resumed: false, alpn: 'fnap/1', servername: 'unix.test' }))
  const quiet = await fakeAgent(t, a => a.tls(tls).catch(() => {}))
  await t.rejects(dial({ host: '127.0.0.1', port: quiet.port, tls: { servername: 'other.test', ca: tls.cert } }, c), {
    code: 'FNA_ERR_DENIED',
  })
  await t.rejects(
    dial({ host: '127.0.0.1', port: quiet.port, tls: { servername: 'unix.test' } }, c),
    { code: 'FNA_ERR_DENIED' },
    'a CA that nobody trusts',
  )
  const byAddress = await dial(
    { host: '127.0.0.1', port: quiet.port, tls: { servername: '127.0.0.1', ca: tls.cert } },
    c,
  )
  t.match(byAddress, { authorized: true }, 'a name that is an address')
  ;(byAddress as { destroy?: () => void }).destroy?.()
})
