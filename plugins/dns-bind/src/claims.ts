import type { Call, Ctx, OwnerSet } from '@fnaa/core/plugin'
import type { DnsRecord } from '@fnaa/protocol'

const PREFIX = 'owner/'
const OURS = Buffer.from('ours')

/**
 * Which names are ours, kept beside DNS: nothing in a zone says who wrote it. A name that is about to be made is kept with what
 * it shall hold, so that after a crash in between it is ours if that stands there, and nobody's business if something else does.
 */
export class Claims {
  readonly #ctx: Ctx
  readonly #ours = new Set<string>()

  constructor(ctx: Ctx) {
    this.#ctx = ctx
  }

  /**
   * May a name be written where these records stand?
   * @param wanted what shall stand there: a name that holds exactly that is taken for ours, whoever forgot it
   */
  async holds(owner: string, records: readonly DnsRecord[], wanted: readonly DnsRecord[], c: Call): Promise<boolean> {
    if (records.length === 0 || this.#ours.has(owner)) return true
    const kept = await this.#ctx.state.get(PREFIX + owner, c)
    const value = kept ? Buffer.from(kept.value) : null
    const settled = value?.equals(OURS) ?? false
    const text = value?.toString()
    if (!settled && text !== digest(records) && digest(records) !== digest(wanted)) return false
    if (!settled) await this.#ctx.state.put(PREFIX + owner, OURS, {}, c)
    this.#ours.add(owner)
    return true
  }

  /** Was it made here, or about to be? */
  async has(owner: string, c: Call): Promise<boolean> {
    return this.#ours.has(owner) || (await this.#ctx.state.get(PREFIX + owner, c)) !== null
  }

  /** Before an update. */
  async take(sets: readonly OwnerSet[], c: Call): Promise<void> {
    const fresh = sets.filter(s => s.records.length > 0 && !this.#ours.has(s.owner))
    await Promise.all(fresh.map(s => this.#ctx.state.put(PREFIX + s.owner, Buffer.from(digest(s.records)), {}, c)))
  }

  /** After one that was made. */
  async settle(sets: readonly OwnerSet[], c: Call): Promise<void> {
    await Promise.all(
      sets.map(async ({ owner, records }) => {
        if (records.length === 0) {
          this.#ours.delete(owner)
          await this.#ctx.state.delete(PREFIX + owner, {}, c).catch(() => undefined)
        } else if (!this.#ours.has(owner)) {
          this.#ours.add(owner)
          await this.#ctx.state.put(PREFIX + owner, OURS, {}, c)
        }
      }),
    )
  }
}

/** The same for the same records, whatever their order. */
const digest = (records: readonly DnsRecord[]): string =>
  JSON.stringify(records.map(r => JSON.stringify(r, Object.keys(r).sort())).sort())
