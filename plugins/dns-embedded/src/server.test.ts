import { execFile, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { Resolver } from '@fnaa/client'
import { testContext } from '@fnaa/conformance'
import type { DnsRecord } from '@fnaa/protocol'
import packet, { type DecodedPacket } from 'dns-packet'
import t, { type Test } from 'tap'
import { dnsEmbedded } from './index.js'

const c = { signal: new AbortController().signal }
const flow = 'time.flows.unix.test'
const ttl = 300
const records = (name: string): DnsRecord[] => [{ name, ttl, type: 'PTR', target: `_flow._tcp.${name}` }]
const srv = (name: string, target = 'fnaa.unix.test'): DnsRecord => ({
  name,
  ttl,
  type: 'SRV',
  priority: 0,
  weight: 0,
  port: 61_000,
  target,
})

async function started(t: Test, options: object = {}) {
  const dns = await dnsEmbedded({ listen: '127.0.0.1:0', ...options }).setup(testContext())
  t.teardown(() => dns.close())
  await dns.apply(
    [
      { owner: flow, records: [...records(flow), srv(flow)] },
      {
        owner: `_flow._tcp.${flow}`,
        records: [srv(`_flow._tcp.${flow}`), { name: `_flow._tcp.${flow}`, ttl, type: 'TXT', strings: [''] }],
      },
      { owner: 'fnaa.unix.test', records: [{ name: 'fnaa.unix.test', ttl, type: 'A', address: '127.0.0.9' }] },
    ],
    c,
  )
  return dns
}

/** Asks by raw UDP. */
function ask(port: number, query: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    const timer = setTimeout(() => reject(new Error('no answer')), 2000)
    socket.on('message', m => {
      clearTimeout(timer)
      socket.close()
      resolve(m)
    })
    socket.connect(port, '127.0.0.1', () => socket.send(query))
  })
}

function askTcp(port: number, query: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(query.length)
      // In two pieces, as TCP may deliver it.
      socket.write(Buffer.concat([length, query.subarray(0, 5)]))
      setTimeout(() => socket.write(query.subarray(5)), 5)
    })
    let held: Buffer = Buffer.alloc(0)
    socket.on('data', d => {
      held = Buffer.concat([held, d])
      if (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        socket.destroy()
        resolve(held.subarray(2))
      }
    })
    socket.on('error', reject).on('close', () => reject(new Error('closed')))
  })
}

type Type = 'A' | 'AAAA' | 'SRV' | 'TXT' | 'SOA' | 'NS' | 'PTR' | 'AXFR' | 'DS'
const question = (name: string, type: Type, more: object = {}) =>
  packet.encode({ id: 7, type: 'query', flags: packet.RECURSION_DESIRED, questions: [{ name, type }], ...more })
const decoded = async (answer: Promise<Buffer>): Promise<DecodedPacket & { rcode: string }> =>
  packet.decode(await answer) as DecodedPacket & { rcode: string }

t.test('answers with authority', async t => {
  const { server } = await started(t)
  t.equal(server.host, '127.0.0.1')
  const a = await decoded(ask(server.port, question(flow, 'SRV')))
  t.match(a, { id: 7, rcode: 'NOERROR', flag_aa: true, flag_rd: true, flag_ra: false })
  t.match(a.answers, [{ type: 'SRV', name: flow, ttl, data: { port: 61_000, target: 'fnaa.unix.test' } }])
  t.match(a.additionals, [{ type: 'A', name: 'fnaa.unix.test', data: '127.0.0.9' }], 'with the address of the target')
  const upper = await decoded(ask(server.port, question('TIME.Flows.UNIX.test', 'PTR')))
  t.equal(upper.questions?.[0]?.name, 'TIME.Flows.UNIX.test', 'the question comes back as it was asked')
  t.equal(upper.answers?.length, 1)
})

