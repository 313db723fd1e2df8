import { type Call, type Ctx, FnaError, isFna, type OwnerSet } from '@fnaa/core/plugin'
import { type DnsRecord, isReservedOwner, isWithin } from '@fnaa/protocol'
import type { Authority, Standing } from './authority.js'
import { Claims } from './claims.js'
import { Cuts } from './cuts.js'
import { type ExchangeOptions, sendUpdate } from './exchange.js'
import type { TsigKey } from './tsig.js'
import type { Change, Prerequisite, Update } from './update.js'

/** Owners in one update. */
const MOST_OWNERS = 100
/** Bytes of records in one update, about: a message over TCP has 65,535. */
const MOST_BYTES = 30_000
const TRIES = 5
const GENERATION_TTL = 30

interface Waiting {
  readonly sets: readonly OwnerSet[]
  readonly signal: AbortSignal
  resolve(generation: string): void
  reject(e: unknown): void
}

/**
 * Writes one zone, one update at a time. Changes that wait meanwhile go together into the next.
 *
 * Every update carries the generation that it follows: a replayed one, and one of another agent that did not see ours, meets
 * another generation and does nothing. What else it expects stands in it too, so nothing is overwritten unseen.
 */
export class ZoneWriter {
  readonly #zone: string
  readonly #authority: Authority
  readonly #exchange: ExchangeOptions
  readonly #zoneKey: (() => Promise<TsigKey>) | null
  readonly #claims: Claims
  readonly #cuts: Cuts
  readonly #ctx: Ctx
  /** What stands at the server, as far as it is known for sure. */
  readonly #known = new Map<string, readonly DnsRecord[]>()
  /** Undefined: not known. Null: the zone has none yet. */
  #generation: string | null | undefined
  #waiting: Waiting[] = []
  #working: Promise<void> | null = null

  /** @param parts.zoneKey signs what the flows' key should not write; null: that one signs everything */
  constructor(
    zone: string,
    parts: { authority: Authority; exchange: ExchangeOptions; zoneKey: (() => Promise<TsigKey>) | null; ctx: Ctx },
  ) {
    this.#zone = zone
    this.#authority = parts.authority
    this.#exchange = parts.exchange
    this.#ctx = parts.ctx
    this.#zoneKey = parts.zoneKey
    this.#claims = new Claims(parts.ctx)
    this.#cuts = new Cuts(zone, parts.ctx)
  }

