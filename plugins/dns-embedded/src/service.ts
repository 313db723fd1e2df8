import { isLoopback } from '@fnaa/client'
import { type Call, type Ctx, checkChanges, type DnsService, FnaError, type OwnerSet, zoneOf } from '@fnaa/core/plugin'
import type { DnsRecord } from '@fnaa/protocol'
import { Data } from './data.js'
import { Forwards, relay } from './forward.js'
import { Journal } from './journal.js'
import { ResponseLimiter } from './limiter.js'
import { empty, encodeRefusal, encodeResponse, type Query, RCODE, readQuery, udpSize } from './message.js'
import { DEFAULT_LISTEN, type DnsEmbeddedOptions, parseHostPort, parseZones, serverAddress } from './options.js'
import { Responder } from './responder.js'
import { DnsServer } from './server.js'

interface Waiting {
  readonly changes: readonly OwnerSet[]
  resolve(result: { generation: string }): void
  reject(error: unknown): void
}

/** The name server and its data: figure 10's register, update, unregister and resolve. */
export class EmbeddedDns implements DnsService {
  readonly zones: readonly string[]
  readonly #ctx: Ctx
  readonly #keys: boolean
  readonly #data: Data
  readonly #journal: Journal
  readonly #forwards: Forwards
  readonly #limiter: ResponseLimiter
  readonly #address: string
  #responder!: Responder
  #server!: DnsServer
  #waiting: Waiting[] = []
  #working: Promise<void> | null = null
  #closed = false

  private constructor(ctx: Ctx, o: DnsEmbeddedOptions, data: Data, journal: Journal) {
    this.#ctx = ctx
    this.zones = parseZones(o.zones ?? ctx.agent.domains)
    this.#keys = o.keys ?? true
    this.#data = data
    this.#journal = journal
    this.#forwards = new Forwards(o.forward ?? {})
    this.#limiter = new ResponseLimiter(o.responsesPerSecond ?? 20, () => ctx.clock.now())
    this.#address = serverAddress(parseHostPort(o.listen ?? DEFAULT_LISTEN, 'listen').host, o.address)
  }

  static async open(ctx: Ctx, o: DnsEmbeddedOptions): Promise<EmbeddedDns> {
    const at = parseHostPort(o.listen ?? DEFAULT_LISTEN, 'listen')
    const data = new Data()
    const journal = await Journal.open(ctx, set => data.set(set.owner, set.records), {
      signal: ctx.signal,
      reserve: true,
    })
    const dns = new EmbeddedDns(ctx, o, data, journal)
    dns.#responder = new Responder({
      zones: dns.zones,
      address: dns.#address,
      data,
      generation: () => journal.generation,
    })
    dns.#server = await DnsServer.listen(at, (question, client, tcp) => dns.#handle(question, client, tcp))
    ctx.log.info({ host: dns.#server.host, port: dns.#server.port, zones: dns.zones }, 'DNS server listens')
    return dns
  }

  get server(): { readonly host: string; readonly port: number } {
    const { host, port } = this.#server
    // Nobody can ask the address that stands for all addresses.
    return { host: host === '0.0.0.0' || host === '::' ? this.#address : host, port }
  }

  async apply(changes: readonly OwnerSet[], c: Call): Promise<{ readonly generation: string }> {
    this.#open()
    const checked = checkChanges(
      changes,
      this.zones,
      owner => !this.#keys && owner.split('.').includes('_fnapkey'),
    ).filter(set => set.zone === undefined || set.zone === zoneOf(set.owner, this.zones))
    // What was filtered out delegates a zone from this server to itself: it answers for both anyway.
    if (checked.length === 0) return { generation: String(this.#journal.generation) }
    c.signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ changes: checked, resolve, reject })
      this.#working ??= this.#work()
    })
  }

  async read(owner: string, _c: Call): Promise<readonly DnsRecord[]> {
    this.#open()
    if (!zoneOf(owner, this.zones)) throw new FnaError('FNA_ERR_FOREIGN', `${owner} is in none of the zones`)
    return this.#data.get(owner)
  }

  async health() {
    const ok = !this.#closed && this.#server.listening
    return ok ? { ok } : { ok, detail: 'the DNS server does not listen' }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#working
    await this.#journal.settled()
    await this.#server.close()
  }

  #open(): void {
    if (this.#closed) throw new FnaError('FNA_ERR_CLOSED', 'the DNS server is closed')
  }

  /** Those who wait while one change is written are written together, in their order. */
  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        const merged = new Map(batch.flatMap(w => w.changes.map(set => [set.owner, set] as const)))
        const changes = [...merged.values()]
        // Names follow what the kernel keeps, which is bounded there: on a full store too they must come and go.
        const call = { signal: this.#ctx.signal, reserve: true }
        const generation = String(await this.#journal.commit(changes, call))
        for (const { owner, records } of changes) this.#data.set(owner, records)
        for (const w of batch) w.resolve({ generation })
      } catch (e) {
        for (const w of batch) w.reject(e)
      }
    }
    // In the same turn as the last look: who comes later begins anew.
    this.#working = null
  }

  async #handle(question: Buffer, client: string, tcp: boolean): Promise<Buffer | null> {
    const q = readQuery(question)
    if (!q) return null
    const limited = tcp || isLoopback(client) ? 'send' : this.#limiter.decide(client)
    if (limited === 'drop') return null
    if ('rcode' in q) return encodeRefusal(q.id, q.rcode)
    const limit = tcp ? 65_535 : udpSize(q)
    if (limited === 'truncate') return encodeResponse(q, { ...empty(RCODE.NOERROR), truncated: true }, limit)
    if (q.edns && q.edns.version > 0) return encodeResponse(q, empty(RCODE.BADVERS), limit)
    const zone = this.#responder.zoneFor(q)
    if (zone) return encodeResponse(q, this.#responder.respond(q, zone), limit)
    return this.#elsewhere(q, question, client, tcp)
  }

  async #elsewhere(q: Query, question: Buffer, client: string, tcp: boolean): Promise<Buffer> {
    const target = this.#forwards.targetFor(q.labels.join('.'), client)
    if (!target) return encodeResponse(q, empty(RCODE.REFUSED))
    return (await relay(question, target, tcp)) ?? encodeResponse(q, empty(RCODE.SERVFAIL))
  }
}
