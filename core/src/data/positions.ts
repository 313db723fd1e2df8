import type { Position } from '@fnaa/protocol'
import type { Call, KeyValue } from '../contract/common.js'

/**
 * Where readers stand: subscribers (by uid) and named cursors of READ. Moving one is cheap and may be lost in a crash, which
 * repeats events and loses none; making one is durable.
 */
export class Positions {
  readonly #bucket: KeyValue
  readonly #dirty = new Map<string, Position>()
  readonly #known = new Map<string, Position>()
  #writing: Promise<void> | null = null

  constructor(bucket: KeyValue) {
    this.#bucket = bucket
  }

  async get(key: string, c: Call): Promise<Position | null> {
    const known = this.#known.get(key)
    if (known) return known
    const entry = await this.#bucket.get(`at/${key}`, c)
    if (!entry) return null
    const position = JSON.parse(Buffer.from(entry.value).toString()) as Position
    this.#known.set(key, position)
    return position
  }

  async put(key: string, position: Position, c: Call): Promise<void> {
    this.#known.set(key, position)
    this.#dirty.delete(key)
    await this.#bucket.put(`at/${key}`, Buffer.from(JSON.stringify(position)), {}, c)
  }

  /** Moves one shard; written behind, many at once. */
  move(key: string, epoch: string, shard: string, cursor: string): void {
    const old = this.#known.get(key)
    const shards = old?.epoch === epoch ? old.shards : {}
    const position = { epoch, shards: { ...shards, [shard]: cursor } }
    this.#known.set(key, position)
    this.#dirty.set(key, position)
    // A full store loses the move, not the agent: events are repeated then.
    this.#writing ??= this.#write()
      .catch(() => undefined)
      .finally(() => {
        this.#writing = null
      })
  }

  async delete(key: string, c: Call): Promise<void> {
    this.#known.delete(key)
    this.#dirty.delete(key)
    await this.#bucket.delete(`at/${key}`, {}, c)
  }

  /** The highest epoch of a reader's runs that was let in; a lower one is refused (federation rule 8). */
  async fence(key: string, epoch: number, c: Call): Promise<boolean> {
    const entry = await this.#bucket.get(`epoch/${key}`, c)
    const seen = entry ? Number(Buffer.from(entry.value).toString()) : 0
    if (epoch < seen) return false
    if (epoch > seen) await this.#bucket.put(`epoch/${key}`, Buffer.from(String(epoch)), {}, c)
    return true
  }

  async flush(): Promise<void> {
    while (this.#writing) await this.#writing
  }

  async #write(): Promise<void> {
    const c = { signal: new AbortController().signal }
    while (this.#dirty.size > 0) {
      const batch = [...this.#dirty]
      this.#dirty.clear()
      await Promise.all(
        batch.map(([k, p]) => this.#bucket.put(`at/${k}`, Buffer.from(JSON.stringify(p)), { durable: false }, c)),
      )
    }
  }
}
