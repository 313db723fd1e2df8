import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import { fnapError, formatError } from '@fnaa/protocol'
import type { PeerInfo } from '../contract/auth.js'
import { FnaError } from '../contract/errors.js'
import type { Kernel } from '../kernel.js'
import type { Certificates } from '../tls/certificates.js'
import { Session } from './session.js'
import { CROWDED, type Slot, Slots } from './slots.js'
import { onLoopback } from './sources.js'

export interface Address {
  readonly protocol: 'tcp' | 'tls'
  readonly host: string
  readonly port: number
}
const EXPORTER = 'EXPORTER-Channel-Binding'

/** Accepts connections on every address of the config, plain (with STARTTLS) and implicit TLS. */
export class Listener {
  readonly #kernel: Kernel
  readonly #servers: Server[] = []
  readonly #tls: TlsServer | null
  readonly #slots: Slots
  /** Implicit TLS: greeted inside it. */
  readonly #greeted = new WeakSet<Slot>()
  addresses: Address[] = []

  constructor(kernel: Kernel, certificates: Certificates | null) {
    this.#kernel = kernel
    this.#slots = new Slots(kernel.limits)
    this.#tls = certificates && this.#tlsServer(certificates)
  }

  get starttls(): boolean {
    return this.#tls !== null
  }

  /** @throws FNA_ERR_CONFIG where an address cannot be bound */
  async listen(urls: readonly string[]): Promise<void> {
    for (const url of urls) {
      const { protocol, host, port } = parseListen(url)
      if (protocol === 'tls' && !this.#tls) {
        throw new FnaError('FNA_ERR_CONFIG', `listen ${url} needs tls: give cert and key, or development`)
      }
      const server = createServer({ noDelay: true }, s => this.#accept(s, protocol === 'tls'))
      await new Promise<void>((resolve, reject) => {
        server.once('error', e => reject(new FnaError('FNA_ERR_CONFIG', `listen ${url}: ${e.message}`, { cause: e })))
        server.listen({ host, port, backlog: 4096 }, resolve)
      })
      server.on('error', e => this.#kernel.log.error({ err: e, listen: url }, 'listener failed'))
      this.#servers.push(server)
      const bound = server.address() as { address: string; port: number }
      this.addresses.push({ protocol, host: bound.address, port: bound.port })
      this.#kernel.log.info({ address: `${url.slice(0, url.lastIndexOf(':'))}:${bound.port}` }, 'listening')
    }
  }

  /** Stops accepting; what is open stays open, but for handshakes. */
  stop(): void {
    for (const s of this.#servers) s.close()
    this.#slots.close()
  }

  /** Says `last` and hands the socket over to TLS: a new session begins when the handshake is done (no greeting). */
  upgrade(socket: Socket, slot: Slot, last: string): void {
    slot.handshake(this.#kernel.limits.handshakeSeconds * 1000)
    socket.write(last, () => this.#tls!.emit('connection', socket))
  }

  #tlsServer(c: Certificates): TlsServer {
    const server = createTlsServer({ cert: c.cert, key: c.key, minVersion: 'TLSv1.2', ALPNProtocols: ['fnap/1'] }, s =>
      this.#secured(s),
    )
    server.on('tlsClientError', (e, s) => {
      this.#kernel.log.debug({ err: e.message }, 'handshake failed')
      s.destroy()
    })
    c.onRenew(next => server.setSecureContext({ cert: next.cert, key: next.key }))
    return server
  }

  #accept(socket: Socket, implicit: boolean): void {
    socket.on('error', () => undefined)
    const slot = this.#kernel.draining ? null : this.#slots.take(socket)
    if (!slot) {
      const why = this.#kernel.draining ? 'the agent is closing' : CROWDED
      if (!implicit) socket.end(`${formatError(fnapError('CLOSING', why))}\r\n`)
      socket.destroySoon()
      return
    }
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 60_000)
    if (implicit) {
      this.#greeted.add(slot)
      slot.handshake(this.#kernel.limits.handshakeSeconds * 1000)
      this.#tls!.emit('connection', socket)
    } else this.#begin(socket, slot, null, true)
  }

  #secured(tls: TLSSocket): void {
    const slot = this.#slots.of(tls)
    // Gone between the handshake's end and now: its address cannot be told any more.
    if (!slot) return void tls.destroy()
    slot.secured()
    this.#begin(tls, slot, tls, this.#greeted.has(slot))
  }

  #begin(socket: Socket, slot: Slot, tls: TLSSocket | null, greet: boolean): void {
    const { sessions, log } = this.#kernel
    log.debug({ address: socket.remoteAddress, tls: tls?.getProtocol() ?? null }, 'connection accepted')
    sessions.add(new Session(this.#kernel, socket, slot, peerInfo(socket, tls), greet))
  }
}

function peerInfo(socket: Socket, tls: TLSSocket | null): PeerInfo {
  const loopback = onLoopback(socket)
  const base = { address: socket.remoteAddress ?? '', loopback, capabilities: '' }
  if (!tls) return { ...base, tls: null }
  // Taken once, now: later the other side may have gone, and a key update does not change it (hardening H17).
  const bound = tls.getProtocol() === 'TLSv1.3' ? tls.exportKeyingMaterial(32, EXPORTER, Buffer.alloc(0)) : null
  const exporter = (label: string, length: number): Uint8Array => {
    if (bound && label === EXPORTER && length === 32) return bound
    return tls.exportKeyingMaterial(length, label, Buffer.alloc(0))
  }
  return { ...base, tls: { version: tls.getProtocol() ?? '', exporter, alpn: tls.alpnProtocol || null } }
}

/** @throws FNA_ERR_CONFIG */
export function parseListen(url: string): Address {
  const m = /^(tcp|tls):\/\/(?:\[([0-9a-fA-F:.]+)\]|([^:/]+)):(\d{1,5})$/.exec(url)
  const port = Number(m?.[4])
  if (!m || port > 65_535) {
    throw new FnaError('FNA_ERR_CONFIG', `listen ${url} must read tcp://address:port or tls://address:port`)
  }
  return { protocol: m[1] as 'tcp' | 'tls', host: m[2] ?? m[3]!, port }
}
