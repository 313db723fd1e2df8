import { createSocket } from 'node:dgram'
import { connect, isIP } from 'node:net'

const TYPES = { A: 1, PTR: 12, TXT: 16, SRV: 33 } as const
export type AskType = keyof typeof TYPES
const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED']

/** What a server says to one question. The data of records is compared as bytes, so a name server's own words suffice. */
export interface Said {
  readonly rcode: string
  /** The server speaks for this zone (the AA bit). */
  readonly authoritative: boolean
  readonly answers: readonly { readonly ttl: number; readonly data: string }[]
}

/**
 * Asks a name server one question without recursion, by UDP and, where the answer is cut, by TCP. Written for the suites
 * alone, so that they do not stand on the code that they test.
 */
export async function ask(server: { host: string; port: number }, name: string, type: AskType): Promise<Said> {
  const query = encode(name, type)
  const answer = await udp(server, query)
  const cut = (answer.readUInt16BE(2) & 0x0200) !== 0
  return decode(cut ? await tcp(server, query) : answer)
}

/** The data of a record as `ask` gives it. */
export const dataOf = {
  name: (name: string): string => wireName(name.toLowerCase()).toString('hex'),
  srv: (priority: number, weight: number, port: number, target: string): string => {
    const numbers = Buffer.alloc(6)
    for (const [i, n] of [priority, weight, port].entries()) numbers.writeUInt16BE(n, i * 2)
    return Buffer.concat([numbers, wireName(target.toLowerCase())]).toString('hex')
  },
  txt: (...strings: string[]): string =>
    Buffer.concat(strings.map(s => Buffer.concat([Buffer.from([s.length]), Buffer.from(s)]))).toString('hex'),
}

function wireName(name: string): Buffer {
  const labels = name.split('.').map(l => Buffer.concat([Buffer.from([l.length]), Buffer.from(l, 'latin1')]))
  return Buffer.concat([...labels, Buffer.from([0])])
}

function encode(name: string, type: AskType): Buffer {
  const head = Buffer.from([0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  return Buffer.concat([head, wireName(name), Buffer.from([0, TYPES[type], 0, 1])])
}

function decode(m: Buffer): Said {
  let at = skipName(m, 12) + 4
  const answers = Array.from({ length: m.readUInt16BE(6) }, () => {
    const start = skipName(m, at)
    const end = start + 10 + m.readUInt16BE(start + 8)
    const ttl = m.readUInt32BE(start + 4)
    const data = expand(m, m.readUInt16BE(start), start + 10, end)
    at = end
    return { ttl, data }
  })
  const flags = m.readUInt16BE(2)
  return { rcode: RCODES[flags & 15] ?? String(flags & 15), authoritative: (flags & 0x0400) !== 0, answers }
}

/** The data with names written out: servers compress them as they like. */
function expand(m: Buffer, type: number, start: number, end: number): string {
  const head = type === TYPES.SRV ? 6 : 0
  const named = type === TYPES.SRV || type === TYPES.PTR
  if (!named) return m.subarray(start, end).toString('hex')
  return m.subarray(start, start + head).toString('hex') + wireName(readName(m, start + head)).toString('hex')
}

function skipName(m: Buffer, at: number): number {
  for (;;) {
    const size = m.readUInt8(at)
    if (size >= 0xc0) return at + 2
    at += size + 1
    if (size === 0) return at
  }
}

function readName(m: Buffer, at: number): string {
  const labels: string[] = []
  for (let size = m.readUInt8(at); size > 0; size = m.readUInt8(at)) {
    if (size >= 0xc0) at = m.readUInt16BE(at) & 0x3fff
    else {
      labels.push(m.toString('latin1', at + 1, at + 1 + size).toLowerCase())
      at += size + 1
    }
  }
  return labels.join('.')
}

function udp(server: { host: string; port: number }, query: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIP(server.host) === 6 ? 'udp6' : 'udp4')
    const timer = setTimeout(() => end(new Error('the name server does not answer')), 3000)
    const end = (result: Buffer | Error) => {
      clearTimeout(timer)
      socket.removeAllListeners().close()
      if (result instanceof Error) reject(result)
      else resolve(result)
    }
    socket.on('error', end).on('message', end)
    socket.connect(server.port, server.host, () => socket.send(query))
  })
}

function tcp(server: { host: string; port: number }, query: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(query.length)
    let held: Buffer = Buffer.alloc(0)
    const socket = connect(server.port, server.host, () => socket.write(Buffer.concat([length, query])))
    socket.setTimeout(3000, () => socket.destroy())
    socket.on('error', reject).on('close', () => reject(new Error('the name server closed the connection')))
    socket.on('data', chunk => {
      held = Buffer.concat([held, chunk])
      if (held.length < 2 || held.length < 2 + held.readUInt16BE(0)) return
      resolve(held.subarray(2, 2 + held.readUInt16BE(0)))
      socket.destroy()
    })
  })
}
