import type { ResolveStep, TraceLine } from '@fnaa/client'
import { safe } from './text.js'

/** DNS types as numbers, which is how the thesis's client prints them. */
const TYPES: Readonly<Record<string, number>> = { A: 1, SOA: 6, PTR: 12, TXT: 16, AAAA: 28, SRV: 33 }

/** Where an exchange of lines stands: it decides how a line is shown. */
type Stage = 'greeting' | 'exchange' | 'command' | 'quit'

/**
 * What `-d` prints, in the words and in the order of the thesis's client. Credentials are masked before they get here.
 * Without `-d` it prints nothing.
 */
export class Debug {
  readonly #print: ((line: string) => void) | null
  #stage: Stage = 'greeting'
  #command = ''

  constructor(print: ((line: string) => void) | null) {
    this.#print = print
  }

  say(line: string): void {
    this.#print?.(safe(line))
  }

  /** A step of the resolver. */
  readonly resolve = (s: ResolveStep): void => {
    const server = `${s.server.host}:${s.server.port}`
    if (s.step === 'question') {
      this.say(`Resolving ${s.type} for ${s.name}. using server ${server}`)
      this.say(`Executing query ${s.name}. IN ${TYPES[s.type] ?? s.type} using server ${server}`)
    } else if (s.step === 'failure') {
      this.say(`Executing failed: ${s.error.message} (server ${server})`)
    } else {
      for (const r of s.records) {
        this.say(`Executing successful: [${r.name}. ${r.ttl} IN ${r.type} ${rdata(r as unknown as Rdata)}]`)
      }
      if (s.records.length === 0)
        this.say(`Executing successful: [] (${s.rcode === 3 ? 'no such name' : 'no such record'})`)
      if (s.type !== 'A' && s.type !== 'AAAA') return
      for (const r of s.records) {
        if ('address' in r) this.say(`Resolved ${s.type} to ${r.address} for ${s.name}. using server ${server}`)
      }
    }
  }

  /** A line of the dialogue. */
  readonly trace = (t: TraceLine): void => {
    if (t.direction === 'send') this.#sent(t)
    else this.#received(t.line)
  }

  #sent({ line, bytes }: TraceLine): void {
    const verb = line.split(' ')[0] ?? ''
    if (verb === 'AUTHENTICATE') this.#stage = 'exchange'
    else if (this.#stage === 'exchange') {
      this.say(`C: Authentication string sent: ${line}`)
      this.say(`C: Wrote (${bytes} bytes written)`)
      return
    } else this.#stage = verb === 'QUIT' ? 'quit' : 'command'
    this.#command = line
    this.say(`C: Sending command ${line}`)
    this.say(`C: Wrote (${bytes} bytes written)`)
  }

  #received(line: string): void {
    if (this.#stage === 'quit') return
    if (this.#stage !== 'command') {
      this.say(`C: Got a response: ${line}`)
      if (/^(?:220 Authenticated|[45]\d\d )/.test(line)) this.#stage = 'command'
      return
    }
    // The data of a reply is the output: only its first line, and what is no success, is told.
    if (this.#command === '') return
    if (/^(?:220|354)/.test(line)) this.say(`C: Server sent OK for command ${this.#command}`)
    else this.say(`C: Got a response: ${line}`)
    this.#command = ''
  }
}

interface Rdata {
  readonly type: string
  readonly priority?: number
  readonly weight?: number
  readonly port?: number
  readonly target?: string
  readonly address?: string
  readonly strings?: readonly string[]
}

function rdata(r: Rdata): string {
  if (r.type === 'SRV') return `${r.priority} ${r.weight} ${r.port} ${r.target}.`
  if (r.strings) return r.strings.map(s => JSON.stringify(s)).join(' ')
  return r.address ?? (r.target === undefined ? '…' : `${r.target}.`)
}
