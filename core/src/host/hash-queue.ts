import type { HashFor } from '../contract/common.js'
import { FnaError } from '../contract/errors.js'
import { networkOf, sourceOf } from '../server/sources.js'
import { Turns } from './turns.js'

export interface HashBounds {
  /** Hashes at once. */
  readonly workers: number
  /** Hashes that may wait from one source (/32 of IPv4, /64 of IPv6), and from everybody. */
  readonly perSource: number
  readonly total: number
}
/** With 100 ms a hash the longest wait stays below the ten seconds that a step of a login has. */
export const HASH_BOUNDS: HashBounds = { workers: 2, perSource: 32, total: 128 }

/** What was asked for without a client behind it: a plugin's admin command. */
const NOBODY = ''

interface Job {
  begin(): void
  refuse(e: Error): void
}

/**
 * Password hashing, two at a time: libuv's four threads also commit the store, and a crowd of logins would hold them all.
 * Networks take turns, and inside a network its addresses: who floods waits behind himself, and everybody else behind two
 * hashes. What the kernel issues itself goes before all of them.
 */
export class HashQueue {
  readonly #bounds: HashBounds
  readonly #own: (() => void)[] = []
  readonly #waiting = new Turns<Job>()
  #busy = 0

  constructor(bounds: HashBounds = HASH_BOUNDS) {
    this.#bounds = bounds
  }

  /** Hashes that wait, those of the kernel's own lane included. */
  get waiting(): number {
    return this.#own.length + this.#waiting.size
  }

  /** For credentials that the kernel makes: in a lane of their own, which no crowd of logins can fill. */
  async own<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy >= this.#bounds.workers) await new Promise<void>(resolve => this.#own.push(resolve))
    else this.#busy++
    return this.#run(work)
  }

  /**
   * Hashes for a client; a job whose client has gone is dropped.
   * @throws FNA_ERR_FULL where too many wait already, FNA_ERR_CLOSED where the client has gone
   */
  async run<T>(work: () => Promise<T>, who?: HashFor): Promise<T> {
    if (who?.signal.aborted) throw left()
    if (this.#busy >= this.#bounds.workers) await this.#turn(who)
    else this.#busy++
    return this.#run(work)
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } finally {
      const own = this.#own.shift()
      if (own) own()
      else {
        const job = this.#waiting.next()
        if (job) job.begin()
        else this.#busy--
      }
    }
  }

  #turn(who: HashFor | undefined): Promise<void> {
    const network = who ? networkOf(who.address) : NOBODY
    const source = who ? sourceOf(who.address) : NOBODY
    if (this.#waiting.of(network, source) >= this.#bounds.perSource) throw full('this address')
    if (this.#waiting.size >= this.#bounds.total) this.#makeRoom(network)
    return new Promise<void>((resolve, reject) => {
      const gone = () => {
        this.#waiting.remove(network, source, job)
        reject(left())
      }
      const done = () => who?.signal.removeEventListener('abort', gone)
      const job: Job = {
        begin: () => {
          done()
          resolve()
        },
        refuse: e => {
          done()
          reject(e)
        },
      }
      who?.signal.addEventListener('abort', gone, { once: true })
      this.#waiting.add(network, source, job)
    })
  }

  /** The network that has most waiting gives up its newest, unless the newcomer's own is that one. */
  #makeRoom(network: string): void {
    const largest = this.#waiting.largest()
    if (largest === undefined || this.#waiting.of(network) >= this.#waiting.of(largest)) throw full('everybody')
    this.#waiting.newest(largest)?.refuse(full('this network'))
  }
}

const full = (whose: string) => new FnaError('FNA_ERR_FULL', `too many logins of ${whose} wait`)
const left = () => new FnaError('FNA_ERR_CLOSED', 'who asked for the hash has gone')

/** The one of this process. */
export const hashQueue = new HashQueue()
