import type { Duplex } from 'node:stream'
import { type Call, type Dial, type DialTarget, FnaError, isFna } from '@fnaa/core/plugin'
import type { Api } from './api.js'
import { fetch } from './apis/fetch.js'
import { apiVersions, saslAuthenticate, saslHandshake } from './apis/session.js'
import { Reader, Writer } from './bytes.js'
import { expectOk, KafkaError, said } from './errors.js'
import type { Memory } from './memory.js'
import { Receiver } from './receiver.js'
import { converse, type Sasl } from './sasl.js'

export interface ConnectOptions {
  readonly dial: Dial
  readonly sasl?: Sasl | undefined
  readonly clientId?: string
  /** Milliseconds that a broker may be silent while it owes an answer, beyond what a request lets it wait. */
  readonly timeoutMs?: number
  /** Where answers go; memory of their own if absent. */
  readonly memory?: Memory | undefined
  /** Bytes of the longest answer to a fetch; 128 MiB if absent. */
  readonly longestFetch?: number | undefined
  /** Told when it has been silent for longer: a broker that hangs, whatever its kernel still accepts. */
  readonly onHang?: () => void
}

interface Waiting {
  readonly version: number
  readonly api: Api<never, unknown>
  readonly resolve: (answer: unknown) => void
  readonly reject: (e: Error) => void
  readonly due: number
}

/** Bytes of the longest answer that is taken; a fetch has a bound of its own. */
const LONGEST = 16 << 20
/** The same of a fetch: bounded by its own `maxBytes`, but it may hold one batch over it. */
const LONGEST_FETCH = 128 << 20
/** Milliseconds between two logins, however short a broker says that a session lives. */
const RELOGIN_MS = 1000
/** So many times the time-out, and an answer is given up even if it trickles. */
const TRICKLE = 10
const TIMEOUT_MS = 10_000

/**
 * One connection to one broker: requests go out as they are made and are answered in order. It never reconnects; when it fails
 * everything that waits fails with it.
 */
export class Connection {
  #stream!: Duplex
  readonly #receiver: Receiver
  readonly #clientId: string
  readonly #timeoutMs: number
  readonly #onHang: (() => void) | undefined
  readonly #waiting = new Map<number, Waiting>()
  #versions: ReadonlyMap<number, readonly [number, number]> = new Map()
  #correlation = 0
  #failure: Error | null = null
  #unasked = false
  #sweep: NodeJS.Timeout | null = null
  #relogin: NodeJS.Timeout | null = null
  #sasl: Sasl | undefined
  /** When bytes have last gone either way: a slow line is no broker that hangs. */
  #alive = performance.now()

  private constructor(opt: ConnectOptions) {
    this.#clientId = opt.clientId ?? 'fnaad'
    this.#timeoutMs = opt.timeoutMs ?? TIMEOUT_MS
    this.#onHang = opt.onHang
    this.#sasl = opt.sasl
    const { memory, longestFetch = LONGEST_FETCH } = opt
    const most = () => {
      const [next] = this.#waiting.values()
      this.#unasked = next === undefined
      if (!next) throw new KafkaError('INVALID_RESPONSE', 'an answer to nothing that was asked')
      return next.api.key === fetch.key ? longestFetch : LONGEST
    }
    this.#receiver = new Receiver(most, answer => this.#answered(answer), memory && (n => memory.take(n)))
  }

  async #dial(at: DialTarget, dial: Dial, c: Call): Promise<void> {
    const onread = {
      buffer: () => this.#receiver.room(),
      callback: (bytes: number) => this.#received(() => this.#receiver.filled(bytes)),
    }
    const stream = (await dial({ ...at, onread }, c)) as Duplex
    this.#stream = stream
    stream.on('data', (chunk: Buffer) => this.#received(() => this.#receiver.push(chunk)))
    stream.on('drain', () => {
      this.#alive = performance.now()
    })
    stream.on('error', e => this.destroy(e))
    stream.on('close', () => this.destroy())
  }

  #received(take: () => void): boolean {
    if (this.#failure) return false
    this.#alive = performance.now()
    try {
      take()
      return true
    } catch (e) {
      this.destroy(e as Error)
      return false
    }
  }

  /**
   * Connects, learns what the broker speaks, and logs in.
   * @throws FNA_ERR_UNAVAILABLE, FNA_ERR_ADDRESS (the guard), FNA_ERR_DENIED (login), FNA_ERR_UNSUPPORTED
   */
  static async open(at: DialTarget, opt: ConnectOptions, c: Call): Promise<Connection> {
    const connection = new Connection(opt)
    await connection.#dial(at, opt.dial, c)
    const stop = () => connection.destroy(new FnaError('FNA_ERR_CLOSED', 'called off'))
    c.signal.addEventListener('abort', stop, { once: true })
    try {
      const versions = await connection.request(apiVersions, null)
      expectOk(versions.error, 'the broker does not say which versions it knows')
      connection.#versions = versions.ranges
      await connection.#login()
      return connection
    } catch (e) {
      connection.destroy()
      throw named(e, `${at.host}:${at.port}`)
    } finally {
      c.signal.removeEventListener('abort', stop)
    }
  }

  get closed(): boolean {
    return this.#failure !== null
  }

  /** What the broker sent that nobody had asked for, where that ended it while nothing was under way. */
  get broken(): Error | null {
    return this.#unasked ? this.#failure : null
  }

  /** Does the broker know a version of it that we know? */
  knows(api: Api<never, unknown>): boolean {
    return this.#version(api) !== null
  }

