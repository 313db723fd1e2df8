import { findNamespace, type Reply, type ResolveAny, signalAfter } from '@fnaa/client'
import { fnapError, formatCommand, formatPair, isName, isWithin, jsonLine, parseItem } from '@fnaa/protocol'
import type { Words } from '../commands/command.js'
import type { Call } from '../contract/common.js'
import { isFna } from '../contract/errors.js'
import type { Kernel } from '../kernel.js'
import { domainOf, UNSEEN } from '../names/names.js'
import type { Result } from '../server/session.js'
import { AntiEntropy } from './anti-entropy.js'
import { type At, DOMAINKEY, logIn, logInAt, type Pooled, remote } from './login.js'

/** What a stranger's error may be to our user: another symbol could close the session, or send it elsewhere. */
const RELAYED = ['NOTFOUND', 'DENIED', 'NOTSUPPORTED'] as const
const RELAY_CACHE_MS = 10_000
const RELAYS_A_MINUTE = 60
/** `421 MOVED` in a row (hardening H18). */
const MOST_MOVES = 3

/** What names say about who speaks for a flow. */
export interface Place {
  readonly namespace: string
  readonly domain: string
  /** What was looked for, and found there. */
  readonly name: string
}

/** Other participants' agents: whom we have met, how we reach them, one authenticated connection a domain. */
export class Peers {
  readonly #k: Kernel
  readonly #pool = new Map<string, Promise<Pooled>>()
  readonly #entropy: AntiEntropy
  readonly #relayed = new Map<string, { at: number; result: Result }>()
  readonly #relays = new Map<string, { since: number; count: number }>()

  constructor(kernel: Kernel) {
    this.#k = kernel
    this.#entropy = new AntiEntropy(kernel)
  }

  known(domain: string): boolean {
    return this.#k.resources
      .by('Subscriber', 'peer', domain)
      .some(s => s.status.phase !== 'pending' && s.spec.generation > 0)
  }
  blocked(domain: string): boolean {
    return this.#k.resources.get('Peer', domain)?.spec.blocked === true
  }

