import { type Call, FnaError, type Logger, operatorsDial } from '@fnaa/core/plugin'
import { Cluster } from '@fnaa/kafka-wire'
import type { Admin, KafkaConfig, LogEntry } from 'kafkajs'
import type { Settings } from '../options.js'

/** Milliseconds: kafkajs looks at its queues each millisecond for as long as it is connected. */
const IDLE = 30_000
const CLIENT_ID = 'fnaad'

export interface Clients {
  readonly wire: Cluster
  /** kafkajs, connected. */
  admin(): Promise<Admin>
}

/** The ways to the cluster: made when they are asked for, closed when nobody has for half a minute. */
export class Connected {
  readonly #s: Settings
  readonly #log: Logger
  #wire: Cluster | null = null
  #admin: Promise<Admin> | null = null
  #busy = 0
  #idle: NodeJS.Timeout | null = null
  #closed = false

  constructor(s: Settings, log: Logger) {
    this.#s = s
    this.#log = log
  }

  get closed(): boolean {
    return this.#closed
  }

  /** @throws FNA_ERR_CLOSED after `close`, or where the call is given up */
  async use<T>(c: Call, work: (k: Clients) => Promise<T>): Promise<T> {
    if (this.#closed) throw new FnaError('FNA_ERR_CLOSED', 'broker-kafka is closed')
    if (this.#idle) clearTimeout(this.#idle)
    this.#busy++
    try {
      this.#wire ??= this.#cluster()
      const wire = this.#wire
      return await raced(work({ wire, admin: () => this.#connect() }), c)
    } finally {
      if (--this.#busy === 0 && !this.#closed) {
        this.#idle = setTimeout(() => void this.#disconnect(), IDLE)
        this.#idle.unref()
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#idle) clearTimeout(this.#idle)
    await this.#disconnect()
  }

  async #disconnect(): Promise<void> {
    const [wire, admin] = [this.#wire, this.#admin]
    this.#wire = null
    this.#admin = null
    wire?.close()
    await admin?.then(a => a.disconnect()).catch(() => undefined)
  }

  #cluster(): Cluster {
    const { servers, tls, sasl } = this.#s
    return new Cluster({
      servers,
      dial: operatorsDial,
      clientId: CLIENT_ID,
      ...(tls && { tls }),
      ...(sasl && { sasl }),
    })
  }

  #connect(): Promise<Admin> {
    this.#admin ??= this.#open().catch(e => {
      this.#admin = null
      throw e
    })
    return this.#admin
  }

  /** Loaded on first use: an agent that only checks its config needs none of it. */
  async #open(): Promise<Admin> {
    const { Kafka, logLevel } = await import('kafkajs').then(m => m.default)
    const { servers, tls, sasl } = this.#s
    const log = this.#log
    const kafka = new Kafka({
      clientId: CLIENT_ID,
      brokers: [...servers],
      ssl: tls ?? false,
      ...(sasl && { sasl: saslOf(sasl) }),
      connectionTimeout: 10_000,
      requestTimeout: 20_000,
      // A topic that is not there yet, or a controller that moves, is a matter of tenths of a second.
      retry: { initialRetryTime: 100, retries: 4 },
      logLevel: logLevel.WARN,
      // What fails is thrown as well: its own lines are for whoever looks for more.
      logCreator: () => (entry: LogEntry) => log.debug({ kafkajs: entry.namespace }, entry.log.message),
    })
    const admin = kafka.admin()
    await admin.connect()
    return admin
  }
}

function saslOf(sasl: NonNullable<Settings['sasl']>): NonNullable<KafkaConfig['sasl']> {
  switch (sasl.mechanism) {
    case 'OAUTHBEARER':
      return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await sasl.token() }) }
    case 'PLAIN':
      return { mechanism: 'plain', username: sasl.username, password: sasl.password }
    case 'SCRAM-SHA-256':
      return { mechanism: 'scram-sha-256', username: sasl.username, password: sasl.password }
    case 'SCRAM-SHA-512':
      return { mechanism: 'scram-sha-512', username: sasl.username, password: sasl.password }
  }
}

/** kafkajs cannot be called off: whoever asked stops waiting. */
async function raced<T>(work: Promise<T>, { signal }: Call): Promise<T> {
  const given = () => new FnaError('FNA_ERR_CLOSED', 'the call was given up')
  if (signal.aborted) {
    work.catch(() => undefined)
    throw given()
  }
  let stop = () => {}
  const up = new Promise<never>((_, reject) => {
    stop = () => reject(given())
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work, up])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