  /**
   * Sends one request.
   * @param waitMs milliseconds that the request itself lets the broker wait
   * @throws FNA_ERR_UNAVAILABLE where the connection fails or no answer comes, FNA_ERR_UNSUPPORTED for a broker too old or too new
   */
  request<Req, Res>(api: Api<Req, Res>, request: Req, waitMs = 0): Promise<Res> {
    if (this.#failure) return Promise.reject(this.#failure)
    const version = api.key === apiVersions.key ? 0 : this.#version(api as never)
    if (version === null) return Promise.reject(this.#unknown(api as never))
    const correlation = ++this.#correlation & 0x7fffffff
    const flexible = api.flexible !== undefined && version >= api.flexible
    const head = new Writer()
    head.int32(0).int16(api.key).int16(version).int32(correlation).string(this.#clientId)
    if (flexible) head.int8(0)
    const body = new Writer(flexible)
    api.encode(body, request, version)
    const [first] = head.pieces() as [Buffer]
    first.writeInt32BE(head.length - 4 + body.length, 0)
    return new Promise<Res>((resolve, reject) => {
      const due = performance.now() + this.#timeoutMs + waitMs
      this.#waiting.set(correlation, { version, api: api as never, resolve: resolve as never, reject, due })
      this.#watch()
      // One gathered write: record sets go out from where they lie.
      this.#stream.cork()
      this.#stream.write(first)
      for (const piece of body.pieces()) this.#stream.write(piece)
      this.#stream.uncork()
    })
  }

  /** Ends it; whatever waits fails. */
  destroy(cause?: Error): void {
    if (this.#failure) return
    this.#failure =
      cause && isFna(cause)
        ? cause
        : new FnaError('FNA_ERR_UNAVAILABLE', 'the connection to the broker is lost', { cause })
    if (this.#sweep) clearInterval(this.#sweep)
    if (this.#relogin) clearTimeout(this.#relogin)
    this.#stream.on('error', () => undefined)
    this.#stream.destroy()
    for (const w of this.#waiting.values()) w.reject(this.#failure)
    this.#waiting.clear()
  }

  async #login(): Promise<void> {
    const sasl = this.#sasl
    if (!sasl) return
    const shake = await this.request(saslHandshake, { mechanism: sasl.mechanism })
    if (shake.error !== 0)
      throw new KafkaError(
        shake.error,
        `the broker does not offer ${sasl.mechanism} but ${shake.mechanisms
          .slice(0, 10)
          .map(m => said(m, 20))
          .join(', ')}`,
      )
    let lifetimeMs = 0
    await converse(sasl, async data => {
      const answer = await this.request(saslAuthenticate, { data })
      expectOk(answer.error, 'the broker refuses the login', answer.message)
      lifetimeMs = answer.lifetimeMs
      return answer.data
    })
    // KIP-368: a broker closes the connection of who has not logged in again in time.
    if (lifetimeMs > 0) {
      const again = () => void this.#login().catch(e => this.destroy(e as Error))
      this.#relogin = setTimeout(again, Math.min(Math.max(lifetimeMs * 0.8, RELOGIN_MS), 0x7fffffff))
      this.#relogin.unref()
    }
  }

  #version(api: Api<never, unknown>): number | null {
    const range = this.#versions.get(api.key)
    if (!range) return null
    const version = Math.min(range[1], api.versions[1])
    return version < Math.max(range[0], api.versions[0]) ? null : version
  }

  #unknown(api: Api<never, unknown>): KafkaError {
    const [low, high] = this.#versions.get(api.key) ?? []
    const theirs = low === undefined ? 'not at all' : `in versions ${low} to ${high}`
    return new KafkaError(
      'UNSUPPORTED',
      `the broker knows ${api.name} ${theirs}, we in ${api.versions[0]} to ${api.versions[1]}`,
    )
  }

  #answered(answer: Buffer): void {
    const correlation = answer.readInt32BE(0)
    // A broker answers in order.
    const [next] = this.#waiting
    const w = next?.[0] === correlation ? next[1] : undefined
    if (!w) {
      this.destroy(new KafkaError('INVALID_RESPONSE', 'an answer to something else than was asked'))
      return
    }
    this.#waiting.delete(correlation)
    if (this.#waiting.size === 0 && this.#sweep) {
      clearInterval(this.#sweep)
      this.#sweep = null
    }
    try {
      const reader = new Reader(answer.subarray(4))
      if (w.api.flexible !== undefined && w.version >= w.api.flexible) {
        reader.flexible = true
        reader.end()
      }
      const decoded = w.api.decode(reader, w.version)
      reader.over()
      w.resolve(decoded)
    } catch (e) {
      w.reject(e as Error)
      this.destroy(e as Error)
    }
  }

  /** One timer for all that waits: a broker that hangs without closing is noticed within a second of its deadline. */
  #watch(): void {
    this.#sweep ??= setInterval(() => {
      const now = performance.now()
      const silent = now - this.#alive >= this.#timeoutMs
      for (const w of this.#waiting.values()) {
        if (now < w.due + (silent ? 0 : TRICKLE * this.#timeoutMs)) continue
        this.#onHang?.()
        this.destroy(new FnaError('FNA_ERR_UNAVAILABLE', `the broker does not answer ${w.api.name} in time`))
        return
      }
    }, 1000)
  }
}

function named(e: unknown, at: string): unknown {
  if (!isFna(e)) return e
  e.message = `Kafka at ${at}: ${e.message}`
  return e
}
