import {
  type Call,
  type Ctx,
  checkChanges,
  type DnsService,
  FnaError,
  type Health,
  type OwnerSet,
  zoneOf,
} from '@fnaa/core/plugin'
import { type DnsRecord, isReservedOwner } from '@fnaa/protocol'
import { Authority } from './authority.js'
import { type DnsBindOptions, keySource, parseServer, parseZones, zoneKeySource } from './options.js'
import { ZoneWriter } from './zone-writer.js'

const TIMEOUT_MS = 5000

/** Figure 10 by RFC 2136: register and update write whole owners' sets, unregister takes them away, resolve asks the server. */
export class BindDns implements DnsService {
  readonly zones: readonly string[]
  readonly server: { readonly host: string; readonly port: number }
  readonly #authority: Authority
  readonly #writers: ReadonlyMap<string, ZoneWriter>
  readonly #high: boolean
  #closed = false

  /** @throws FNA_ERR_CONFIG for options that cannot be */
  constructor(ctx: Ctx, o: DnsBindOptions) {
    const ms = o.timeoutMs ?? TIMEOUT_MS
    this.zones = parseZones(o.zones ?? ctx.agent.domains)
    this.server = parseServer(o.server)
    this.#authority = new Authority(this.server, ms)
    const exchange = { server: this.server, key: keySource(o), transport: o.transport ?? 'tcp', ms } as const
    const zoneKey = zoneKeySource(o)
    this.#high = zoneKey !== null
    const parts = { authority: this.#authority, exchange, zoneKey, ctx }
    this.#writers = new Map(this.zones.map(zone => [zone, new ZoneWriter(zone, parts)]))
  }

  /** All or nothing within a zone; zones are written one after the other. */
  async apply(changes: readonly OwnerSet[], c: Call): Promise<{ readonly generation: string }> {
    this.#open()
    const checked = checkChanges(changes, this.zones, owner => isReservedOwner(owner) && !(this.#high && leads(owner)))
    if (!this.#high && checked.some(s => s.zone !== undefined))
      throw new FnaError('FNA_ERR_UNSUPPORTED', 'dns-bind delegates zones with the zone key only: give zoneKeyFile')
    c.signal.throwIfAborted()
    const by = new Map<string, OwnerSet[]>()
    for (const set of checked) {
      const zone = set.zone ?? zoneOf(set.owner, this.zones)!
      by.set(zone, [...(by.get(zone) ?? []), set])
    }
    const generations: string[] = []
    for (const [zone, sets] of by) generations.push(`${zone}/${await this.#writers.get(zone)!.write(sets, c)}`)
    return { generation: generations.join(' ') }
  }

  async read(owner: string, c: Call): Promise<readonly DnsRecord[]> {
    this.#open()
    if (!zoneOf(owner, this.zones)) throw new FnaError('FNA_ERR_FOREIGN', `${owner} is in none of the zones`)
    return (await this.#authority.read([owner], c)).get(owner)!.records
  }

  /** Well is who serves the zones and lets them be written: an update that changes nothing shows both. */
  async health(c: Call): Promise<Health> {
    if (this.#closed) return { ok: false, detail: 'closed' }
    let clock: { clockSeconds?: number } = {}
    const heard = (clockSeconds: number) => {
      clock = { clockSeconds }
    }
    try {
      const one = async (zone: string) => {
        await this.#authority.serves(zone, c)
        await this.#writers.get(zone)!.rehearse(heard, c)
      }
      await Promise.all(this.zones.map(one))
      return { ok: true, ...clock }
    } catch (e) {
      return { ok: false, detail: (e as Error).message, ...clock }
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#writers.values()].map(w => w.idle()))
  }

  #open(): void {
    if (this.#closed) throw new FnaError('FNA_ERR_CLOSED', 'dns-bind is closed')
  }
}

/** `_fnap.<name>` and `_fnap._tcp.<name>`, no other reserved label: what the zone's key may write (hardening H12). */
const leads = (owner: string): boolean => /^_fnap\.(?:_tcp\.)?[a-z0-9][a-z0-9.-]*$/.test(owner)
