import { type BrokerService, type Call, type Ctx, FnaError, isFna, signalAfter } from '@fnaa/core/plugin'
import { pause } from '@fnaa/kafka-wire'
import { type Settings, wrong } from '../options.js'
import { Access, probe } from './access.js'
import { type Clients, Connected } from './clients.js'
import { consumers } from './consumers.js'
import { isLoginRefused, kafkaName, mapped } from './errors.js'
import { topicOf } from './names.js'
import { create, describe, remove, update } from './topics.js'

/** Milliseconds that the cluster may take to answer while the agent starts. */
const SETUP = 6_000
/**
 * Milliseconds until a login that was refused is tried once more, and again, before it stops the boot: brokers that have just been
 * started may not have heard of their users yet.
 */
const AGAIN = [1_000, 3_000] as const

/**
 * The control face. A cluster that refuses us stops the boot: somebody has to change the config. One that does not answer does
 * not: it may come back, and the agent has more to do than this.
 * @throws FNA_ERR_CONFIG
 */
export async function openService(ctx: Ctx, s: Settings): Promise<BrokerService> {
  const service = new KafkaService(ctx, s)
  const c = { signal: signalAfter(SETUP, ctx.signal) }
  try {
    for (const wait of [...AGAIN, 0]) {
      const failed = await service.look(c).then(
        () => null,
        e => e as Error,
      )
      if (failed === null) break
      if (wait === 0 || !isLoginRefused(failed)) throw failed
      await pause(wait, c.signal)
    }
  } catch (e) {
    if (!isFna(e, 'FNA_ERR_UNAVAILABLE') && !isFna(e, 'FNA_ERR_CLOSED')) {
      await service.close()
      throw refused(e, s)
    }
    ctx.log.warn({ servers: s.servers, error: (e as Error).message }, `no broker of the cluster answers yet${hint(s)}`)
  }
  return service
}

class KafkaService implements BrokerService {
  readonly #ctx: Ctx
  readonly #s: Settings
  readonly #clients: Connected
  /** Undefined until the cluster has said whether it issues users. */
  #access: Access | null | undefined

  constructor(ctx: Ctx, s: Settings) {
    this.#ctx = ctx
    this.#s = s
    this.#clients = new Connected(s, ctx.log)
  }

  /** Whether the cluster lets us in, and what it can do. @throws FNA_ERR_UNAVAILABLE, FNA_ERR_DENIED, FNA_ERR_UNSUPPORTED */
  look(c: Call): Promise<void> {
    return this.#clients.use(c, async k => {
      await k.wire.metadata([], c)
      await this.#issuer(k, c)
    })
  }

  queueFor(flow: string): string {
    return topicOf(flow)
  }
  describeQueue(queue: string, c: Call) {
    return this.#clients.use(c, k => describe(k, queue, c))
  }
  createQueue(queue: string, spec: Parameters<BrokerService['createQueue']>[1], c: Call) {
    return this.#clients.use(c, k => create(k, this.#s, queue, spec, c))
  }
  updateQueue(queue: string, spec: Parameters<BrokerService['updateQueue']>[1], c: Call) {
    return this.#clients.use(c, k => update(k, queue, spec, c))
  }
  deleteQueue(queue: string, c: Call) {
    return this.#clients.use(c, k => remove(k, queue, c))
  }
  listConsumers(queue: string, c: Call) {
    return this.#clients.use(c, k => consumers(k, queue, this.#ctx.clock.now(), c))
  }

  internal(queue: string) {
    return { endpoint: this.#endpoint(queue), credential: this.#s.data }
  }

  access() {
    return this.#access === undefined ? undefined : this.#access ? (['issued'] as const) : []
  }
  limits() {
    return this.#access?.quotas ? (['bytesPerSecond'] as const) : []
  }
  grant(a: Parameters<BrokerService['grant']>[0], c: Call) {
    return this.#clients.use(c, async k => {
      const access = await this.#issuer(k, c)
      if (access === undefined) throw new FnaError('FNA_ERR_UNAVAILABLE', NOT_YET)
      if (!access) throw new FnaError('FNA_ERR_UNSUPPORTED', NOBODY)
      const { user, credential } = await access.grant(k, a, c)
      // Groups and transactions of its own begin with this.
      return { endpoint: { ...this.#endpoint(a.queue), reader: user }, credential }
    })
  }
  revoke(id: string, c: Call) {
    return this.#clients.use(c, async k => {
      const access = await this.#issuer(k, c)
      // Nothing is reported as cut by who could not look.
      if (access === undefined) throw new FnaError('FNA_ERR_UNAVAILABLE', NOT_YET)
      return access === null ? 'absent' : access.revoke(k, id, c)
    })
  }

  async health(c: Call) {
    if (this.#clients.closed) return { ok: false, detail: 'closed' }
    try {
      await this.look(c)
      return { ok: true }
    } catch (e) {
      return { ok: false, detail: (e as Error).message }
    }
  }
  close() {
    return this.#clients.close()
  }

  async #issuer(k: Clients, c: Call): Promise<Access | null | undefined> {
    if (this.#access === undefined) {
      const can = await probe(k, this.#s, c)
      if (can === undefined) return undefined
      this.#access = can ? new Access(this.#ctx, this.#s, can) : null
      this.#ctx.log.info({ ...can }, can ? 'the cluster issues users' : NOBODY)
    }
    return this.#access
  }

  #endpoint(queue: string) {
    const { servers, tls } = this.#s
    return { type: 'kafka', servers, queue, ...(tls && { tls }) }
  }
}

const NOT_YET = 'a broker of the cluster does not know our user yet'
const NOBODY =
  'the cluster issues no users (no authorizer, no SCRAM, no right to, or access is none): others come in through fnap'

/** Which option is wrong, in what way. */
function refused(e: unknown, s: Settings): FnaError {
  const told = mapped(e, 'the cluster refuses us')
  switch (kafkaName(e)) {
    case 'SASL_AUTHENTICATION_FAILED':
      return wrong('sasl', `is refused by the cluster: ${told.message}`, e)
    case 'UNSUPPORTED_SASL_MECHANISM':
      return wrong('sasl.mechanism', `is not one that the listener offers: ${(e as Error).message}`, e)
    case 'ILLEGAL_SASL_STATE':
      return wrong('sasl', `is for a listener that asks for no login: ${told.message}`, e)
    default:
      return wrong(s.tls ? 'servers or tls' : 'servers', `cannot be used: ${told.message}`, e)
  }
}

/** A listener that wants more than it gets just closes the connection. */
function hint(s: Settings): string {
  const left = [...(s.tls ? [] : ['tls']), ...(s.sasl ? [] : ['sasl'])]
  return left.length > 0
    ? `: are servers right, and does the listener want ${left.join(' or ')}?`
    : ': are servers right?'
}
