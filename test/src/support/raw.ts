import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Teardown } from './agents.js'

/** Bytes in, bytes out: what telnet shows. */
export class Raw {
  readonly socket: Socket
  #text = ''
  #closed = false
  #wake: (() => void)[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('utf8')
      this.#stir()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#closed = true
      this.#stir()
    })
  }

  static async open(t: Teardown, port: number, host = '127.0.0.1'): Promise<Raw> {
    const socket = connect(port, host)
    await once(socket, 'connect')
    t.teardown(() => socket.destroy())
    return new Raw(socket)
  }

  /** From another address of this machine. */
  static async openFrom(t: Teardown, port: number, localAddress: string): Promise<Raw> {
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    await once(socket, 'connect')
    t.teardown(() => socket.destroy())
    return new Raw(socket)
  }

  send(text: string | Uint8Array): void {
    this.socket.write(text)
  }

  /** The next line without its CRLF. @throws where the connection closes, or nothing comes for ten seconds */
  async line(): Promise<string> {
    await this.#until(() => this.#text.includes('\r\n'), 'a line')
    const end = this.#text.indexOf('\r\n')
    const line = this.#text.slice(0, end)
    this.#text = this.#text.slice(end + 2)
    return line
  }

  /** Says a line and gives the next `n` lines. */
  async say(line: string, n = 1): Promise<string[]> {
    this.send(`${line}\r\n`)
    const lines: string[] = []
    for (let i = 0; i < n; i++) lines.push(await this.line())
    return lines
  }

  /** Everything until the connection closes. */
  async rest(): Promise<string> {
    await this.#until(() => this.#closed, 'the end')
    return this.#text
  }

  get buffered(): string {
    return this.#text
  }
  get closed(): boolean {
    return this.#closed
  }

  async login(user = 'test', password = 'test'): Promise<void> {
    await this.line()
    await this.say('AUTHENTICATE PLAIN')
    const [reply] = await this.say(Buffer.from(`\0${user}\0${password}`).toString('base64'))
    if (reply !== '220 Authenticated') throw new Error(`login: ${reply}`)
  }

  #stir(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  async #until(done: () => boolean, what: string): Promise<void> {
    const end = Date.now() + 30_000
    while (!done()) {
      if (this.#closed) throw new Error(`the connection closed before ${what}: ${JSON.stringify(this.#text)}`)
      if (Date.now() > end) throw new Error(`no ${what} in thirty seconds: ${JSON.stringify(this.#text)}`)
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, 200)
        this.#wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }
}
