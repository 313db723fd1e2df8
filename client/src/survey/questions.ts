import { isLoopback } from '../addresses.js'
import type { Question, Response } from '../dns-message.js'
import { type DnsServer, exchange } from '../dns-transport.js'
import { Resolver, type ResolverOptions, type ResolveStep } from '../resolver.js'
import type { Call } from '../types.js'

/** Security of an answer as RFC 4035 §4.3 names it; `indeterminate`: whoever gave it may not be asked that. */
export type Security = 'secure' | 'insecure' | 'bogus' | 'indeterminate'

/** One question that was answered, or was not. */
export interface Asked {
  readonly name: string
  readonly type: Question['type']
  readonly server: DnsServer
  readonly response?: Response
  readonly error?: Error & { readonly status?: string; readonly rcode?: number }
}

const RAW_MS = 3000

/** The questions of one look into DNS: nothing is remembered from before, and each of them is kept. */
export class Questions {
  readonly resolver: Resolver
  readonly asked: Asked[] = []
  readonly #opt: ResolverOptions
  readonly #raw = new Map<string, Promise<Response | null>>()
  #validates: Promise<boolean> | null = null

  constructor(opt: ResolverOptions) {
    this.#opt = opt
    this.resolver = new Resolver({
      trustAd: true,
      ...opt,
      trace: step => {
        this.#keep(step)
        opt.trace?.(step)
      },
    })
  }

  /** Who is asked for what no server of its own serves. */
  get server(): DnsServer | undefined {
    return this.#opt.servers.find(s => s.zones === undefined)
  }
  /** Could the word of a server about DNSSEC count? */
  heeds(server: DnsServer): boolean {
    return this.resolver.heeds(server)
  }

  /** The last question that had no answer. */
  get failure(): Asked | undefined {
    return this.asked.findLast(a => a.error)
  }

  /**
   * A question as it is, each once: whatever the answer says is given back.
   * @returns null where the server gives none
   */
  raw(q: Question, c: Call, server: DnsServer | undefined = this.server): Promise<Response | null> {
    if (!server) return Promise.resolve(null)
    const key = `${server.host} ${server.port} ${q.type} ${q.name} ${q.unchecked ?? false}`
    let pending = this.#raw.get(key)
    if (!pending) {
      pending = exchange(server, q, this.#opt.timeoutMs ?? RAW_MS, c.signal).catch(() => null)
      this.#raw.set(key, pending)
    }
    return pending
  }

  /**
   * Does the resolver validate? It does where it has said so of anything: what was asked, the root, the top-level domain.
   * @param name any name
   */
  validates(name: string, c: Call): Promise<boolean> {
    if (this.asked.some(a => a.response?.authentic && this.heeds(a.server))) return Promise.resolve(true)
    this.#validates ??= this.#probe(name, c)
    return this.#validates
  }

  async #probe(name: string, c: Call): Promise<boolean> {
    if (!this.server || !this.heeds(this.server)) return false
    const top = name.slice(name.lastIndexOf('.') + 1)
    for (const probe of ['', top]) {
      const answer = await this.raw({ name: probe, type: 'SOA' }, c)
      if (answer?.authentic) return true
    }
    return false
  }

  /** What one answer is worth, for who prints it. */
  async securityOf(a: Asked, c: Call): Promise<Security> {
    if (a.error) return a.error.status === 'bogus' ? 'bogus' : 'indeterminate'
    if (!this.heeds(a.server)) return 'indeterminate'
    if (a.response?.authentic) return 'secure'
    return (await this.validates(a.name, c)) ? 'insecure' : 'indeterminate'
  }

  close(): void {
    this.resolver.close()
  }

  #keep(s: ResolveStep): void {
    const { name, type, server } = s
    if (s.step === 'answer') this.asked.push({ name, type, server, response: s.response })
    else if (s.step === 'failure') this.asked.push({ name, type, server, error: s.error })
  }
}

/** `127.0.0.1:53`, as it is typed. */
export const serverText = ({ host, port }: Pick<DnsServer, 'host' | 'port'>): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`

/** Is the server on this machine? */
export const isHere = ({ host }: DnsServer): boolean => isLoopback(host)
