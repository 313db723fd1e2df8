import { TTL } from '@fnaa/protocol'
import type { Call, KeyValue } from '../contract/common.js'
import { isFna } from '../contract/errors.js'
import type { Kernel } from '../kernel.js'

/** A name under which the agent was known, and when nobody can remember it any more (milliseconds of the clock). */
interface Past {
  readonly host: string
  readonly until: number
}
interface Kept {
  readonly host: string
  readonly past: readonly Past[]
}
const KEY = 'announced'
/** After it has gone from DNS, a record lives on in caches for its time, and in theirs who asked them just before. */
const REMEMBERED_MS = 2 * TTL * 1000

/**
 * Under which name this agent has told others that it is. Another name takes its place at once, in all that leads to the agent; the
 * old name's own records go when nobody can still be on the way there: an agent that stays behind sends them on (`421 MOVED`).
 */
export class Announcement {
  readonly #k: Kernel
  readonly #state: KeyValue

  constructor(kernel: Kernel) {
    this.#k = kernel
    this.#state = kernel.store.bucket('plugin:~names')
  }

  /** Notes the name of now. Before it is written into DNS: what was written is always known. */
  async note(c: Call): Promise<void> {
    const { host } = this.#k.registrar.agent
    const kept = await this.#kept(c)
    if (kept?.host === host && kept.past.every(p => p.host !== host)) return
    const until = this.#k.clock.now() + REMEMBERED_MS
    const before = kept && kept.host !== host ? [{ host: kept.host, until }] : []
    const past = [...(kept?.past ?? []), ...before].filter(p => p.host !== host)
    await this.#put({ host, past }, c)
  }

  /** Takes away names that nobody can remember any more. */
  async retire(c: Call): Promise<void> {
    const kept = await this.#kept(c)
    const due = kept?.past.filter(p => p.until <= this.#k.clock.now()) ?? []
    for (const { host } of due) {
      try {
        await this.#k.registrar.forgetHost(host, c)
      } catch (err) {
        // Not ours to write, or in other hands by now: its operator's.
        if (!isFna(err, 'FNA_ERR_EXISTS') && !isFna(err, 'FNA_ERR_UNSUPPORTED')) throw err
        this.#k.log.warn({ host, err }, 'the old name of this agent is for the operator to remove')
      }
    }
    if (kept && due.length > 0) await this.#put({ ...kept, past: kept.past.filter(p => !due.includes(p)) }, c)
  }

  async #kept(c: Call): Promise<Kept | null> {
    const entry = await this.#state.get(KEY, c)
    return entry ? (JSON.parse(Buffer.from(entry.value).toString()) as Kept) : null
  }

  async #put(kept: Kept, c: Call): Promise<void> {
    await this.#state.put(KEY, Buffer.from(JSON.stringify(kept)), {}, c)
  }
}
