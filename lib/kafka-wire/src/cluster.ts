import { type Call, type Dial, FnaError, isFna, signalAfter } from '@fnaa/core/plugin'
import { type MetadataAnswer, metadata, type Node, type PartitionInfo, type TopicInfo } from './apis/metadata.js'
import { type CoordinatorType, findCoordinator } from './apis/offsets.js'
import { Connection } from './connection.js'
import { expectOk, KafkaError, kafkaCode } from './errors.js'
import { Memory } from './memory.js'
import type { Sasl } from './sasl.js'

export interface ClusterOptions {
  /** `host:port`, to begin with. */
  readonly servers: readonly string[]
  readonly dial: Dial
  /** Absent: no TLS. `ca` is PEM. `servername` for brokers whose certificate names none of their own hosts. */
  readonly tls?: { readonly servername?: string; readonly ca?: string } | undefined
  readonly sasl?: Sasl | undefined
  readonly clientId?: string
  readonly timeoutMs?: number
  /** Bytes of the longest answer to a fetch; 128 MiB if absent. */
  readonly longestFetch?: number
}

/** A fetch that waits holds up what is behind it: each purpose has connections of its own. */
export type Purpose = 'fetch' | 'produce' | 'control'

const CONNECT_MS = 5_000
/** Brokers of one cluster, and how many of them are tried before it is said that none answers. */
const MOST_NODES = 5000
const MOST_TRIED = 50
/** Milliseconds after which what is remembered of a topic is asked for again, beside what goes on: partitions are added, leaders move back. */
const REFRESH_MS = 5_000
const BACKOFF_MS = [10, 25, 50, 100, 200, 400, 800, 1000] as const

/** The brokers of one cluster: who leads what, and a connection to each for each purpose. */
export class Cluster {
  readonly #opt: ClusterOptions
  readonly #connections = new Map<string, Promise<Connection>>()
  readonly #nodes = new Map<number, Node>()
  readonly #topics = new Map<string, { info: TopicInfo; since: number }>()
  /** When a server has last hung, or could not be reached: others are asked before it. */
  readonly #troubled = new Map<string, number>()
  readonly #coordinators = new Map<string, number>()
  readonly #closed = new AbortController()
  /** What fetches are answered into. Whoever has done with an answer may give it back. */
  readonly memory = new Memory()

  constructor(opt: ClusterOptions) {
    if (opt.servers.length === 0) throw new FnaError('FNA_ERR_INVALID', 'an endpoint of Kafka has a server at least')
    this.#opt = opt
  }

  /** Aborts when the cluster is closed. */
  get signal(): AbortSignal {
    return this.#closed.signal
  }

