import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { Exchange } from '@fnaa/client'
import type { Config } from '@fnaa/core'
import { places, type StartOptions, type Teardown, TestAgent, type Where } from './agents.js'

/** One connection that the agent under test has made to the stranger. */
export interface Visit {
  /** Every line that came, CRLF taken off. */
  readonly lines: string[]
  /** What its TLS handshake said. */
  tls?: { readonly servername: string; readonly alpn: string; readonly resumed: boolean; readonly version: string }
  socket: Socket
  closed: boolean
  say(text: string): void
}
export interface StrangerOptions {
  readonly greeting?: string
  /** Protocols of ALPN; none selects none. */
  readonly alpn?: readonly string[]
  /** Answers a line, or leaves it to what an agent would say (returns false). */
  readonly answer?: (line: string, visit: Visit) => boolean
  /** The same for lines before TLS. */
  readonly early?: (line: string, visit: Visit) => boolean
}
const CAPABILITIES = ['version=FNAP/1', 'starttls=no', 'auth=DOMAINKEY-ED25519', 'formats=text,json,batch']
const MECHANISM = 'DOMAINKEY-ED25519'

/**
 * A participant with real names and keys whose SRV leads to a server of the test: it proves its domain as an agent does, and
 * says what the test wants.
 */
export class Stranger {
  /** Its names and keys. */
  readonly agent: TestAgent
  readonly visits: Visit[] = []
  readonly #o: StrangerOptions
  readonly #server = createServer(socket => this.#greet(socket))
  #wake: (() => void)[] = []

  private constructor(o: StrangerOptions, agent: (s: Stranger) => TestAgent) {
    this.#o = o
    this.agent = agent(this)
  }

  static async start(t: Teardown, where: Where, o: StrangerOptions = {}): Promise<Stranger> {
    const told = (s: Stranger) => (config: Config) => ({ ...config, advertise: `${config.host}:${s.port}` })
    const stranger = new Stranger(o, s => new TestAgent(where, { change: told(s) }))
    stranger.#server.listen(0, '127.0.0.1')
    await once(stranger.#server, 'listening')
    await stranger.agent.start()
    t.teardown(async () => {
      for (const v of stranger.visits) v.socket.destroy()
      stranger.#server.close()
      await stranger.agent.close()
    })
    return stranger
  }

  /** Another place of the same participant, which no name leads to. */
  async branch(t: Teardown, o: StrangerOptions): Promise<Stranger> {
    const branch = new Stranger(o, () => this.agent)
    branch.#server.listen(0, '127.0.0.1')
    await once(branch.#server, 'listening')
    t.teardown(() => {
      for (const v of branch.visits) v.socket.destroy()
      branch.#server.close()
    })
    return branch
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }
  get domain(): string {
    return this.agent.where.domain
  }

  /** Waits until `look` gives something, looking again whenever something happens on a connection. */
  async until<T>(look: () => T | undefined, what: string): Promise<T> {
    const end = Date.now() + 20_000
    for (let found = look(); ; found = look()) {
      if (found !== undefined) return found
      if (Date.now() > end) throw new Error(`not in 20 s: ${what}`)
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, 500)
        this.#wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  #stir(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  #greet(socket: Socket): void {
    const visit: Visit = { lines: [], socket, closed: false, say: text => void visit.socket.write(`${text}\r\n`) }
    this.visits.push(visit)
    socket.on('close', () => {
      visit.closed = true
      this.#stir()
    })
    visit.say(this.#o.greeting ?? `220 fnaa.${this.domain} FNAA`)
    this.#listen(socket, visit, line => {
      if (this.#o.early?.(line, visit)) return
      if (line !== 'STARTTLS') return visit.say('404 UNKNOWNCOMMAND there is no such command')
      socket.removeAllListeners('data')
      socket.write('220 OK\r\n', () => this.#secure(socket, visit))
    })
    this.#stir()
  }

  #listen(socket: Socket, visit: Visit, onLine: (line: string) => void): void {
    let held = ''
    socket.on('error', () => undefined)
    socket.on('data', (d: Buffer) => {
      held += d.toString('latin1')
      for (let end = held.indexOf('\r\n'); end >= 0; end = held.indexOf('\r\n')) {
        const line = held.slice(0, end)
        held = held.slice(end + 2)
        visit.lines.push(line)
        onLine(line)
        this.#stir()
      }
    })
  }

  #secure(socket: Socket, visit: Visit): void {
    const { cert, key } = this.agent.kernel.certificates!
    const server = createTlsServer({ cert, key, ALPNProtocols: [...(this.#o.alpn ?? ['fnap/1'])] }, tls => {
      visit.socket = tls
      visit.tls = {
        servername: (tls as TLSSocket & { servername: string }).servername,
        alpn: String(tls.alpnProtocol),
        resumed: tls.isSessionReused(),
        version: String(tls.getProtocol()),
      }
      const converse = this.#agent(tls, visit)
      this.#listen(tls, visit, line => void (this.#o.answer?.(line, visit) || converse(line)))
      this.#stir()
    })
    server.on('tlsClientError', () => this.#stir())
    server.emit('connection', socket)
  }

  /** What an agent says to CAPABILITIES and DOMAINKEY; everything else it does not know. */
  #agent(tls: TLSSocket, visit: Visit): (line: string) => void {
    let exchange: Exchange | null = null
    const step = async (base64: string) => {
      const answer = await exchange!.step(Buffer.from(base64, 'base64'), { signal: AbortSignal.timeout(10_000) })
      if (answer.type === 'challenge') return visit.say(`334 ${Buffer.from(answer.data).toString('base64')}`)
      exchange = null
      visit.say(answer.type === 'accept' ? '220 Authenticated' : `401 AUTHFAILED ${answer.log}`)
    }
    return line => {
      if (line === 'CAPABILITIES') return visit.say(['220 DATA', ...CAPABILITIES, '220 OK'].join('\r\n'))
      if (exchange) return void step(line)
      if (!line.startsWith(`AUTHENTICATE ${MECHANISM} `))
        return visit.say('404 UNKNOWNCOMMAND there is no such command')
      const exporter = (label: string, n: number) => tls.exportKeyingMaterial(n, label, Buffer.alloc(0))
      const capabilities = CAPABILITIES.map(l => `${l}\r\n`).join('')
      const channel = { version: 'TLSv1.3', exporter, alpn: 'fnap/1' }
      const peer = { address: '127.0.0.1', loopback: true, tls: channel, capabilities }
      exchange = this.agent.kernel.mechanisms.get(MECHANISM)!.accept(peer, this.agent.kernel.issued)
      void step(line.slice(`AUTHENTICATE ${MECHANISM} `.length))
    }
  }
}

/** A stranger, evil.test, and our agent of emiliano.test, which meets it. */
export async function meeting(
  t: Teardown,
  o: StrangerOptions = {},
  options: StartOptions = {},
): Promise<{ stranger: Stranger; b: TestAgent }> {
  const [we, wb] = await places(t, ['evil.test', 'emiliano.test'])
  const stranger = await Stranger.start(t, we!, o)
  const b = await new TestAgent(wb!, options).start()
  t.teardown(() => b.close())
  return { stranger, b }
}

/** A port that nobody should ever connect to. */
export async function trap(t: Teardown): Promise<{ port: number; sprung: () => number }> {
  let count = 0
  const server = createServer(socket => {
    count++
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { port: (server.address() as { port: number }).port, sprung: () => count }
}
