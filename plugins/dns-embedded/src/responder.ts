import { zoneOf } from '@fnaa/core/plugin'
import { type DnsRecord, isWithin } from '@fnaa/protocol'
import type { Answer } from 'dns-packet'
import type { Data } from './data.js'
import { empty, type Query, RCODE, type Response } from './message.js'
import { anyAnswer, builtIn, NEGATIVE_TTL, nameserverOf, rrset, soa, TYPE, type Zone } from './records.js'

export interface ResponderOptions {
  readonly zones: readonly string[]
  readonly address: string
  readonly data: Data
  /** The generation of the data: SOA's serial. */
  readonly generation: () => number
}

const CLASS_IN = 1
const USUAL = /^[a-z0-9_-]+$/

/** Answers from the zones' data, with authority (RFC 1034 §4.3.2). No I/O. */
export class Responder {
  readonly #opt: ResponderOptions

  constructor(opt: ResponderOptions) {
    this.#opt = opt
  }

  /** The zone that answers a question, or null: outside all of them. DS lies above the cut that it speaks of. */
  zoneFor(q: Query): string | null {
    // Labels with other bytes (a dot among them) are compared as labels, never as text.
    const name = q.labels.every(label => USUAL.test(label)) ? q.labels.join('.') : suffixOf(q.labels)
    const above =
      q.type === TYPE.DS
        ? zoneOf(
            name,
            this.#opt.zones.filter(zone => zone !== name),
          )
        : null
    return above ?? zoneOf(name, this.#opt.zones)
  }

  respond(q: Query, zoneName: string): Response {
    if (q.class !== CLASS_IN || q.type === TYPE.AXFR || q.type === TYPE.IXFR) return empty(RCODE.REFUSED)
    const zone: Zone = { name: zoneName, address: this.#opt.address, serial: this.#opt.generation() >>> 0 }
    if (!q.labels.every(label => USUAL.test(label))) return this.#negative(zone, RCODE.NXDOMAIN)
    const name = q.labels.join('.')
    const cut = this.#cutAbove(name, zone.name, q.type)
    if (cut) return this.#referral(cut)
    const records = this.#recordsAt(zone, name)
    if (records.length === 0 && !this.#exists(zone, name)) return this.#negative(zone, RCODE.NXDOMAIN)
    const answers = this.#select(zone, name, records, q.type)
    if (answers.length === 0) return this.#negative(zone, RCODE.NOERROR)
    return { ...empty(RCODE.NOERROR, true), answers, additionals: this.#addressesFor(zone, answers) }
  }

  #recordsAt(zone: Zone, name: string): readonly DnsRecord[] {
    const written = this.#opt.data.get(name)
    return [...written, ...builtIn(zone, name, written)]
  }

  #exists(zone: Zone, name: string): boolean {
    return name === zone.name || this.#opt.data.exists(name) || this.#opt.zones.some(z => isWithin(z, name))
  }

  #select(zone: Zone, name: string, records: readonly DnsRecord[], type: number): Answer[] {
    if (type === TYPE.ANY) return records.length > 0 ? [anyAnswer(name)] : []
    if (type === TYPE.SOA) return name === zone.name ? [soa(zone)] : []
    return rrset(records, type)
  }

  #negative(zone: Zone, rcode: number): Response {
    return { ...empty(rcode, true), authorities: [soa(zone, NEGATIVE_TTL)] }
  }

  /** The delegation nearest to the apex at or above `name`; the apex itself is none, and DS is answered above the cut. */
  #cutAbove(name: string, zone: string, type: number): string | null {
    const labels = name === zone ? [] : name.slice(0, -zone.length - 1).split('.')
    for (let i = labels.length - 1; i >= 0; i--) {
      const at = `${labels.slice(i).join('.')}.${zone}`
      if (at === name && type === TYPE.DS) return null
      if (this.#opt.data.get(at).some(r => r.type === 'NS')) return at
    }
    return null
  }

  #referral(cut: string): Response {
    const records = this.#opt.data.get(cut)
    const authorities = [...rrset(records, TYPE.NS), ...rrset(records, TYPE.DS)]
    const targets = records.flatMap(r => (r.type === 'NS' ? [r.target] : []))
    const glue = targets.flatMap(target => addresses(this.#opt.data.get(target)))
    return { ...empty(RCODE.NOERROR), authorities, additionals: glue }
  }

  /** Addresses of the hosts that an answer names, where we have them: saves a question (RFC 2782). */
  #addressesFor(zone: Zone, answers: readonly Answer[]): Answer[] {
    const targets = new Set<string>()
    for (const a of answers) {
      if (a.type === 'SRV') targets.add(a.data.target)
      else if (a.type === 'NS') targets.add(a.data)
    }
    return [...targets].flatMap(target =>
      target === nameserverOf(zone.name) || isWithin(target, zone.name) ? addresses(this.#recordsAt(zone, target)) : [],
    )
  }
}

const addresses = (records: readonly DnsRecord[]): Answer[] => [...rrset(records, TYPE.A), ...rrset(records, TYPE.AAAA)]

/** The labels from the last unusual one on are dropped: which zone the name lies in does not depend on them. */
function suffixOf(labels: readonly string[]): string {
  const last = labels.findLastIndex(label => !USUAL.test(label))
  return labels.slice(last + 1).join('.')
}
