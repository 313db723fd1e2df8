import { signalAfter } from '@fnaa/client'
import type { AccessRequest, Credential, Endpoint } from '../contract/broker.js'
import type { Call, Clock, KeyValue } from '../contract/common.js'
import { FnaError } from '../contract/errors.js'
import { same } from '../resources/conditions.js'
import { step } from '../resources/steps.js'
import type { Broker, Brokers } from './brokers.js'

/** What a broker handed out. */
export interface Given {
  readonly endpoint: Endpoint
  readonly credential: Credential | null
}
/** One way in at the broker. Without `given` the broker has been asked, and what it did is not known. */
interface Turn {
  readonly turn: number
  readonly id: string
  readonly request: Omit<AccessRequest, 'id'>
  readonly given?: Given
  /** After a rotation it ends at this time (milliseconds). */
  readonly until?: number
}
interface Record {
  readonly broker: string
  /** The agent's life in which it was written. */
  readonly life: number
  readonly turns: readonly Turn[]
}

/** Milliseconds that one call to a broker may take. What a preempted look began is not called off: it is waited for. */
const CALL_MS = 30_000
const PAGE = 500

/**
 * Ways in at brokers, for subscribers and for own applications: what was handed out is kept sealed, so that a repeat gets the
 * same. That a broker is about to be asked is durable before it is asked, so nothing is ever given that cannot be taken away.
 */
export class BrokerAccess {
  readonly #brokers: Brokers
  readonly #secrets: KeyValue
  readonly #clock: Clock
  readonly #life: number
  readonly #booted: number
  readonly #busy = new Map<string, Promise<unknown>>()

  constructor(brokers: Brokers, secrets: KeyValue, clock: Clock, life: number) {
    this.#brokers = brokers
    this.#secrets = secrets
    this.#clock = clock
    this.#life = life
    this.#booted = clock.now()
  }

  /** What stands, the newest. */
  async of(key: string, c: Call): Promise<Given | undefined> {
    return (await this.#read(key, c))?.turns.at(-1)?.given
  }

  /**
   * The way in for a key (a uid: hardening H1); the same again and again. A higher `turn` makes another one, and the one before
   * ends after `overlapMs`.
   */
  grant(
    key: string,
    broker: Broker,
    request: Omit<AccessRequest, 'id'>,
    opt: { readonly turn: number; readonly overlapMs: number },
    c: Call,
  ): Promise<Given> {
    return this.#alone(key, async () => {
      const record = await this.#read(key, c)
      const now = record?.turns.at(-1)
      // Where the broker is may have changed since.
      const { servers } = broker.service.internal(request.queue).endpoint
      const stands = now?.given && same(now.request, request) && same(now.given.endpoint.servers, servers)
      if (now?.given && stands && now.turn >= opt.turn) return now.given
      const fresh = !now || now.turn < opt.turn
      const id = fresh ? `${key}-${opt.turn}` : now.id
      const turn = { turn: fresh ? opt.turn : now.turn, id, request }
      const old = (record?.turns ?? [])
        .filter(t => t.id !== id)
        .map(t => ({ ...t, until: t.until ?? this.#clock.now() + opt.overlapMs }))
      const next = { broker: broker.id, life: this.#life, turns: [...old, turn] }
      await this.#keep(key, next, c)
      step('access.stored')
      const given = await broker.service.grant({ id, ...request }, { signal: signalAfter(CALL_MS) })
      step('access.granted')
      await this.#keep(key, { ...next, turns: [...old, { ...turn, given }] }, c)
      return given
    })
  }

  /**
   * Takes everything of a key away. @returns milliseconds after which it has to be done once more, as a call of an earlier life
   * may still land (federation rule 14); else nothing
   */
  revoke(key: string, c: Call): Promise<number | undefined> {
    return this.#alone(key, async () => {
      const record = await this.#read(key, c)
      if (!record) return undefined
      for (const t of record.turns) await this.#take(record, t.id)
      const open = record.life !== this.#life && record.turns.some(t => !t.given)
      const left = this.#booted + CALL_MS - this.#clock.now()
      if (open && left > 0) return left
      await this.#secrets.delete(at(key), {}, c)
      return undefined
    })
  }

  /** Ends what has been rotated out. */
  async expire(c: Call): Promise<void> {
    let after: string | undefined
    for (;;) {
      const page = await this.#secrets.list(at(''), { limit: PAGE, ...(after === undefined ? {} : { after }) }, c)
      for (const [name] of page) await this.#expire(name.slice(at('').length), c)
      after = page.at(-1)?.[0]
      if (page.length < PAGE || after === undefined) return
    }
  }

  #expire(key: string, c: Call): Promise<void> {
    return this.#alone(key, async () => {
      const record = await this.#read(key, c)
      const over = (t: Turn) => t.until !== undefined && t.until <= this.#clock.now()
      if (!record?.turns.some(over)) return
      for (const t of record.turns) if (over(t)) await this.#take(record, t.id)
      await this.#keep(key, { ...record, turns: record.turns.filter(t => !over(t)) }, c)
    })
  }

  async #take(record: Record, id: string): Promise<void> {
    const broker = this.#brokers.operated.get(record.broker)
    if (!broker) throw new FnaError('FNA_ERR_UNSUPPORTED', `the config has no broker '${record.broker}' any more`)
    await broker.service.revoke(id, { signal: signalAfter(CALL_MS) })
  }

  async #read(key: string, c: Call): Promise<Record | null> {
    const entry = await this.#secrets.get(at(key), c)
    return entry ? (JSON.parse(Buffer.from(entry.value).toString()) as Record) : null
  }

  async #keep(key: string, record: Record, c: Call): Promise<void> {
    await this.#secrets.put(at(key), Buffer.from(JSON.stringify(record)), {}, c)
  }

  /** One thing at a time for a key, also where who asked does not wait any more. */
  async #alone<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(key)
    const run = (async () => {
      await before?.catch(() => undefined)
      return work()
    })()
    this.#busy.set(key, run)
    try {
      return await run
    } finally {
      if (this.#busy.get(key) === run) this.#busy.delete(key)
    }
  }
}

const at = (key: string) => `access/${key}`
