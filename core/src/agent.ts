import { join, resolve as resolvePath } from 'node:path'
import { AddressGuard, makeDial, Resolver } from '@fnaa/client'
import type { Command } from '@fnaa/protocol'
import { type Config, PERIODS, SERVER_LIMITS } from './config/define.js'
import type { AuthService } from './contract/auth.js'
import type { Call, Clock, Ctx, Logger } from './contract/common.js'
import { FnaError } from './contract/errors.js'
import type { AnyPlugin } from './contract/plugin.js'
import type { Leadership, StoreService } from './contract/store.js'
import { Brokers } from './data/brokers.js'
import { Positions } from './data/positions.js'
import { Issued } from './federation/issued.js'
import { Peers } from './federation/peers.js'
import { Provider } from './federation/provider.js'
import { Quotas } from './federation/quotas.js'
import { Subscriptions } from './federation/subscriptions.js'
import { Audit } from './grants/audit.js'
import { Authorizer } from './grants/authorizer.js'
import { type Booted, boot, DEADLINES, type Deadlines, type Loaded } from './host/boot.js'
import { hashQueue } from './host/hash-queue.js'
import type { Kernel } from './kernel.js'
import { createLogger } from './log.js'
import { domainOf } from './names/names.js'
import { Registrar } from './names/registrar.js'
import { Processors } from './processors/processors.js'
import { systemClock } from './resources/clock.js'
import { reconcile, wake } from './resources/controllers.js'
import { WorkQueue } from './resources/queue.js'
import { KIND_NAMES, Resources } from './resources/resources.js'
import { Room } from './resources/room.js'
import { sealed, sealKey } from './resources/seal.js'
import { run } from './run.js'
import { type Address, Listener } from './server/listener.js'
import { mechanismsOf } from './server/mechanisms.js'
import { SessionRegistry } from './server/registry.js'
import type { Session } from './server/session.js'
import { loadCertificates } from './tls/certificates.js'

export interface AgentOptions {
  readonly config: Config
  readonly plugins: readonly AnyPlugin[]
  /** The config's file: modules that it names are looked up from there. */
  readonly base?: string
  readonly clock?: Clock
  readonly log?: Logger
  readonly deadlines?: Partial<Deadlines>
}
const DRAIN_MS = 10_000
/** What stands in DNS of our keys changes with time: a rotated one begins, an old one ends. */
const KEYS_MS = 600_000
/** Cursors that nobody uses are looked for this often, and at the start. */
const EXPIRE_MS = 6 * 3_600_000

/** One agent: plugins set up, state loaded, listening, controllers at work. */
export class Agent {
  readonly kernel: Kernel
  readonly #booted: Booted
  readonly #closing: AbortController
  readonly #leadership: Leadership
  readonly #state: { draining: boolean }
  readonly #resolver: Resolver

  private constructor(
    kernel: Kernel,
    booted: Booted,
    closing: AbortController,
    leadership: Leadership,
    state: { draining: boolean },
    resolver: Resolver,
  ) {
    this.kernel = kernel
    this.#booted = booted
    this.#closing = closing
    this.#leadership = leadership
    this.#state = state
    this.#resolver = resolver
  }

  /** Where it listens. */
  get addresses(): readonly Address[] {
    return this.kernel.listener.addresses
  }

  /**
   * Starts an agent. What was opened is closed again where something fails.
   * @throws FNA_ERR_CONFIG, FNA_ERR_PLUGIN_SETUP, FNA_ERR_LOCKED …
   */
  static async start(o: AgentOptions): Promise<Agent> {
    const { config } = o
    const clock = o.clock ?? systemClock
    const log = o.log ?? createLogger(config.log?.level ?? 'info')
    const closing = new AbortController()
    const call: Call = { signal: closing.signal }
    const base = o.base ?? resolvePath(config.data, 'fnaad.config.js')
    const resolver = new Resolver({
      servers: servers(config),
      trustAd: config.resolver?.trustAd ?? false,
      now: () => clock.now(),
    })
    const dial = makeDial({
      resolve: resolver.resolve as never,
      guard: new AddressGuard({ allow: config.network?.allow ?? [] }),
    })
    const certificates = await loadCertificates(config)
    const key = await sealKey(config.data)
    const context = contexts({
      config,
      log,
      clock,
      dial,
      resolve: resolver.resolve as never,
      signal: closing.signal,
      key,
    })
    const booted = await boot(o.plugins, context, { ...DEADLINES, ...o.deadlines })
    let k: { -readonly [K in keyof Kernel]: Kernel[K] } | undefined
    try {
      const store = service<StoreService>(booted.loaded, 'store')
      const leadership = await store.elect('controllers', config.host, call)
      const state = { draining: false }
      k = {
        config,
        clock,
        log,
        limits: { ...SERVER_LIMITS, ...config.limits },
        periods: { ...PERIODS, ...config.federation },
        loaded: booted.loaded,
        store,
        dial,
        resolve: resolver.resolve,
        certificates,
        epoch: leadership.epoch,
      } as unknown as { -readonly [K in keyof Kernel]: Kernel[K] }
      Object.defineProperty(k, 'draining', { get: () => state.draining })
      await assemble(k, base, key, closing.signal)
      const agent = new Agent(k, booted, closing, leadership, state, resolver)
      await agent.#open()
      return agent
    } catch (e) {
      // Half-started is not started: nothing goes on listening.
      k?.listener?.stop()
      k?.sessions?.cut(() => true, 'the agent could not start')
      closing.abort()
      resolver.close()
      await booted.close().catch(() => undefined)
      throw e
    }
  }

