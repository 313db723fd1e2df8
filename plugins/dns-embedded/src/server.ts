import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, isIP, type Server, type Socket } from 'node:net'
import { setImmediate as breath } from 'node:timers/promises'
import { FnaError } from '@fnaa/core/plugin'
import type { HostPort } from './options.js'

/** Answers one question; null: no answer. `tcp` says over what it came. */
export type Handler = (question: Buffer, client: string, tcp: boolean) => Promise<Buffer | null>

const MOST_CONNECTIONS = 256
const MOST_OF_ONE_CLIENT = 16
const IDLE_MS = 10_000

/** UDP and TCP on one port (RFC 7766). */
export class DnsServer {
  readonly #handler: Handler
  readonly #sockets = new Set<Socket>()
  #udp: UdpSocket
  #tcp: Server
  readonly host: string
  readonly port: number

  private constructor(udp: UdpSocket, tcp: Server, bound: HostPort, handler: Handler) {
    this.#udp = udp
    this.#tcp = tcp
    this.host = bound.host
    this.port = bound.port
    this.#handler = handler
    udp.on('message', (question, from) => void this.#datagram(question, from.address, from.port))
    // An ICMP error of an earlier answer arrives here; it is no reason to stop.
    udp.on('error', () => {})
    tcp.on('connection', socket => this.#connection(socket))
  }

  /** @throws FNA_ERR_UNAVAILABLE where the port is taken or forbidden */
  static async listen(at: HostPort, handler: Handler): Promise<DnsServer> {
    // With port 0 the kernel may give UDP a port that TCP does not have: try another one.
    for (let tries = 0; ; tries++) {
      const udp = await bindUdp(at)
      const port = udp.address().port
      try {
        return new DnsServer(udp, await bindTcp({ host: at.host, port }), { host: at.host, port }, handler)
      } catch (e) {
        udp.close()
        if (at.port !== 0 || tries >= 8) throw e
      }
    }
  }

  get listening(): boolean {
    return this.#tcp.listening
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all([
      new Promise<void>(resolve => this.#udp.close(resolve)),
      new Promise<void>(resolve => this.#tcp.close(() => resolve())),
    ])
  }

  async #datagram(question: Buffer, address: string, port: number): Promise<void> {
    const answer = await this.#handler(question, address, false)
    // Closed meanwhile: `send` would throw.
    if (answer && this.listening) this.#udp.send(answer, port, address, () => {})
  }

  #connection(socket: Socket): void {
    const client = socket.remoteAddress ?? ''
    const ofClient = [...this.#sockets].filter(s => s.remoteAddress === client).length
    if (this.#sockets.size >= MOST_CONNECTIONS || ofClient >= MOST_OF_ONE_CLIENT) {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket)).on('error', () => socket.destroy())
    socket.setTimeout(IDLE_MS, () => socket.destroy())
    void this.#serve(socket, client).catch(() => socket.destroy())
  }

  /** One question after the other: who does not read its answers gets no more. */
  async #serve(socket: Socket, client: string): Promise<void> {
    let held: Buffer = Buffer.alloc(0)
    for await (const chunk of socket) {
      held = held.length === 0 ? (chunk as Buffer) : Buffer.concat([held, chunk as Buffer])
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const end = 2 + held.readUInt16BE(0)
        const answer = await this.#handler(held.subarray(2, end), client, true)
        held = held.subarray(end)
        if (!answer) return void socket.destroy()
        const length = Buffer.alloc(2)
        length.writeUInt16BE(answer.length)
        if (!socket.write(Buffer.concat([length, answer]))) await drained(socket)
        // Answers are made without waiting for anything: who pipelines questions would be the only one to be answered.
        else await breath()
      }
    }
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    socket.once('drain', resolve).once('close', resolve)
  })
}

const cannot = (at: HostPort, cause: unknown): FnaError =>
  new FnaError('FNA_ERR_UNAVAILABLE', `cannot listen on ${at.host} port ${at.port}: ${(cause as Error).message}`, {
    cause,
  })

function bindUdp(at: HostPort): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIP(at.host) === 6 ? 'udp6' : 'udp4')
    socket.once('error', e => reject(cannot(at, e)))
    socket.bind(at.port, at.host, () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
  })
}

function bindTcp(at: HostPort): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', e => reject(cannot(at, e)))
    server.listen(at.port, at.host, () => {
      server.removeAllListeners('error')
      resolve(server)
    })
  })
}
