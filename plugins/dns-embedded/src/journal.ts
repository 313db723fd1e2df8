import type { Call, Ctx, OwnerSet } from '@fnaa/core/plugin'

const SET = 'set/'
const ENTRY = 'journal/'
const GENERATION = 'generation'
const PAGE = 500

interface JournalEntry {
  readonly generation: number
  readonly changes: readonly OwnerSet[]
}

/**
 * Makes a change of several owners one act on a store that writes one key at a time: the change is written whole as a
 * journal entry, which is the moment it counts, then carried over to a key for each owner. After a crash the entries
 * that remain are carried over again, in their order.
 */
export class Journal {
  readonly #ctx: Ctx
  #generation = 0
  readonly #waiting: JournalEntry[] = []
  #folding: Promise<void> = Promise.resolve()

  private constructor(ctx: Ctx) {
    this.#ctx = ctx
  }

  /** Reads everything; `load` gets each owner's set as it stands, later ones over earlier ones. */
  static async open(ctx: Ctx, load: (set: OwnerSet) => void, c: Call): Promise<Journal> {
    const journal = new Journal(ctx)
    const kept = await ctx.state.get(GENERATION, c)
    journal.#generation = kept ? Number(text(kept.value)) : 0
    for await (const [key, value] of journal.#all(SET, c))
      load({ owner: key.slice(SET.length), records: JSON.parse(value) })
    const left: JournalEntry[] = []
    for await (const [key, value] of journal.#all(ENTRY, c)) {
      left.push({ generation: Number(key.slice(ENTRY.length)), changes: JSON.parse(value) })
    }
    for (const entry of left) {
      for (const set of entry.changes) load(set)
      journal.#generation = Math.max(journal.#generation, entry.generation)
      await journal.#fold(entry, c)
    }
    return journal
  }

  get generation(): number {
    return this.#generation
  }

  /** Resolves when the change is on disk. One at a time: the caller waits for each. */
  async commit(changes: readonly OwnerSet[], c: Call): Promise<number> {
    const generation = this.#generation + 1
    const key = entryKey(generation)
    const value = bytes(changes)
    try {
      await this.#ctx.state.put(key, value, { ifRevision: null }, c)
    } catch (e) {
      // The write may have been done all the same: then it counts, and is to be served.
      const written = await this.#ctx.state.get(key, c)
      if (!written || !Buffer.from(written.value).equals(value)) throw e
    }
    this.#generation = generation
    this.#waiting.push({ generation, changes })
    this.#folding = this.#folding.then(() => this.#foldWaiting())
    return generation
  }

  /** Resolves when nothing is being carried over. */
  async settled(): Promise<void> {
    await this.#folding
  }

  /** In order, and no further than the first that fails: an entry carried over late must not undo a newer one. */
  async #foldWaiting(): Promise<void> {
    for (let entry = this.#waiting[0]; entry; entry = this.#waiting[0]) {
      try {
        await this.#fold(entry, { signal: this.#ctx.signal, reserve: true })
      } catch (e) {
        this.#ctx.log.warn({ generation: entry.generation, error: (e as Error).message }, 'a DNS journal entry waits')
        return
      }
      this.#waiting.shift()
    }
  }

  async #fold({ generation, changes }: JournalEntry, c: Call): Promise<void> {
    await Promise.all(changes.map(set => this.#write(set, c)))
    await this.#ctx.state.put(GENERATION, Buffer.from(String(generation)), {}, c)
    // Last: until here a crash begins again with this entry.
    await this.#ctx.state.delete(entryKey(generation), {}, c)
  }

  async #write({ owner, records }: OwnerSet, c: Call): Promise<void> {
    if (records.length === 0) await this.#ctx.state.delete(SET + owner, {}, c)
    else await this.#ctx.state.put(SET + owner, bytes(records), {}, c)
  }

  async *#all(prefix: string, c: Call): AsyncGenerator<readonly [string, string]> {
    for (let after: string | undefined; ; ) {
      const page = await this.#ctx.state.list(prefix, { limit: PAGE, ...(after === undefined ? {} : { after }) }, c)
      for (const [key, entry] of page) yield [key, text(entry.value)] as const
      after = page.at(-1)?.[0]
      if (page.length < PAGE) return
    }
  }
}

/** Sixteen digits, so that entries sort by their number. */
const entryKey = (generation: number): string => ENTRY + String(generation).padStart(16, '0')
const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value), 'utf8')
const text = (value: Uint8Array): string => Buffer.from(value).toString('utf8')