  close(): void {
    this.#closed.abort()
    for (const connection of this.#connections.values()) connection.then(c => c.destroy()).catch(() => undefined)
    this.#connections.clear()
  }

  /** Asks any broker; what it says is remembered. @throws FNA_ERR_UNAVAILABLE, FNA_ERR_DENIED … */
  async metadata(topics: readonly string[] | null, c: Call): Promise<MetadataAnswer> {
    const connection = await this.any(c)
    const answer = await connection.request(metadata, { topics })
    if (answer.nodes.length > MOST_NODES)
      throw new KafkaError('INVALID_RESPONSE', `a cluster of ${answer.nodes.length} brokers`)
    // Those of before are not kept: whoever names others each time fills no memory.
    if (answer.nodes.length > 0) this.#nodes.clear()
    for (const node of answer.nodes) this.#nodes.set(node.id, node)
    for (const topic of answer.topics) {
      if (topics !== null && !topics.includes(topic.name)) continue
      if (topic.error === 0) this.#topics.set(topic.name, { info: topic, since: performance.now() })
      else this.#topics.delete(topic.name)
    }
    return answer
  }

  /**
   * What is known of a topic. What is old is asked for anew in the background.
   * @param fresh ask, even where something is remembered
   * @throws FNA_ERR_NOTFOUND, FNA_ERR_DENIED
   */
  async topic(name: string, c: Call, fresh = false): Promise<TopicInfo> {
    const known = this.#topics.get(name)
    if (known && !fresh) {
      if (performance.now() - known.since > REFRESH_MS) {
        known.since = performance.now()
        this.metadata([name], { signal: this.signal }).catch(() => undefined)
      }
      return known.info
    }
    const answer = await this.metadata([name], c)
    const found = answer.topics.find(t => t.name === name)
    if (!found) throw new KafkaError(3, `topic ${name}`)
    expectOk(found.error, `topic ${name}`)
    return found
  }

  /** What is remembered of a topic, without asking anybody. */
  known(topic: string): TopicInfo | undefined {
    return this.#topics.get(topic)?.info
  }

  /** Forgets who leads it: what was remembered has proved wrong. */
  forget(topic: string): void {
    this.#topics.delete(topic)
  }

  async partition(topic: string, partition: number, c: Call): Promise<PartitionInfo> {
    const found = (await this.topic(topic, c)).partitions.find(p => p.partition === partition)
    if (!found) throw new KafkaError(3, `partition ${partition} of topic ${topic}`)
    return found
  }

  /** A connection to the broker that leads a partition. @throws KafkaError LEADER_NOT_AVAILABLE */
  async leader(topic: string, partition: number, purpose: Purpose, c: Call): Promise<Connection> {
    const { leader } = await this.partition(topic, partition, c)
    if (leader < 0) throw new KafkaError(5, `partition ${partition} of topic ${topic}`)
    return this.node(leader, purpose, c)
  }

  /** @param known take who is remembered to be it. Only inside {@link retry}, which forgets whatever proves wrong. */
  async coordinator(key: string, type: CoordinatorType, c: Call, known = false): Promise<Connection> {
    const id = known ? this.#coordinators.get(`${type} ${key}`) : undefined
    if (id !== undefined) return this.node(id, 'control', c)
    const connection = await this.any(c)
    const found = await connection.request(findCoordinator, { key, type })
    expectOk(found.error, `the coordinator of ${type} ${key}`, found.message)
    this.#nodes.set(found.node.id, found.node)
    this.#coordinators.set(`${type} ${key}`, found.node.id)
    return this.node(found.node.id, 'control', c)
  }

  /** A connection to a broker by its id, made when it is first asked for. */
  async node(id: number, purpose: Purpose, c: Call): Promise<Connection> {
    let node = this.#nodes.get(id)
    if (!node) {
      await this.metadata([], c)
      node = this.#nodes.get(id)
    }
    if (!node) throw new KafkaError(8, `broker ${id}`)
    return this.#connect(`${node.host}:${node.port}`, purpose)
  }

  /** A connection to whichever answers first of those that are known, open ones before others. */
  async any(c: Call): Promise<Connection> {
    const known = [...this.#nodes.values()].map(n => `${n.host}:${n.port}`)
    const since = (at: string) => this.#troubled.get(at) ?? 0
    const servers = [
      ...new Set([...known.filter(at => this.#connections.has(`control ${at}`)), ...this.#opt.servers, ...known]),
    ].sort((a, b) => since(a) - since(b))
    const failures: string[] = []
    let last: unknown
    let refused: unknown
    for (const at of servers.slice(0, MOST_TRIED)) {
      if (c.signal.aborted || this.signal.aborted) throw new FnaError('FNA_ERR_CLOSED', 'called off')
      try {
        return await this.#connect(at, 'control')
      } catch (e) {
        // A broker that has just been started may not have heard of its users yet: each is asked once.
        if (kafkaCode(e) === 'SASL_AUTHENTICATION_FAILED') refused ??= e
        else if (isFna(e) && e.code !== 'FNA_ERR_UNAVAILABLE') throw e
        last = e
        failures.push((e as Error).message)
      }
    }
    if (refused !== undefined) throw refused
    if (failures.length === 1) throw last
    throw new FnaError('FNA_ERR_UNAVAILABLE', `no broker of the cluster answers: ${failures.join('; ')}`, {
      cause: last,
    })
  }

  /**
   * Asks again, with pauses that grow to a second, while `work` fails for reasons that pass.
   * @param ms milliseconds in all
   * @throws what `work` threw last
   */
  async retry<T>(work: () => Promise<T>, c: Call, ms = 30_000): Promise<T> {
    const end = performance.now() + ms
    for (let tries = 0; ; tries++) {
      try {
        return await work()
      } catch (e) {
        this.#coordinators.clear()
        if (!passes(e) || c.signal.aborted || this.signal.aborted || performance.now() >= end) throw e
        await pause(BACKOFF_MS[Math.min(tries, BACKOFF_MS.length - 1)]!, AbortSignal.any([c.signal, this.signal]))
      }
    }
  }

  #connect(at: string, purpose: Purpose): Promise<Connection> {
    if (this.signal.aborted) return Promise.reject(new FnaError('FNA_ERR_CLOSED', 'the cluster is closed'))
    const key = `${purpose} ${at}`
    const known = this.#connections.get(key)
    // Whoever of those that wait is first opens another one, for all of them.
    if (!known) return this.#open(key, at, purpose)
    return known.then(k => {
      if (!k.closed) return k
      // One that broke the protocol while nobody waited is told to whoever comes next: it would do it again.
      if (!k.broken) return this.#reopened(key, at, purpose, known)
      if (this.#connections.get(key) === known) this.#connections.delete(key)
      throw k.broken
    })
  }

  #reopened(key: string, at: string, purpose: Purpose, ended: Promise<Connection>): Promise<Connection> {
    const known = this.#connections.get(key)
    return known && known !== ended ? known : this.#open(key, at, purpose)
  }

  /** Addresses that come and go leave nothing behind. */
  #prune(): void {
    for (const [key, known] of this.#connections) {
      const forget = (k: Connection) => {
        if (k.closed && !k.broken && this.#connections.get(key) === known) this.#connections.delete(key)
      }
      known.then(forget, () => undefined)
    }
    if (this.#troubled.size > MOST_TRIED) this.#troubled.clear()
  }

  #open(key: string, at: string, purpose: Purpose): Promise<Connection> {
    const { tls } = this.#opt
    const colon = at.lastIndexOf(':')
    const host = at.slice(0, colon).replace(/^\[|\]$/g, '')
    const target = {
      host,
      port: Number(at.slice(colon + 1)),
      ...(tls ? { tls: { servername: tls.servername ?? host, ...(tls.ca === undefined ? {} : { ca: tls.ca }) } } : {}),
    }
    // Shared by whoever asks meanwhile: no one of them may call it off.
    const signal = signalAfter(CONNECT_MS, this.signal)
    this.#prune()
    const onHang = () => this.#troubled.set(at, performance.now())
    const memory = purpose === 'fetch' ? this.memory : undefined
    const opening = Connection.open(target, { ...this.#opt, memory, onHang }, { signal })
    this.#connections.set(key, opening)
    opening.then(
      () => this.#troubled.delete(at),
      () => {
        onHang()
        if (this.#connections.get(key) === opening) this.#connections.delete(key)
      },
    )
    return opening
  }
}

/** May the same succeed later? */
export function passes(e: unknown): boolean {
  if (e instanceof KafkaError) return e.retry
  return isFna(e, 'FNA_ERR_UNAVAILABLE')
}

/** Resolves after so many milliseconds, or as soon as `signal` aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(done, ms)
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done)
  })
}
