import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type Bind, freePort } from '@fnaa/services'
import t, { type Test } from 'tap'
import { c, gone, plugin, ports, set, skip, started } from './bind.test.helper.js'

/** Stands before a server's TCP port, sees requests and may spoil answers; it passes one message at a time. */
async function between(t: Test, bind: Bind, spoil: (answer: Buffer, request: Buffer) => Buffer | null) {
  const requests: Buffer[] = []
  const server = createServer(async client => {
    const behind = connect(bind.port, bind.host)
    client.on('error', () => behind.destroy()).on('close', () => behind.destroy())
    behind.on('error', () => client.destroy()).on('close', () => client.destroy())
    const open = new Map<number, Buffer>()
    messages(client, m => {
      open.set(m.readUInt16BE(0), m)
      requests.push(m)
      behind.write(framed(m))
    })
    messages(behind, m => {
      const answer = isUpdate(m) ? spoil(m, open.get(m.readUInt16BE(0))!) : m
      if (answer) client.write(framed(answer))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  return { server: `127.0.0.1:${port}`, updates: () => requests.filter(isUpdate) }
}

const isUpdate = (m: Buffer) => (m.readUInt16BE(2) & 0x7800) === 0x2800
const framed = (m: Buffer) => Buffer.concat([Buffer.from([m.length >> 8, m.length & 255]), m])

function messages(socket: Socket, take: (m: Buffer) => void): void {
  let held: Buffer = Buffer.alloc(0)
  socket.on('data', chunk => {
    held = Buffer.concat([held, chunk])
    while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
      const end = 2 + held.readUInt16BE(0)
      take(Buffer.from(held.subarray(2, end)))
      held = held.subarray(end)
    }
  })
}

/** An answer without its last record, which is TSIG: as a forger without the key would send it. */
function unsigned(m: Buffer): Buffer {
  const out = Buffer.from(m.subarray(0, 12))
  for (const at of [4, 6, 8, 10]) out.writeUInt16BE(0, at)
  return out
}

t.test('an answer is believed only if it proves itself', { skip }, async t => {
  const bind = await started(t)
  let before: Buffer | null = null
  const forgeries: Record<string, (m: Buffer) => Buffer> = {
    'NOERROR without a signature': m => {
      const out = unsigned(m)
      out[3] = 0
      return out
    },
    'a code that was changed': m => {
      m[3] = (m.readUInt8(3) & 0xf0) | 6
      return m
    },
    'a signature that was changed': m => {
      m[m.length - 20]! ^= 1
      return m
    },
    'cut off': m => m.subarray(0, m.length - 7),
    'marked as cut': m => {
      m[2]! |= 2
      return m
    },
    'something behind it': m => Buffer.concat([m, Buffer.from([0])]),
    'the answer to the update before': m => {
      const old = before ? Buffer.from(before) : unsigned(m)
      old.writeUInt16BE(m.readUInt16BE(0), 0)
      return old
    },
  }
  let n = 0
  for (const [what, forge] of Object.entries(forgeries)) {
    const label = `x${n++}`
    let spoil = false
    const at = await between(t, bind, m => {
      if (!spoil) {
        before = Buffer.from(m)
        return m
      }
      return forge(m)
    })
    const dns = await plugin(t, bind, { server: at.server, timeoutMs: 1000 })
    await dns.apply([set(`${label}first`, 1)], c)
    spoil = true
    await t.rejects(dns.apply([set(label, 1)], c), { code: 'FNA_ERR_UNAVAILABLE' }, what)
    spoil = false
    // What became of it is looked at before anything else is written.
    await dns.apply([set(label, 2)], c)
    t.same(ports(bind, label), [2], `${what}: it goes on`)
  }
})

t.test('over UDP a forger’s answers are passed over, the real one counts', { skip }, async t => {
  const bind = await started(t)
  const front = createSocket('udp4')
  front.bind(await freePort(), '127.0.0.1')
  await once(front, 'listening')
  t.teardown(() => new Promise<void>(resolve => front.close(() => resolve())))
  let forged = 0
  front.on('message', (request, from) => {
    const back = createSocket('udp4')
    const send = (m: Buffer) => front.send(m, from.port, from.address)
    for (const rcode of [0, 5, 9]) {
      const lie = Buffer.alloc(12)
      request.copy(lie, 0, 0, 4)
      lie[2] = request.readUInt8(2) | 0x80
      lie[3] = rcode
      send(lie)
      forged++
    }
    back.on('message', m => {
      back.close()
      send(m)
    })
    back.connect(bind.port, bind.host, () => back.send(request))
  })
  const dns = await plugin(t, bind, { transport: 'udp', timeoutMs: 3000 })
  // Questions go to the server itself; the plugin asks and writes at one address, so the front takes UDP of the same port.
  const { port } = front.address()
  const tcp = createServer(client => {
    const behind = connect(bind.port, bind.host)
    client.on('error', () => behind.destroy()).pipe(behind)
    behind.on('error', () => client.destroy()).pipe(client)
  })
  tcp.listen(port, '127.0.0.1')
  await once(tcp, 'listening')
  t.teardown(() => tcp.close())
  const lied = await plugin(t, bind, { server: `127.0.0.1:${port}`, transport: 'udp', timeoutMs: 3000 })
  await lied.apply([set('a', 1)], c)
  t.same(ports(bind, 'a'), [1])
  t.ok(forged >= 3)
  await dns.apply([set('b', 1)], c)
})

t.test('a replayed update does nothing', { skip }, async t => {
  const bind = await started(t)
  const at = await between(t, bind, m => m)
  const dns = await plugin(t, bind, { server: at.server })
  await dns.apply([set('a', 1)], c)
  const [captured] = at.updates()
  await dns.apply([gone('a')], c)
  t.same(ports(bind, 'a'), [])
  const socket = connect(bind.port, bind.host)
  const answer = new Promise<Buffer>(resolve => messages(socket, resolve))
  socket.write(framed(captured!))
  const rcode = (await answer).readUInt8(3) & 15
  socket.destroy()
  t.ok(rcode === 6 || rcode === 8, `YXDOMAIN or NXRRSET, got ${rcode}`)
  t.same(ports(bind, 'a'), [], 'what was removed stays away')
})
