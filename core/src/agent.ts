import { resolve as resolvePath } from 'node:path'
import { AddressGuard, type DnsServer, makeDial, Resolver } from '@fnaa/client'
import { assemble } from './assemble.js'
import { type Config, PERIODS, SERVER_LIMITS } from './config/define.js'
import { serversOf } from './config/resolvers.js'
import type { Call, Clock, Logger } from './contract/common.js'
import type { DnsService } from './contract/dns.js'
import { FnaError } from './contract/errors.js'
import type { AnyPlugin } from './contract/plugin.js'
import type { Leadership, StoreService } from './contract/store.js'
import { type Booted, boot, DEADLINES, type Deadlines, type Loaded } from './host/boot.js'
import { contexts } from './host/contexts.js'
import type { Kernel } from './kernel.js'
import { createLogger } from './log.js'
import { addressOf, publishKeys, readdress, seed } from './names/seed.js'
import { systemClock } from './resources/clock.js'
import { wake } from './resources/controllers.js'
import { KIND_NAMES } from './resources/resources.js'
import { sealKey } from './resources/seal.js'
import type { Address } from './server/listener.js'
import { loadCertificates, loadRoots } from './tls/certificates.js'

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
/** Addresses of this machine are looked for this often, where others are told them. */
const ADDRESSES_MS = 10_000
/** Names of a former place are looked for this often, and at the start. */
const RETIRE_MS = 60_000
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
      servers: serversOf(config),
      trustAd: config.resolver?.trustAd ?? false,
      trustNetworks: config.resolver?.trustNetworks ?? [],
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
      // Names of our own are found the moment they are made: where they are made.
      for (const l of booted.loaded)
        if (l.plugin.manifest.kind === 'dns') resolver.add(ownServer(l.service as DnsService))
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
        roots: await loadRoots(config),
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
    if (k.config.moved !== undefined) {
      // Its state lives on elsewhere: names, agreements and runs are no longer ours to touch. It proves who it was, and says where.
      k.log.info({ moved: k.config.moved }, 'this agent has moved: it answers 421 MOVED')
      void every(k, 1000, this.#closing.signal, () => k.sessions.sweep(k))
      return
    }
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
    const rotated = () => {
      void k.issued.expire(call).catch(() => undefined)
      void k.access.expire(call).catch(err => k.log.warn({ err }, 'a rotated access is not taken away yet'))
    }
    void every(k, 30_000, this.#closing.signal, rotated)
    void every(k, ADDRESSES_MS, this.#closing.signal, () => {
      void readdress(k, call).catch(err => k.log.warn({ err }, 'addresses not looked for'))
    })
    const retire = () =>
      void k.announcement.retire(call).catch(err => k.log.warn({ err }, 'an old name of this agent stays'))
    retire()
    void every(k, RETIRE_MS, this.#closing.signal, retire)
  }

  /** Puts what proves our domains into DNS, as it stands now. */
  publishKeys(): Promise<void> {
    return publishKeys(this.kernel, { signal: this.#closing.signal })
  }

  /** Waits until every namespace and flow of the config stands. */
  async ready(signal: AbortSignal): Promise<void> {
    if (this.kernel.config.moved !== undefined) return
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

/** A server that listens everywhere is asked here. */
function ownServer({ server, zones }: DnsService): DnsServer {
  const host = server.host === '0.0.0.0' ? '127.0.0.1' : server.host === '::' ? '::1' : server.host
  return { host, port: server.port, zones, authority: true }
}

function service<S>(loaded: readonly Loaded[], kind: string): S {
  const found = loaded.find(l => l.plugin.manifest.kind === kind)
  if (!found) throw new FnaError('FNA_ERR_CONFIG', `the config has no ${kind} plugin`)
  return found.service as S
}

async function every(k: Kernel, ms: number, signal: AbortSignal, work: () => void): Promise<void> {
  while (!signal.aborted) {
    await k.clock.timer(ms, signal)
    if (!signal.aborted) work()
  }
}