t.test('who pipelines questions over TCP does not keep others waiting', async t => {
  const { server } = await started(t)
  const one = question(flow, 'SRV')
  const length = Buffer.alloc(2)
  length.writeUInt16BE(one.length)
  const each = 2000
  const socket = connect(server.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  let held = 0
  let last = () => {}
  const all = new Promise<void>(resolve => {
    last = resolve
  })
  const size = 2 + (await ask(server.port, one)).length
  socket.on('data', d => {
    held += d.length
    if (held >= each * size) last()
  })
  socket.write(Buffer.concat(Array.from({ length: each }, () => Buffer.concat([length, one]))))
  await new Promise<void>(resolve => socket.once('data', () => resolve()))
  await ask(server.port, one)
  t.ok(held < (each * size) / 2, `${held} of ${each * size} bytes came first`)
  await all
})

t.test('the apex has SOA, NS and an address', async t => {
  const dns = await started(t)
  const { port } = dns.server
  const soa = await decoded(ask(port, question('unix.test', 'SOA')))
  t.match(soa.answers, [
    { type: 'SOA', data: { mname: 'ns.unix.test', rname: 'hostmaster.unix.test', minimum: 30, serial: 1 } },
  ])
  t.match((await decoded(ask(port, question('unix.test', 'NS')))).answers, [{ type: 'NS', data: 'ns.unix.test' }])
  t.match((await decoded(ask(port, question('unix.test', 'A')))).answers, [{ type: 'A', data: '127.0.0.1' }])
  t.match((await decoded(ask(port, question('ns.unix.test', 'A')))).answers, [{ type: 'A', data: '127.0.0.1' }])
  await dns.apply([{ owner: 'unix.test', records: [{ name: 'unix.test', ttl, type: 'A', address: '192.0.2.1' }] }], c)
  t.match(
    (await decoded(ask(port, question('unix.test', 'A')))).answers,
    [{ data: '192.0.2.1' }],
    'a written one replaces it',
  )
})

t.test('tells an absent name from an absent type', async t => {
  const { port } = (await started(t)).server
  const nodata = await decoded(ask(port, question(flow, 'A')))
  t.match(nodata, { rcode: 'NOERROR', flag_aa: true, answers: [] })
  t.match(nodata.authorities, [{ type: 'SOA', ttl: 30, data: { minimum: 30 } }])
  const nothing = await decoded(ask(port, question('nothing.unix.test', 'A')))
  t.match(nothing, { rcode: 'NXDOMAIN', flag_aa: true, answers: [] })
  t.match(nothing.authorities, [{ type: 'SOA', ttl: 30 }])
  for (const between of ['flows.unix.test', '_tcp.time.flows.unix.test']) {
    t.match(
      await decoded(ask(port, question(between, 'TXT'))),
      { rcode: 'NOERROR', answers: [] },
      `${between} is an empty non-terminal`,
    )
  }
})

t.test('refuses what it does not do', async t => {
  const { port } = (await started(t)).server
  t.match(await decoded(ask(port, question('emiliano.test', 'A'))), { rcode: 'REFUSED' })
  t.match(
    await decoded(ask(port, question('notunix.test', 'A'))),
    { rcode: 'REFUSED' },
    'a suffix of text is no suffix of labels',
  )
  t.match(await decoded(askTcp(port, question('unix.test', 'AXFR'))), { rcode: 'REFUSED', answers: [] })
  const any = packet.encode({ id: 1, type: 'query', questions: [{ name: flow, type: 'ANY' as Type }] })
  t.match((await decoded(ask(port, any))).answers, [{ type: 'HINFO', data: { cpu: 'RFC8482' } }])
  const notify = question('unix.test', 'SOA')
  notify.writeUInt16BE(4 << 11, 2)
  t.match(await decoded(ask(port, notify)), { rcode: 'NOTIMP' })
  const two = packet.encode({
    id: 9,
    type: 'query',
    questions: [
      { name: flow, type: 'A' },
      { name: flow, type: 'A' },
    ],
  })
  t.match(await decoded(ask(port, two)), { id: 9, rcode: 'FORMERR' })
  const chaos = question(flow, 'TXT')
  chaos.writeUInt16BE(3, chaos.length - 2)
  t.match(await decoded(ask(port, chaos)), { rcode: 'REFUSED' })
})

t.test('a label that holds a dot is no two labels', async t => {
  const { port } = (await started(t)).server
  const q = question('timexflows.unix.test', 'SRV')
  q[q.indexOf('timexflows') + 4] = 0x2e
  const answer = await ask(port, q)
  t.equal(answer.readUInt16BE(2) & 15, 3, 'NXDOMAIN')
  t.ok(answer.includes(q.subarray(12)), 'the question comes back byte for byte')
})

t.test('EDNS, and TC where the answer does not fit', async t => {
  const dns = await started(t)
  const { port } = dns.server
  const big = 'big.unix.test'
  const strings = Array.from({ length: 4 }, (_, i) => `${i}`.repeat(200))
  await dns.apply([{ owner: big, records: [{ name: big, ttl, type: 'TXT', strings }] }], c)
  const plain = await decoded(ask(port, question(big, 'TXT')))
  t.match(plain, { flag_tc: true, answers: [] }, '512 bytes without EDNS')
  t.notOk(plain.additionals?.length, 'no OPT where none was sent')
  const opt = (udpPayloadSize: number, ednsVersion = 0) => ({
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize, ednsVersion, flags: packet.DNSSEC_OK }],
  })
  const edns = await decoded(ask(port, question(big, 'TXT', opt(4096))))
  t.match(edns, { flag_tc: false })
  t.match(edns.additionals, [{ type: 'OPT', udpPayloadSize: 1232, flag_do: true }])
  t.match(await decoded(ask(port, question(big, 'TXT', opt(100)))), { flag_tc: true }, 'less than 512 counts as 512')
  t.equal((await decoded(askTcp(port, question(big, 'TXT')))).answers?.length, 1, 'whole by TCP')
  const version = await decoded(ask(port, question(big, 'TXT', opt(1232, 1))))
  t.match(version.additionals, [{ type: 'OPT', extendedRcode: 1 }], 'BADVERS')
  const resolver = new Resolver({ servers: [{ host: '127.0.0.1', port }] })
  t.same((await resolver.resolve(big, 'TXT', c)).records.length, 1, 'the client gets it either way')
})

