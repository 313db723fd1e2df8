import type { Call } from '@fnaa/core/plugin'
import { type Batch, clampTimestamps } from '@fnaa/protocol'
import { settingsOf } from './settings.js'
import type { Topic } from './topic.js'
import { translated } from './translated.js'

const DAY = 86_400_000
/** Milliseconds after which a topic's settings are asked for again, where they are of use. */
const FRESH_MS = 60_000
/** Milliseconds that the broker's clock may differ from ours, and a batch may be under way. */
const SKEW_MS = 60_000

const LIFE = 'retention.ms'
const CLEANUP = 'cleanup.policy'
const STAMP = 'message.timestamp.type'
const BEFORE = 'message.timestamp.before.max.ms'
const AFTER = 'message.timestamp.after.max.ms'
/** Both of them before Kafka 3.6. */
const AWAY = 'message.timestamp.difference.max.ms'
const NAMES = [LIFE, CLEANUP, STAMP, BEFORE, AFTER, AWAY]

/** How old, and how far ahead, an event of a topic may be, in milliseconds. */
interface Bounds {
  readonly past: number
  readonly future: number
}

/** Where a topic's settings may not be asked for: how long it keeps events is not known, and Kafka 4 takes none an hour ahead. */
const UNKNOWN: Bounds = { past: Number.POSITIVE_INFINITY, future: 3_600_000 - SKEW_MS }

/**
 * What times of events a topic keeps. Those of a stranger's that it does not keep are moved to the edge of what it does
 * (hardening H32): events of 1970 beside events of now make Kafka roll a segment for each, and one of the year 3000 outlives every
 * retention. Kafka 4 also refuses batches that are an hour ahead, which would hold up all that follows.
 */
export class Retention {
  readonly #at: Topic
  #bounds: Bounds
  #asked = performance.now()

  private constructor(at: Topic, bounds: Bounds) {
    this.#at = at
    this.#bounds = bounds
  }

  static async of(at: Topic, c: Call): Promise<Retention> {
    return new Retention(at, await at.cluster.retry(() => boundsOf(at, c), c))
  }

  /**
   * @param bytes of the batch, as its sink is about to write them
   * @throws FNA_ERR_UNSUPPORTED where time stamps are to be moved in a codec that is not here; FNA_ERR_CORRUPT, FNA_ERR_TOO_LARGE
   */
  held({ oldest, newest }: Batch, bytes: Uint8Array, now = Date.now()): Uint8Array {
    if (oldest === undefined) return bytes
    if (performance.now() - this.#asked > FRESH_MS) void this.#ask()
    const range = { oldest: now - this.#bounds.past, newest: now + this.#bounds.future }
    if (oldest >= range.oldest && newest <= range.newest) return bytes
    try {
      return clampTimestamps(bytes, range)
    } catch (e) {
      throw translated(e, `events of topic ${this.#at.topic} are older or newer than it keeps`)
    }
  }

  async #ask(): Promise<void> {
    this.#asked = performance.now()
    // Nobody waits for it, and it is asked for again.
    this.#bounds = await boundsOf(this.#at, { signal: this.#at.cluster.signal }).catch(() => this.#bounds)
  }
}

async function boundsOf(at: Topic, c: Call): Promise<Bounds> {
  const values = await settingsOf(at, NAMES, c)
  if (!values) {
    at.host.log.debug(
      { topic: at.topic },
      'the settings of the topic may not be asked for: how old its events may be is not known',
    )
    return UNKNOWN
  }
  const ms = (name: string) => {
    const value = Number(values.get(name) ?? -1)
    return value >= 0 ? value : Number.POSITIVE_INFINITY
  }
  const life = values.get(CLEANUP)?.includes('delete') === false ? Number.POSITIVE_INFINITY : ms(LIFE)
  const refused = (name: string) => Math.max(0, Math.min(ms(name), ms(AWAY)) - SKEW_MS)
  // Its broker's own time takes the place of theirs.
  if (values.get(STAMP) === 'LogAppendTime') return { past: Number.POSITIVE_INFINITY, future: Number.POSITIVE_INFINITY }
  return { past: Math.min(life, refused(BEFORE)), future: Math.min(DAY, refused(AFTER)) }
}