  /** Which namespace, whose identity (design §5). @throws FnapError NOTFOUND, UNAVAILABLE */
  async find(flow: string, c: Call, self = false): Promise<Place> {
    try {
      const { namespace, domain } = await findNamespace(this.#k.resolve as ResolveAny, flow, c, { self })
      return { namespace, domain, name: flow }
    } catch (e) {
      if (isFna(e, 'FNA_ERR_NOTFOUND')) {
        // Of our own names: as of a flow that is not shown, so that a namespace here cannot be told from none.
        const why = domainOf(this.#k.config.domains, flow)
          ? UNSEEN
          : 'no agent says that it serves a namespace of that name'
        throw fnapError('NOTFOUND', why, e)
      }
      // What a name server said, in our own fixed words.
      const said =
        (e as { rcode?: number }).rcode !== undefined || isFna(e, 'FNA_ERR_TIMEOUT') ? `: ${messageOf(e)}` : ''
      throw fnapError('UNAVAILABLE', `the names of that flow could not be resolved${said}`, e)
    }
  }

  /**
   * One command to the agent of a place, over its authenticated connection; a broken one is made again, once. `421 MOVED` is followed
   * where the same domain proves itself (hardening H18, federation rule 15).
   * @returns `421 MOVED` itself where another domain speaks for the name now: who asks looks for it again
   */
  async request(place: Place, line: string, c: Call): Promise<Reply> {
    let breaks = 0
    for (let moves = 0; ; ) {
      const made = this.#connection(place, c)
      const pooled = await made
      try {
        const reply = await pooled.connection.command(line, { signal: c.signal, timeoutMs: 40_000 })
        if (reply.symbol !== 'MOVED' || (await this.#handedOver(place, c))) return reply
        if (!reply.address || ++moves > MOST_MOVES)
          throw fnapError('REMOTE', 'the agent of that flow has moved, and nobody says where to')
        await this.#follow(place, pooled, reply.address, c)
      } catch (e) {
        if (this.#pool.get(place.domain) === made) this.#pool.delete(place.domain)
        pooled.connection.destroy()
        // Broken, or ended here because the key that proved it went: the domain proves itself anew.
        const broken = isFna(e, 'FNA_ERR_UNAVAILABLE') || isFna(e, 'FNA_ERR_CLOSED')
        if (breaks++ > 0 || c.signal.aborted || !broken) throw remote(e)
      }
    }
  }

  /** Does another domain speak for the name by now? Not knowing is no reason to believe it. */
  async #handedOver(place: Place, c: Call): Promise<boolean> {
    const self = place.name === place.namespace
    const now = await this.find(place.name, { ...c, fresh: true }, self).catch(() => place)
    return now.domain !== place.domain
  }

  async #follow(place: Place, from: Pooled, at: At, c: Call): Promise<void> {
    const current = await this.#pool.get(place.domain)?.catch(() => undefined)
    // Another command has followed already.
    if (current && current !== from) return
    this.#k.log.info({ peer: place.domain, ...at }, 'the agent of a domain has moved')
    this.drop(place.domain)
    await this.#pooled(place, logInAt(this.#k, place, from, at, c))
  }

  /** Ends our connection to a domain: any, or the one that a key has proved which went. */
  drop(domain: string, fingerprint?: string): void {
    const pooled = this.#pool.get(domain)
    if (fingerprint === undefined) this.#pool.delete(domain)
    void pooled
      ?.then(p => {
        if (fingerprint !== undefined && p.identity.key?.fingerprint !== fingerprint) return
        if (this.#pool.get(domain) === pooled) this.#pool.delete(domain)
        p.connection.destroy()
      })
      .catch(() => undefined)
  }

  levelOf(domain: string): Promise<string | undefined> | undefined {
    return this.#pool.get(domain)?.then(p => p.identity.level)
  }

  #connection(place: Place, c: Call): Promise<Pooled> {
    return this.#pool.get(place.domain) ?? this.#pooled(place, logIn(this.#k, place, c))
  }

  #pooled(place: Place, made: Promise<Pooled>): Promise<Pooled> {
    this.#pool.set(place.domain, made)
    const gone = () => this.#pool.get(place.domain) === made && this.#pool.delete(place.domain)
    made.then(
      p => {
        this.#entropy.run(place)
        void p.connection.closed.then(gone)
      },
      () => gone(),
    )
    return made
  }

  /** Rule 3: a hint without content. Nobody waits for it, nothing depends on it. */
  hint(domain: string, flow: string, id: string): void {
    if (this.#k.config.domains.includes(domain)) {
      this.#k.subscriptions.poke(id)
      return
    }
    void flow
    const c = { signal: signalAfter(20_000) }
    void this.find(domain, c, true)
      .then(place => {
        if (place.domain !== domain) return
        return this.request(place, formatCommand('NOTIFY', { id }, {}), c)
      })
      .catch(e => this.#k.log.debug({ peer: domain, err: e }, 'notify not delivered'))
  }

  /** DESCRIBE FLOW of a foreign name, for a user of ours (hardening H10). */
  relayDescribe(user: string, flow: string, o: Words, c: Call): Promise<Result> {
    const format = o['format'] === 'json' ? { format: 'json' } : {}
    const full = o['full'] ? { full: true } : {}
    return this.#relay(
      user,
      flow,
      formatCommand('DESCRIBE FLOW', { flow }, { ...full, ...format, for: user }),
      c,
      '',
      lines => (o['format'] === 'json' ? [jsonLine(JSON.parse(lines[0] ?? '{}'))] : lines.flatMap(cleanPair)),
    )
  }

  /** GET FLOWS of a foreign namespace; names outside it are dropped. */
  relayList(user: string, namespace: string, o: Words, c: Call): Promise<Result> {
    return this.#relay(
      user,
      namespace,
      formatCommand('GET FLOWS', { namespace }, { for: user }),
      c,
      JSON.stringify(o),
      (lines, place) => {
        const names = lines
          .map(l => parseItem(l).get('flow') ?? '')
          .filter(n => isName(n) && isWithin(n, place.namespace) && n !== place.namespace)
          .filter(n => o['after'] === undefined || n > (o['after'] as string))
          .sort()
          .slice(0, (o['max'] as number | undefined) ?? Number.POSITIVE_INFINITY)
        return o['format'] === 'json' ? [jsonLine(names.map(flow => ({ flow })))] : names.map(n => `flow=${n}`)
      },
    )
  }

  /** Finds who speaks for a name, and asks; again where another one does by now. @throws FnapError */
  async ask(name: string, line: string, c: Call, self = false): Promise<{ place: Place; reply: Reply }> {
    for (const call of [c, { ...c, fresh: true }]) {
      const place = await this.find(name, call, self)
      if (this.#k.config.domains.includes(place.domain)) throw fnapError('NOTFOUND', UNSEEN)
      const reply = await this.request(place, line, c)
      if (reply.symbol !== 'MOVED' || call.fresh) return { place, reply }
    }
    throw new Error('unreachable')
  }

  async #relay(
    user: string,
    name: string,
    line: string,
    c: Call,
    shape: string,
    write: (lines: readonly string[], p: Place) => string[],
  ): Promise<Result> {
    if (!this.#k.mechanisms.get(DOMAINKEY)?.initiate) throw fnapError('NOTFOUND', UNSEEN)
    const now = this.#k.clock.now()
    const key = `${line} ${shape}`
    const cached = this.#relayed.get(key)
    if (cached && now - cached.at < RELAY_CACHE_MS) return cached.result
    this.#spend(user, now)
    const { place, reply } = await this.ask(name, line, c, line.startsWith('GET'))
    if (reply.kind === 'error')
      throw fnapError(RELAYED.find(symbol => symbol === reply.symbol) ?? 'REMOTE', 'so says the agent of the owner')
    const result = { lines: written(() => write(reply.lines, place)), wide: true }
    if (this.#relayed.size > 1000) this.#relayed.clear()
    this.#relayed.set(key, { at: now, result })
    return result
  }

  #spend(user: string, now: number): void {
    const spent = this.#relays.get(user)
    if (!spent || now - spent.since > 60_000) this.#relays.set(user, { since: now, count: 1 })
    else if (++spent.count > RELAYS_A_MINUTE) throw fnapError('RATE', '60 too many questions about foreign names')
    if (this.#relays.size > 10_000) this.#relays.clear()
  }

  async close(): Promise<void> {
    const pooled = await Promise.allSettled(this.#pool.values())
    for (const p of pooled) if (p.status === 'fulfilled') p.value.connection.destroy()
  }
}

/** Written anew: keys and values of a stranger's reply, never its bytes. */
function cleanPair(line: string): string[] {
  const [pair] = parseItem(line)
  const key = pair?.[0].toLowerCase().replace(/[^a-z0-9-]|^-+/g, '')
  const clean = pair && key ? formatPair(key, pair[1]) : null
  return clean === null ? [] : [clean]
}

function written(write: () => string[]): string[] {
  try {
    return write()
  } catch (e) {
    throw fnapError('REMOTE', 'the agent of that flow sent something that is no answer', e)
  }
}

const messageOf = (e: unknown): string => (e instanceof Error ? e.message : String(e))