t.test('a delegated zone is referred to', async t => {
  const dns = await started(t)
  const owner = 'child.unix.test'
  await dns.apply(
    [
      {
        owner,
        records: [
          { name: owner, ttl, type: 'NS', target: 'ns.child.unix.test' },
          { name: owner, ttl, type: 'DS', keyTag: 1, algorithm: 13, digestType: 2, digest: 'ab'.repeat(32) },
        ],
      },
      { owner: 'ns.child.unix.test', records: [{ name: 'ns.child.unix.test', ttl, type: 'A', address: '192.0.2.7' }] },
    ],
    c,
  )
  const { port } = dns.server
  for (const name of ['x.y.child.unix.test', owner]) {
    const a = await decoded(ask(port, question(name, 'SRV')))
    t.match(a, { rcode: 'NOERROR', flag_aa: false, answers: [] })
    t.match(a.authorities, [{ type: 'NS', data: 'ns.child.unix.test' }, { type: 'DS' }])
    t.match(a.additionals, [{ type: 'A', data: '192.0.2.7' }])
  }
  t.match(
    await decoded(ask(port, question(owner, 'DS'))),
    { flag_aa: true, answers: [{ type: 'DS' }] },
    'DS lies above the cut',
  )
})

t.test('forwards between agents of one host, and for nobody else', async t => {
  const other = await dnsEmbedded({ listen: '127.0.0.1:0', zones: ['emiliano.test'] }).setup(
    testContext(['emiliano.test']),
  )
  t.teardown(() => other.close())
  await other.apply([{ owner: 'x.emiliano.test', records: [srv('x.emiliano.test', 'fnaa.emiliano.test')] }], c)
  const to = `127.0.0.1:${other.server.port}`
  const { server } = await started(t, { forward: { 'emiliano.test': to, 'dead.test': '127.0.0.1:9' } })
  const answer = await decoded(ask(server.port, question('x.emiliano.test', 'SRV')))
  t.match(answer, { id: 7, flag_aa: true, answers: [{ type: 'SRV', data: { target: 'fnaa.emiliano.test' } }] })
  t.match(await decoded(askTcp(server.port, question('x.emiliano.test', 'SRV'))), { answers: [{ type: 'SRV' }] })
  t.match(await decoded(ask(server.port, question('x.other.test', 'A'))), { rcode: 'REFUSED' })
  t.match(await decoded(ask(server.port, question('x.dead.test', 'A'))), { rcode: 'SERVFAIL' })
  const open = dnsEmbedded({ listen: '127.0.0.1:0', forward: { '.': '8.8.8.8:53' } })
  await t.rejects(open.setup(testContext()), { code: 'FNA_ERR_CONFIG' })
})

