import { generateKeyPairSync } from 'node:crypto'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import forge from 'node-forge'
import { FnapConnection } from './connection.js'
import type { ConnectOptions } from './connection-options.js'
import { anonymous } from './sasl.js'

/** One side of a scripted dialogue: what an agent receives and says, byte for byte. */
export class Script {
  #socket: Socket
  #held = Buffer.alloc(0)
  #wake: (() => void) | null = null
  #ended = false

  constructor(socket: Socket) {
    this.#socket = socket
    this.#listen(socket)
  }

  get socket(): Socket {
    return this.#socket
  }

  /** The next line without CRLF, or null at the end. */
  async line(): Promise<string | null> {
    for (;;) {
      const end = this.#held.indexOf('\r\n')
      if (end >= 0) {
        const line = this.#held.subarray(0, end).toString('utf8')
        this.#held = this.#held.subarray(end + 2)
        return line
      }
      if (this.#ended) return null
      await new Promise<void>(r => {
        this.#wake = r
      })
    }
  }

  /** All bytes that have come and come next, at least one. */
  async bytes(): Promise<Buffer> {
    while (this.#held.length === 0 && !this.#ended) {
      await new Promise<void>(r => {
        this.#wake = r
      })
    }
    const held = this.#held
    this.#held = Buffer.alloc(0)
    return held
  }

  say(...lines: string[]): void {
    this.#socket.write(lines.map(l => `${l}\r\n`).join(''))
  }

  last(...lines: string[]): void {
    this.#socket.end(lines.map(l => `${l}\r\n`).join(''))
  }

  raw(data: string | Buffer): void {
    this.#socket.write(data)
  }

  /** The server's side of STARTTLS. */
  async tls(options: object): Promise<void> {
    this.#socket.removeAllListeners('data')
    const { alpn, ...more } = options as { alpn?: string[] }
    const tls = new TLSSocket(this.#socket, {
      isServer: true,
      secureContext: createSecureContext(more),
      ALPNProtocols: alpn ?? ['fnap/1'],
    })
    this.#socket = tls
    this.#listen(tls)
    await new Promise<void>((resolve, reject) => tls.once('secure', resolve).once('error', reject))
  }

  end(): void {
    this.#socket.end()
  }

  #listen(socket: Socket): void {
    socket.on('data', (d: Buffer) => {
      this.#held = Buffer.concat([this.#held, d])
      this.#rouse()
    })
    socket.on('close', () => {
      this.#ended = true
      this.#rouse()
    })
    socket.on('error', () => {})
  }

  #rouse(): void {
    this.#wake?.()
    this.#wake = null
  }
}

/** Listens on loopback and plays `script` for each connection. */
export async function fakeAgent(
  t: { teardown(fn: () => void): void },
  script: (agent: Script) => Promise<void> | void,
  host = '127.0.0.1',
): Promise<{ port: number; open(): Promise<Socket>; server: Server }> {
  const sockets = new Set<Socket>()
  const failures: unknown[] = []
  const server = createServer(socket => {
    sockets.add(socket.setNoDelay(true))
    void Promise.resolve(script(new Script(socket))).catch(e => failures.push(e))
  })
  await new Promise<void>(r => server.listen(0, host, r))
  const { port } = server.address() as AddressInfo
  t.teardown(() => {
    for (const s of sockets) s.destroy()
    server.close()
    if (failures.length > 0) throw failures[0]
  })
  const open = () =>
    new Promise<Socket>((resolve, reject) => {
      const socket = connect(port, host, () => resolve(socket))
      socket.on('error', reject)
    })
  return { port, open, server }
}

/** A self-signed certificate for tests. */
export function certificate(name: string): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const cert = forge.pki.createCertificate()
  cert.publicKey = forge.pki.publicKeyFromPem(publicKey)
  cert.serialNumber = '40'
  cert.validity.notBefore = new Date(Date.now() - 3_600_000)
  cert.validity.notAfter = new Date(Date.now() + 86_400_000)
  cert.setSubject([{ name: 'commonName', value: name }])
  cert.setIssuer([{ name: 'commonName', value: name }])
  const altNames = [
    { type: 2, value: name },
    { type: 7, ip: '127.0.0.1' },
  ]
  cert.setExtensions([
    { name: 'basicConstraints', cA: true },
    { name: 'subjectAltName', altNames },
  ])
  cert.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create())
  return { key: privateKey, cert: forge.pki.certificateToPem(cert) }
}

const GREETING = '220 fnaa.unix.test FNAA'

/** A connection to an agent that plays `script` after its greeting. */
export async function talk(
  t: { teardown(fn: () => void): void },
  script: (a: Script) => Promise<void> | void,
  opt: ConnectOptions = {},
  greeting = GREETING,
): Promise<FnapConnection> {
  const agent = await fakeAgent(t, async a => {
    a.say(greeting)
    await script(a)
  })
  const connection = await FnapConnection.connect(await agent.open(), opt)
  t.teardown(() => connection.destroy())
  return connection
}

/** The agent's side of any log-in with one message. */
export async function login(a: Script): Promise<void> {
  await a.line()
  a.say('220 Authenticated')
}

export const enter = (c: FnapConnection): Promise<unknown> => c.authenticate('ANONYMOUS', anonymous())

/** An error that carries this reply. */
export const replied = (reply: object): Error => ({ reply }) as unknown as Error
