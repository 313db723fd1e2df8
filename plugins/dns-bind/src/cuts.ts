import type { Call, Ctx, OwnerSet } from '@fnaa/core/plugin'
import type { DnsRecord } from '@fnaa/protocol'

/** What stands at the owners of a delegation; nothing at those that are not named. */
export type CutState = Readonly<Record<string, readonly DnsRecord[]>>

/** A crash, and others before it: more than that nobody has to remember. */
const MOST = 4

/**
 * What we wrote of a delegation: NS and DS at the cut, addresses below it, always all of it at once. A server that also serves the
 * zone below answers from that one, so what stands in the upper zone cannot be read; what we think is put into the update as a
 * condition instead.
 */
export class Cuts {
  readonly #zone: string
  readonly #ctx: Ctx

  constructor(zone: string, ctx: Ctx) {
    this.#zone = zone
    this.#ctx = ctx
  }

  /** What may stand there, the likeliest first: what we wrote last, what stood before a crash, nothing, what is wanted. */
  async guesses(sets: readonly OwnerSet[], c: Call): Promise<CutState[]> {
    return unique([...(await this.#kept(sets, c)), {}, stateOf(sets)])
  }

  /** Before an update. */
  async take(sets: readonly OwnerSet[], stood: CutState, c: Call): Promise<void> {
    await this.#put(sets, unique([stateOf(sets), stood, ...(await this.#kept(sets, c))]).slice(0, MOST), c)
  }

  /** After one that was made. */
  async settle(sets: readonly OwnerSet[], c: Call): Promise<void> {
    const state = stateOf(sets)
    if (Object.keys(state).length > 0) return this.#put(sets, [state], c)
    await this.#ctx.state.delete(this.#key(sets), {}, c).catch(() => undefined)
  }

  async #kept(sets: readonly OwnerSet[], c: Call): Promise<CutState[]> {
    const entry = await this.#ctx.state.get(this.#key(sets), c)
    return entry ? (JSON.parse(Buffer.from(entry.value).toString()) as CutState[]) : []
  }

  async #put(sets: readonly OwnerSet[], states: readonly CutState[], c: Call): Promise<void> {
    await this.#ctx.state.put(this.#key(sets), Buffer.from(JSON.stringify(states)), {}, c)
  }

  /** By the cut itself: everything else lies below it. */
  #key(sets: readonly OwnerSet[]): string {
    const [cut] = sets.map(s => s.owner).sort((a, b) => a.length - b.length)
    return `cut/${this.#zone}/${cut}`
  }
}

const stateOf = (sets: readonly OwnerSet[]): CutState =>
  Object.fromEntries(sets.filter(s => s.records.length > 0).map(s => [s.owner, s.records]))

const unique = (states: readonly CutState[]): CutState[] => [
  ...new Map(states.map(s => [JSON.stringify(Object.entries(s).sort()), s])).values(),
]
