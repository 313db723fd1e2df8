import { createSocket } from 'node:dgram'
import { type AddressInfo, createServer } from 'node:net'
import packet, { type Answer, type DecodedPacket } from 'dns-packet'

export interface Reply {
  readonly rcode?: number
  readonly flags?: number
  readonly answers?: Answer[]
  readonly authorities?: Answer[]
  readonly additionals?: Answer[]
  /** Sent instead of all that. */
  readonly raw?: (query: Buffer) => Buffer[]
}
export type Handler = (q: { name: string; type: string; tcp: boolean; packet: DecodedPacket }) => Reply | null

/** A name server that says what the test wants; `asked` lists its questions as `TYPE name`. */
export async function fakeDns(t: { teardown(fn: () => void): void }, handler: Handler) {
  const asked: string[] = []
  const answer = (query: Buffer, tcp: boolean): Buffer[] => {
    const q = packet.decode(query)
    const { name, type } = q.questions![0]!
    asked.push(`${type} ${name}${tcp ? ' tcp' : ''}`)
    const reply = handler({ name, type, tcp, packet: q })
    if (!reply) return []
    if (reply.raw) return reply.raw(query)
    const { rcode = 0, flags = 0, answers = [], authorities = [], additionals = [] } = reply
    return [
      packet.encode({
        type: 'response',
        id: q.id!,
        flags: flags | rcode,
        questions: q.questions!,
        answers,
        authorities,
        additionals,
      }),
    ]
  }
  const tcp = createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', d => {
      for (const bytes of answer(d.subarray(2), true)) {
        const length = Buffer.alloc(2)
        length.writeUInt16BE(bytes.length)
        socket.write(Buffer.concat([length, bytes]))
      }
    })
  })
  await new Promise<void>(r => tcp.listen(0, '127.0.0.1', r))
  const { port } = tcp.address() as AddressInfo
  const udp = createSocket('udp4')
  udp.on('message', (query, from) => {
    for (const bytes of answer(query, false)) udp.send(bytes, from.port, from.address)
  })
  await new Promise<void>(r => udp.bind(port, '127.0.0.1', r))
  t.teardown(() => {
    udp.close()
    tcp.close()
  })
  return { host: '127.0.0.1', port, asked }
}

export const AD = packet.AUTHENTIC_DATA
export const soa = (name: string, minimum = 30, ttl = 60): Answer => ({
  type: 'SOA',
  name,
  ttl,
  data: { mname: `ns.${name}`, rname: `hostmaster.${name}`, minimum },
})
export const a = (name: string, data: string, ttl = 300): Answer => ({ type: 'A', name, ttl, data })
export const txt = (name: string, ...data: string[]): Answer => ({ type: 'TXT', name, ttl: 300, data })
export const srv = (name: string, target: string, more: object = {}): Answer => ({
  type: 'SRV',
  name,
  ttl: 300,
  data: { priority: 0, weight: 0, port: 61_000, target, ...more },
})
export const cname = (name: string, data: string, ttl = 300): Answer => ({ type: 'CNAME', name, ttl, data })
/** An OPT record with an Extended DNS Error (RFC 8914). */
export const extended = (code: number): Answer => {
  const data = Buffer.alloc(2)
  data.writeUInt16BE(code)
  const options = [{ code: 15, data }] as never
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: 1232,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options,
  }
}