  async #open(): Promise<void> {
    const k = this.kernel
    const call: Call = { signal: this.#closing.signal, reserve: true }
    await k.listener.listen(k.config.listen)
    k.registrar.agent = addressOf(k.config, k.listener.addresses)
    await seed(k, call)
    await publishKeys(k, call)
    k.resources.onChange(wake(k))
    // What happened while we were away is asked for, not guessed (federation rule 10).
    for (const s of k.resources.list('Subscription')) k.subscriptions.markDue(s.name)
    for (const kind of KIND_NAMES) for (const r of k.resources.list(kind)) k.queue.add(`${kind}/${r.name}`)
    k.processors.watch(this.#closing.signal)
    void every(k, 1000, this.#closing.signal, () => k.sessions.sweep(k))
    void every(k, KEYS_MS, this.#closing.signal, () => {
      void publishKeys(k, call).catch(err => k.log.error({ err }, 'keys not published'))
    })
    const expire = () => void k.positions.expire(call).catch(err => k.log.warn({ err }, 'old cursors not looked for'))
    expire()
    void every(k, EXPIRE_MS, this.#closing.signal, expire)
    void every(k, 30_000, this.#closing.signal, () => void k.issued.expire(call).catch(() => undefined))
  }

  /** Puts what proves our domains into DNS, as it stands now. */
  publishKeys(): Promise<void> {
    return publishKeys(this.kernel, { signal: this.#closing.signal })
  }

  /** Waits until every namespace and flow of the config stands. */
  async ready(signal: AbortSignal): Promise<void> {
    for (const n of this.kernel.resources.list('Namespace')) {
      await this.kernel.resources.until(
        'Namespace',
        n.name,
        x => (x?.status.conditions.some(c => c.type === 'Ready' && c.status === 'True') ? true : undefined),
        signal,
      )
    }
  }

  /** No new connections; idle sessions get 421, those in the middle of something have ten seconds. */
  async drain(ms = DRAIN_MS): Promise<void> {
    const k = this.kernel
    this.#state.draining = true
    k.listener.stop()
    k.sessions.cut(s => !s.streaming, 'the agent is closing')
    const end = Date.now() + ms
    while (k.sessions.size > 0 && Date.now() < end) {
      await new Promise(resolve => setTimeout(resolve, 20))
      k.sessions.cut(s => !s.streaming, 'the agent is closing')
    }
    k.sessions.cut(() => true, 'the agent is closing')
  }

  /** Ends everything, in the reverse order of the boot. @throws AggregateError where plugins failed to close */
  async close(): Promise<void> {
    const k = this.kernel
    this.#state.draining = true
    k.listener.stop()
    k.sessions.cut(() => true, 'the agent is closing')
    this.#closing.abort()
    await k.queue.stop()
    await k.peers.close()
    await k.positions.flush().catch(() => undefined)
    await this.#leadership.resign().catch(() => undefined)
    this.#resolver.close()
    await this.#booted.close()
  }
}

/** Builds the parts in the order in which they need each other. */
async function assemble(
  k: { -readonly [K in keyof Kernel]: Kernel[K] },
  base: string,
  key: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const call: Call = { signal }
  k.resources = new Resources(k.store)
  await k.resources.load(call)
  k.authorizer = new Authorizer(k.resources, k.clock, k.config.administrators ?? [])
  k.audit = new Audit(k.store.bucket('audit'), k.clock, k.log)
  k.sessions = new SessionRegistry()
  k.mechanisms = mechanismsOf(k.loaded)
  k.brokers = new Brokers(k.loaded, { log: k.log, dial: k.dial, base })
  k.room = new Room(k.store)
  k.positions = new Positions(k.store.bucket('cursors'), k.clock, k.log, k.limits)
  k.secrets = sealed(k.store.bucket('secrets'), key)
  k.issued = new Issued(
    k.secrets,
    k.clock,
    w => hashQueue.own(w),
    user => k.sessions.cut(s => s.issued?.user === user),
  )
  await k.issued.load(call)
  k.listener = new Listener(k, k.certificates)
  k.registrar = new Registrar(k.loaded, { host: k.config.host, port: 0, tls: false, addresses: [] })
  k.provider = new Provider(k)
  k.quotas = new Quotas(k)
  k.peers = new Peers(k)
  k.subscriptions = new Subscriptions(k)
  k.processors = new Processors(k, base)
  k.queue = new WorkQueue({
    clock: k.clock,
    signal,
    reconcile: (name, s) => reconcile(k, name, s),
    onError: (name, err, retryMs) => k.log.warn({ key: name, err, retryMs }, 'will be tried again'),
  })
  k.run = (command: Command, session: Session) => run(k, command, session)
  for (const l of k.loaded) {
    if (l.plugin.manifest.kind !== 'auth') continue
    ;(l.service as AuthService).watch(principal => {
      k.sessions.cut(s => s.identity?.principal === principal)
      k.peers.drop(principal)
    })
  }
}

function servers(config: Config): { host: string; port: number }[] {
  return (config.resolver?.servers ?? ['127.0.0.1:53']).map(s => {
    const colon = s.lastIndexOf(':')
    return { host: s.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(s.slice(colon + 1)) }
  })
}

function service<S>(loaded: readonly Loaded[], kind: string): S {
  const found = loaded.find(l => l.plugin.manifest.kind === kind)
  if (!found) throw new FnaError('FNA_ERR_CONFIG', `the config has no ${kind} plugin`)
  return found.service as S
}

interface Surroundings {
  readonly config: Config
  readonly log: Logger
  readonly clock: Clock
  readonly dial: Ctx['dial']
  readonly resolve: Ctx['resolve']
  readonly signal: AbortSignal
  readonly key: Buffer
}

/** What each plugin gets. A store has no state of its own: it is the state. */
function contexts(s: Surroundings) {
  return async (plugin: AnyPlugin, loaded: readonly Loaded[]): Promise<Ctx> => {
    const store = loaded.find(l => l.plugin.manifest.kind === 'store')?.service as StoreService | undefined
    const closed = async (): Promise<never> => {
      throw new FnaError('FNA_ERR_CLOSED', 'a store plugin has no state beside itself')
    }
    const none = { get: closed, put: closed, delete: closed, list: closed }
    return {
      id: plugin.id,
      log: child(s.log, plugin.id),
      signal: s.signal,
      agent: { host: s.config.host, domains: s.config.domains, directory: join(s.config.data, plugin.id) },
      state: store ? sealed(store.bucket(`plugin:${plugin.id}`), s.key) : none,
      dial: s.dial,
      resolve: s.resolve,
      clock: s.clock,
      hash: (work, who) => hashQueue.run(work, who),
    }
  }
}

function child(log: Logger, plugin: string): Logger {
  const with_ = (level: 'debug' | 'info' | 'warn' | 'error') => (o: object, m?: string) =>
    log[level]({ plugin, ...o }, m)
  return { debug: with_('debug'), info: with_('info'), warn: with_('warn'), error: with_('error') }
}

/** What others are told: the config's word, or where we listen. */
function addressOf(config: Config, bound: readonly Address[]): Registrar['agent'] {
  const first = bound[0]
  const advertised = config.advertise?.split(':')
  const port = advertised ? Number(advertised[1]) : (first?.port ?? 61_000)
  const specific = bound.map(a => a.host).filter(h => h !== '::' && h !== '0.0.0.0')
  const tls = bound.find(a => a.port === port)?.protocol === 'tls'
  return { host: advertised?.[0] ?? config.host, port, tls, addresses: config.addresses ?? [...new Set(specific)] }
}

/** Namespaces of the config are made where they are missing. */
async function seed(k: Kernel, c: Call): Promise<void> {
  const bound = k.config.domains.map(d => ({ name: d, domain: d })).filter(d => k.registrar.serviceFor(d.name))
  await k.registrar.agentNames(bound, c)
  for (const n of k.config.namespaces ?? []) {
    const spec = typeof n === 'string' ? { name: n } : n
    if (k.resources.get('Namespace', spec.name)) continue
    const zone = domainOf(k.config.domains, spec.name)
    if (zone === undefined) throw new FnaError('FNA_ERR_CONFIG', `namespaces: ${spec.name} lies in none of domains`)
    const broker = spec.broker ?? k.brokers.default?.id
    if (broker === undefined)
      throw new FnaError('FNA_ERR_CONFIG', 'namespaces: the config has no broker plugin that holds flows')
    const owner = spec.owner ?? k.config.administrators?.[0] ?? `postmaster@${zone}`
    await k.resources.create(
      {
        kind: 'Namespace',
        name: spec.name,
        spec: { owner, broker, zone },
        finalizers: ['fnaad/names'],
        status: { conditions: [] },
      },
      c,
    )
  }
}

/** Keys that prove our domains, where the DNS plugin may write them. */
async function publishKeys(k: Kernel, c: Call): Promise<void> {
  for (const l of k.loaded) {
    if (l.plugin.manifest.kind === 'auth') await k.registrar.keys(await (l.service as AuthService).records(c), c)
  }
}

async function every(k: Kernel, ms: number, signal: AbortSignal, work: () => void): Promise<void> {
  while (!signal.aborted) {
    await k.clock.timer(ms, signal)
    if (!signal.aborted) work()
  }
}
