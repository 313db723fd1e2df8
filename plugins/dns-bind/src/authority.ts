import { randomInt } from 'node:crypto'
import { decodeResponse, encodeQuestion, type Question, type Response } from '@fnaa/client'
import { type Call, FnaError } from '@fnaa/core/plugin'
import type { DnsRecord } from '@fnaa/protocol'
import { overTcp, type Server, unavailable } from './transport.js'

/** What stands at a name. */
export interface Standing {
  readonly records: readonly DnsRecord[]
  /** An alias, or a name that leads away to another zone's servers: nothing of ours can stand there. */
  readonly elsewhere: boolean
}

const TYPES = ['A', 'AAAA', 'PTR', 'SRV', 'TXT', 'NS', 'DS'] as const
const RCODES: Readonly<Record<number, string>> = {
  1: 'FORMERR',
  2: 'SERVFAIL',
  4: 'NOTIMP',
  5: 'REFUSED',
  9: 'NOTAUTH',
}

/** Asks a server what stands in its own zones. No cache, no resolver between. */
export class Authority {
  readonly #server: Server
  readonly #ms: number

  /** @param ms milliseconds for all questions of a call */
  constructor(server: Server, ms: number) {
    this.#server = server
    this.#ms = ms
  }

  /**
   * What stands at each name, all types that we write.
   * @param zone where it would be written: what the server knows of a zone below stands elsewhere
   * @throws FNA_ERR_UNAVAILABLE where the server does not answer, or not with authority
   */
  async read(names: readonly string[], c: Call, zone?: string): Promise<Map<string, Standing>> {
    const questions = names.flatMap(name => TYPES.map(type => ({ name, type })))
    const answers = await this.#ask(questions, c)
    const out = new Map<string, { records: DnsRecord[]; elsewhere: boolean }>()
    for (const [i, { name, type }] of questions.entries()) {
      const r = answers[i]!
      const at = out.get(name) ?? { records: [], elsewhere: false }
      out.set(name, at)
      // What leads to another zone's servers stands in ours, and is shown by a referral only.
      if (r.aliases.has(name) || (r.referral && r.referral.zone !== name && type === 'TXT')) at.elsewhere = true
      if (isBelow(r, zone)) at.elsewhere = true
      for (const record of [...r.answers, ...(r.referral?.records ?? [])])
        if (record.type === type && record.name === name) at.records.push(record as DnsRecord)
    }
    return out
  }

  /**
   * Those of the names that are aliases, or lie in a zone of other servers.
   * @throws FNA_ERR_UNAVAILABLE as `read`
   */
  async leadsAway(zone: string, names: readonly string[], c: Call): Promise<string[]> {
    const answers = await this.#ask(
      names.map(name => ({ name, type: 'TXT' as const })),
      c,
    )
    return names.filter(
      (name, i) => answers[i]!.aliases.has(name) || answers[i]!.referral || isBelow(answers[i]!, zone),
    )
  }

  /** @throws FNA_ERR_UNAVAILABLE where the server is not there; FNA_ERR_CONFIG where it does not serve the zone */
  async serves(zone: string, c: Call): Promise<void> {
    const [r] = await this.#ask([{ name: zone, type: 'SOA' }], c)
    if (!r!.authoritative || r!.answers.length === 0)
      throw new FnaError(
        'FNA_ERR_CONFIG',
        `the name server ${this.#server.host}:${this.#server.port} has no authority for the zone ${zone}: name another server, or other zones`,
      )
  }

  async #ask(questions: readonly Question[], c: Call): Promise<Response[]> {
    // Ids differ within a connection, so that each answer finds its question.
    const first = randomInt(65_536)
    const requests = questions.map((q, i) => {
      const id = (first + i) & 0xffff
      return { message: encodeQuestion(id, q), match: (m: Buffer) => decodeResponse(m, id, q) }
    })
    const answers = await overTcp(this.#server, requests, this.#ms, c)
    for (const [i, r] of answers.entries()) {
      if (r.rcode === 0 || r.rcode === 3) continue
      const code = RCODES[r.rcode] ?? `response code ${r.rcode}`
      throw unavailable(this.#server, `${code} to a question for ${questions[i]!.name}`)
    }
    return answers
  }
}

/** Does the server answer from a zone that it has below this one? */
const isBelow = (r: Response, zone: string | undefined): boolean =>
  zone !== undefined && r.deniedBy !== null && r.deniedBy !== zone
