import { randomBytes } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { describeTls, type Exchange, type PeerInfo } from '@fnaa/client'
import { mintId } from '@fnaa/protocol'
import { Raw } from './raw.js'

/** What the placeholders of a printed dialogue stand for. */
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  base64: '[A-Za-z0-9+/]+=*',
  codecs: '[a-z0-9]+(?:,[a-z0-9]+)*',
  epoch: '[a-z2-7]{26}',
  id: '[a-z2-7]{26}',
  json: '\\{.*\\}',
  n: '\\d+',
  port: '\\d+',
  time: '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z',
}
export interface Surroundings {
  /** The TLS handshake where the dialogue shows one. */
  secure(): Promise<TLSSocket>
  /** Who proves a domain where the dialogue prints `<base64>`. */
  initiate(peer: PeerInfo): Exchange
}
export interface Turn {
  readonly printed: string
  /** The line as printed where it fits, else what came. */
  readonly happened: string
}

/** Says the `C:` lines of a printed dialogue and compares what comes with its `S:` lines. `<id>` is one id throughout. */
export class Replay {
  raw: Raw
  readonly #around: Surroundings
  #id: string | null = null
  #peer: PeerInfo | null = null
  #capabilities: string[] | null = null
  #exchange: Exchange | null = null
  #challenge: Uint8Array | null = null

  constructor(raw: Raw, around: Surroundings) {
    this.raw = raw
    this.#around = around
  }

  async run(lines: readonly string[]): Promise<Turn[]> {
    const turns: Turn[] = []
    for (const printed of lines) {
      if (printed.startsWith('S: ')) turns.push({ printed, happened: await this.#hear(printed) })
      else if (printed.startsWith('C: ')) await this.#say(printed.slice(3))
      else if (printed.startsWith('---')) await this.#secure()
      else turns.push({ printed, happened: 'a line that is neither S:, C: nor ---' })
    }
    return turns
  }

  async #say(line: string): Promise<void> {
    if (line === 'CAPABILITIES') this.#capabilities = []
    const data = line.includes('<base64>') ? await this.#prove() : ''
    if (line.includes('<id>')) this.#id ??= mintId(randomBytes(16))
    this.raw.send(`${line.replaceAll('<id>', this.#id ?? '').replace('<base64>', data)}\r\n`)
  }

  async #hear(printed: string): Promise<string> {
    const line = await this.raw.line()
    this.#capture(line)
    const pattern = printed
      .slice(3)
      .split(/(<[a-z0-9]+>)/)
      .map(part => this.#pattern(part))
      .join('')
    if (!new RegExp(`^${pattern}$`).test(line)) return `S: ${line}`
    if (printed.includes('<id>')) this.#id ??= /(?<![a-z2-7])[a-z2-7]{26}(?![a-z2-7])/.exec(line)![0]
    return printed
  }

  #pattern(part: string): string {
    if (part === '<id>' && this.#id) return this.#id
    const known = /^<([a-z0-9]+)>$/.exec(part)?.[1]
    if (known !== undefined && PLACEHOLDERS[known]) return PLACEHOLDERS[known]
    return part.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
  }

  /** Keeps the data lines of CAPABILITIES, which are signed, and the challenge of an exchange. */
  #capture(line: string): void {
    if (line.startsWith('334 ')) this.#challenge = Buffer.from(line.slice(4), 'base64')
    if (!this.#capabilities || !this.#peer || line === '220 DATA') return
    if (line !== '220 OK') this.#capabilities.push(`${line}\r\n`)
    else {
      this.#peer = { ...this.#peer, capabilities: this.#capabilities.join('') }
      this.#capabilities = null
    }
  }

  async #secure(): Promise<void> {
    const tls = await this.#around.secure()
    this.#peer = { address: '127.0.0.1', loopback: true, tls: describeTls(tls), capabilities: '' }
    this.raw = new Raw(tls)
  }

  async #prove(): Promise<string> {
    this.#exchange ??= this.#around.initiate(this.#peer!)
    const step = await this.#exchange.step(this.#challenge, { signal: AbortSignal.timeout(10_000) })
    return 'data' in step && step.data ? Buffer.from(step.data).toString('base64') : `rejected:${JSON.stringify(step)}`
  }
}