t.test('survives rubbish', async t => {
  const { port } = (await started(t)).server
  const socket = createSocket('udp4')
  const whole = question(flow, 'SRV', { additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0 }] })
  for (let i = 0; i < whole.length; i++) {
    socket.send(whole.subarray(0, i), port, '127.0.0.1')
    const flipped = Buffer.from(whole)
    flipped[i] = flipped[i]! ^ 0xff
    socket.send(flipped, port, '127.0.0.1')
  }
  await new Promise<void>(r => socket.send(Buffer.alloc(2), port, '127.0.0.1', () => r()))
  socket.close()
  t.match(await decoded(ask(port, question(flow, 'SRV'))), { rcode: 'NOERROR' })
})

t.test('dig understands it', { skip: spawnSync('dig', ['-v']).error ? 'dig is not installed' : false }, async t => {
  const { port } = (await started(t)).server
  const run = async (...args: string[]) => {
    return new Promise<string>((ok, no) =>
      execFile('dig', ['@127.0.0.1', '-p', `${port}`, '+norecurse', ...args], (e, out) => (e ? no(e) : ok(out))),
    )
  }
  t.match(await run(flow, 'SRV'), /status: NOERROR[\s\S]*flags: qr aa;[\s\S]*SRV\s+0 0 61000 fnaa\.unix\.test\./)
  t.match(await run('+tcp', flow, 'SRV'), /SRV\s+0 0 61000 fnaa\.unix\.test\./)
  t.match(await run('+short', 'unix.test', 'SOA'), /^ns\.unix\.test\. hostmaster\.unix\.test\. 1 3600 600 604800 30$/m)
  t.match(await run('absent.unix.test', 'A'), /status: NXDOMAIN[\s\S]*SOA/)
  t.match(await run('flows.unix.test', 'A'), /status: NOERROR[\s\S]*ANSWER: 0/)
  t.match(await run('unix.test', 'AXFR'), /Transfer failed/)
  t.match(await run('+notcp', flow, 'ANY'), /HINFO\s+"RFC8482" ""/)
  t.match(await run('+dnssec', '+bufsize=4096', flow, 'SRV'), /EDNS: version: 0, flags: do; udp: 1232/)
  t.notMatch(await run(flow, 'SRV'), /WARNING/)
})

/** An address of this machine that others reach it by. */
const outward = Object.values(networkInterfaces())
  .flat()
  .find(i => i && !i.internal && i.family === 'IPv4')?.address

/** Asks the same so often at once, from an address. @returns how many answers came whole, and cut, until all is quiet */
async function flood(port: number, address: string, n: number): Promise<{ whole: number; cut: number }> {
  const socket = createSocket('udp4').bind(0, address)
  await once(socket, 'listening')
  const counted = { whole: 0, cut: 0 }
  socket.on('message', m => counted[(m.readUInt16BE(2) & 0x200) === 0 ? 'whole' : 'cut']++)
  const query = packet.encode({ id: 1, type: 'query', questions: [{ type: 'PTR', name: flow }] })
  // One after the other: what the machine drops of a burst would look like the limit.
  for (let i = 0; i < n; i++) await new Promise<void>(resolve => socket.send(query, port, address, () => resolve()))
  for (let seen = -1; seen !== counted.whole + counted.cut; ) {
    seen = counted.whole + counted.cut
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  socket.close()
  return counted
}

t.test('H15: off loopback a network gets so many responses a second', { skip: !outward && 'no address' }, async t => {
  const { port } = (await started(t, { listen: '0.0.0.0:0', address: outward })).server
  t.match(await flood(port, '127.0.0.1', 60), { whole: 60, cut: 0 }, 'on loopback there is no limit')
  const { whole, cut } = await flood(port, outward!, 60)
  // The context's clock stands still: two seconds' worth, and no more.
  t.equal(whole, 40)
  t.equal(cut, 10, 'every second one beyond it is cut, no larger than the question; the others are not answered')
})