  /** Resolves with the zone's generation when the server has made the change. */
  write(sets: readonly OwnerSet[], c: Call): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ sets, signal: c.signal, resolve, reject })
      this.#working ??= this.#work()
    })
  }

  /**
   * An update that changes nothing: it writes the generation as it stands. So the server takes our keys, and they may write.
   * @param heard told how many seconds the server's clock is ahead of ours
   * @throws what an update would meet: FNA_ERR_UNAVAILABLE, FNA_ERR_CONFIG, FNA_ERR_EXISTS
   */
  async rehearse(heard: (ahead: number) => void, c: Call): Promise<void> {
    const name = `_gen.${this.#zone}`
    const now = generationOf((await this.#authority.read([name], c)).get(name)!, name)
    const update: Update =
      now === null
        ? { zone: this.#zone, prerequisites: [{ unused: name }], changes: [{ remove: name, type: 'TXT' }] }
        : { zone: this.#zone, prerequisites: [{ exactly: [stamp(name, now)] }], changes: [{ add: stamp(name, now) }] }
    const zoneKey = this.#zoneKey
    for (const key of zoneKey ? [this.#exchange.key, zoneKey] : [this.#exchange.key])
      await sendUpdate(update, { ...this.#exchange, key, heard }, c)
  }

  async idle(): Promise<void> {
    await this.#working
  }

  async #work(): Promise<void> {
    // Calls of the same moment go together, the first ones too.
    await Promise.resolve()
    while (this.#waiting.length > 0) await this.#write(this.#take())
    // In the same turn as the last look: who comes later begins anew.
    this.#working = null
  }

  #take(): Waiting[] {
    const group: Waiting[] = []
    const owners = new Set<string>()
    let bytes = 0
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      bytes += sizeOf(next.sets)
      for (const set of next.sets) owners.add(set.owner)
      // A delegation goes alone: what stands there is guessed, and a wrong guess fails the whole update.
      const full = owners.size > MOST_OWNERS || bytes > MOST_BYTES || next.sets.some(isCut)
      if (group.length > 0 && full) break
      group.push(this.#waiting.shift()!)
      if (next.sets.some(isCut)) break
    }
    return group
  }

  /** Settles every call of the group. */
  async #write(group: readonly Waiting[]): Promise<void> {
    let left = group.filter(w => {
      if (w.signal.aborted) w.reject(w.signal.reason)
      return !w.signal.aborted
    })
    // Names follow what the kernel keeps, which is bounded there: on a full store too they must come and go.
    const c: Call = { signal: this.#ctx.signal, reserve: true }
    const cuts = merged(left).filter(isCut)
    const guesses = cuts.length > 0 ? await this.#cuts.guesses(cuts, c) : []
    for (let tries = 0; left.length > 0; tries++) {
      try {
        // What stands at a cut is tried out.
        for (const { owner } of cuts) this.#known.set(owner, guesses[tries % guesses.length]![owner] ?? [])
        left = await this.#refuse(left, tries > 0, c)
        if (left.length === 0) return
        const generation = await this.#attempt(merged(left), c)
        if (generation !== null) {
          for (const w of left) w.resolve(generation)
          return
        }
        if (tries >= TRIES && cuts.length > 0) throw occupied(cuts[0]!.owner)
        if (tries >= TRIES)
          throw new FnaError('FNA_ERR_UNAVAILABLE', `the zone ${this.#zone} is changed by others all the time`)
        this.#forget(left)
      } catch (e) {
        this.#forget(left)
        const refused = isFna(e) && / REFUSED /.test(e.message)
        // Perhaps because of what stands there: what is not ours is said first.
        if (refused && tries === 0) continue
        if (left.length === 1 || !refused) {
          for (const w of left) w.reject(e)
          return
        }
        // One of them may not be written: the others have nothing to do with it.
        const half = Math.ceil(left.length / 2)
        await this.#write(left.slice(0, half))
        await this.#write(left.slice(half))
        return
      }
    }
  }

  /**
   * Calls that would overwrite what is not ours are rejected; the others are returned.
   * @param careful an update has failed that was made of what seemed likely
   */
  async #refuse(group: readonly Waiting[], careful: boolean, c: Call): Promise<Waiting[]> {
    const owners = merged(group).map(s => s.owner)
    if (!careful) await this.#presume(owners, c)
    const unseen = owners.filter(owner => !this.#known.has(owner))
    if (unseen.length === 0 && this.#generation !== undefined) return [...group]
    const record = `_gen.${this.#zone}`
    const found = await this.#authority.read([...unseen, record], c, this.#zone)
    this.#generation = generationOf(found.get(record)!, record)
    const taken = new Set<string>()
    for (const owner of unseen) {
      const { records, elsewhere } = found.get(owner)!
      const wanted = merged(group).find(s => s.owner === owner)!.records
      if (elsewhere || !(await this.#claims.holds(owner, records, wanted, c))) taken.add(owner)
      else this.#known.set(owner, records)
    }
    return group.filter(w => {
      const theirs = w.sets.find(s => taken.has(s.owner))
      if (theirs) w.reject(occupied(theirs.owner))
      return !theirs
    })
  }

  /**
   * A name that was never made here is most likely free. Whether it is, the update's own prerequisites say; only what leads away from
   * our zone they cannot see, and that is asked for, once for each name that has the others below it.
   */
  async #presume(owners: readonly string[], c: Call): Promise<void> {
    const unseen = owners.filter(owner => !this.#known.has(owner))
    const kept = await Promise.all(unseen.map(owner => this.#claims.has(owner, c)))
    const fresh = unseen.filter((_, i) => !kept[i])
    const tops = fresh.filter(owner => !fresh.some(top => top !== owner && isWithin(owner, top)))
    if (tops.length === 0) return
    const away = await this.#authority.leadsAway(this.#zone, tops, c)
    for (const owner of fresh) if (!away.some(top => isWithin(owner, top))) this.#known.set(owner, [])
  }

  /** @returns the new generation, or null where something else stood there than was expected */
  async #attempt(sets: readonly OwnerSet[], c: Call): Promise<string | null> {
    const record = `_gen.${this.#zone}`
    const before = this.#generation ?? null
    const next = String(BigInt(before ?? 0) + 1n)
    const prerequisites: Prerequisite[] = [before === null ? { unused: record } : { exactly: [stamp(record, before)] }]
    const changes: Change[] = []
    for (const { owner, records } of sets) {
      const known = this.#known.get(owner) ?? []
      if (known.length === 0) prerequisites.push({ unused: owner })
      for (const [type, of] of byType(known)) {
        prerequisites.push({ exactly: of })
        changes.push({ remove: owner, type })
      }
      changes.push(...records.map(add => ({ add })))
    }
    if (before !== null) changes.push({ remove: record, type: 'TXT' })
    changes.push({ add: stamp(record, next) })
    const cuts = sets.filter(isCut)
    const plain = sets.filter(s => !isCut(s))
    await this.#claims.take(plain, c)
    if (cuts.length > 0) {
      const stood = cuts.map(({ owner }) => [owner, this.#known.get(owner) ?? []] as const)
      await this.#cuts.take(cuts, Object.fromEntries(stood.filter(([, records]) => records.length > 0)), c)
    }
    const update = { zone: this.#zone, prerequisites, changes }
    const rcode = await sendUpdate(update, this.#signed(sets), c)
    if (rcode !== 'NOERROR') return null
    this.#generation = next
    for (const { owner, records } of sets) this.#known.set(owner, records)
    await this.#claims.settle(plain, c)
    if (cuts.length > 0) await this.#cuts.settle(cuts, c)
    return next
  }

  /** The key that may write these: the zone's for what leads elsewhere, the flows' for all else. */
  #signed(sets: readonly OwnerSet[]): ExchangeOptions {
    const leads = (r: DnsRecord) => r.type === 'A' || r.type === 'AAAA' || r.type === 'NS' || r.type === 'DS'
    const high = sets.some(
      s => isCut(s) || isReservedOwner(s.owner) || [...s.records, ...(this.#known.get(s.owner) ?? [])].some(leads),
    )
    return high && this.#zoneKey ? { ...this.#exchange, key: this.#zoneKey } : this.#exchange
  }

  /** What was thought of them, and of the generation, may be wrong. */
  #forget(group: readonly Waiting[]): void {
    this.#generation = undefined
    for (const { owner } of merged(group)) this.#known.delete(owner)
  }
}

/** What a zone says of one below it. */
const isCut = (s: OwnerSet): boolean => s.zone !== undefined

const occupied = (owner: string): FnaError =>
  new FnaError(
    'FNA_ERR_EXISTS',
    `${owner} stands in DNS already and was not made here: it is not overwritten; remove it, or take another name`,
  )

/** Later ones over earlier ones. */
const merged = (group: readonly Waiting[]): OwnerSet[] => [
  ...new Map(group.flatMap(w => w.sets.map(set => [set.owner, set] as const))).values(),
]

const stamp = (name: string, generation: string): DnsRecord => ({
  name,
  ttl: GENERATION_TTL,
  type: 'TXT',
  strings: [generation],
})

/** @throws FNA_ERR_EXISTS where the name has another use */
function generationOf({ records, elsewhere }: Standing, name: string): string | null {
  if (records.length === 0 && !elsewhere) return null
  const [one, more] = records
  const text = one?.type === 'TXT' && one.strings.length === 1 ? one.strings[0]! : ''
  if (elsewhere || more || !/^\d{1,18}$/.test(text))
    throw new FnaError(
      'FNA_ERR_EXISTS',
      `${name} is no generation record of ours: it is where updates of the zone are counted`,
    )
  return text
}

function byType(records: readonly DnsRecord[]): Map<DnsRecord['type'], DnsRecord[]> {
  const out = new Map<DnsRecord['type'], DnsRecord[]>()
  for (const r of records) out.set(r.type, [...(out.get(r.type) ?? []), r])
  return out
}

const sizeOf = (sets: readonly OwnerSet[]): number =>
  sets.reduce((n, s) => n + 4 * s.owner.length + s.records.reduce((m, r) => m + JSON.stringify(r).length, 0), 0)
