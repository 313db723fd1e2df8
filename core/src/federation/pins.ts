import { signalAfter } from '@fnaa/client'
import type { Identity } from '../contract/auth.js'
import type { Call } from '../contract/common.js'
import { isFna } from '../contract/errors.js'
import type { Kinds } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import type { Kernel } from '../kernel.js'
import { iso } from '../resources/clock.js'
import { Callbacks } from './callback.js'
import { isRevoked } from './revoked.js'
import { isTombstone } from './wish.js'

type Status = Kinds['Peer']['status']
type Level = NonNullable<Identity['level']>

const MOST_STRANGERS = 10_000
const MOST_KEYS = 8
const MOST_REVOKED = 16
const DAY_MS = 86_400_000
/** Below the level that a domain had, it is not let in for so long. */
const PIN_MS = 30 * DAY_MS
const RANK: Readonly<Record<string, number>> = { dns: 0, pkix: 1, dnssec: 2 }
const rank = (level: string | undefined): number => (level === undefined ? -1 : (RANK[level] ?? -1))

/** A key does not stand any more: `revoked` where its record says so, which holds for good; `gone` may be undone. */
type WhyGone = 'gone' | 'revoked'

/** What becomes of a domain's record when it proves itself, and whether it may come in. */
interface Judged {
  readonly status: Status
  /** For the log. */
  readonly refused?: string
}

/**
 * What is remembered of each domain that has proved itself: its level and its keys (security §4.2). One whose keys all went
 * at once, or whose level fell, may have another owner: what it was granted rests, and our owner is asked (hardening H8).
 */
export class Pins {
  readonly #k: Kernel
  readonly #callbacks: Callbacks

  constructor(kernel: Kernel) {
    this.#k = kernel
    this.#callbacks = new Callbacks(kernel)
  }

  /** Why the owner has to be asked before the domain gets anything back; undefined where nothing is the matter. */
  suspended(domain: string): Status['suspended'] {
    return this.#k.resources.get('Peer', domain)?.status.suspended
  }

  /** May it come in? Remembers it. @returns null, or why not (for the log) */
  async admit(who: Identity, address: string): Promise<string | null> {
    const { resources } = this.#k
    if (this.#k.peers.blocked(who.principal)) return `${who.principal} is blocked`
    if (!this.#suffices(who))
      return `level ${who.level ?? 'none'} of ${who.principal} does not suffice: see trust in the config`
    const c = { signal: signalAfter(30_000) }
    const known = resources.get('Peer', who.principal)
    if (!known) {
      await this.#remember(who, address, c)
      return null
    }
    await this.#voucherStands(known.status, who, c)
    let refused: string | undefined
    let before: Status = known.status
    const stake = this.#atStake(who.principal)
    const now = await resources.update(
      'Peer',
      who.principal,
      p => {
        before = p.status
        const judged = judge({ ...p.status, address }, who, this.#k.clock.now(), stake)
        refused = judged.refused
        return { status: judged.status }
      },
      c,
    )
    if (!before.suspended !== !(now?.status ?? before).suspended) await this.#turned(who.principal)
    return refused ?? null
  }

  /**
   * The identity with the level that the domain's own host adds to a key from unsigned DNS, where that matters.
   * @throws FNA_ERR_UNAVAILABLE where that host cannot be asked now
   */
  async raised(who: Identity, address: string): Promise<Identity> {
    if (who.level !== 'dns' || this.#k.peers.blocked(who.principal)) return who
    const pinned = rank(this.#k.resources.get('Peer', who.principal)?.status.level) > rank('dns')
    if (this.#suffices(who) ? !pinned : !this.#suffices({ ...who, level: 'pkix' })) return who
    return (await this.#callbacks.confirms(who, address)) ? { ...who, level: 'pkix' } : who
  }

  /**
   * A key does not stand any more. Where the domain used it last, nothing of it holds until the domain proves itself again;
   * with a revoked one it never does.
   */
  async lost(domain: string, fingerprint: string, why: WhyGone = 'gone'): Promise<void> {
    const { resources, sessions, peers } = this.#k
    sessions.cut(s => s.identity?.principal === domain && s.identity.key?.fingerprint === fingerprint)
    peers.drop(domain, fingerprint)
    const stake = this.#atStake(domain)
    let turned = false
    await resources.update(
      'Peer',
      domain,
      p => {
        const status = withdrawn(p.status, fingerprint, why, this.#k.clock.now(), stake)
        turned = !p.status.suspended && status.suspended !== undefined
        return { status }
      },
      { signal: signalAfter(30_000), reserve: true },
    )
    if (turned) await this.#turned(domain)
  }

  /** The owner's word: what the domain shows now is what it is from here on. */
  async trust(domain: string, c: Call): Promise<void> {
    const seen = iso(this.#k.clock.now())
    await this.#k.resources.update(
      'Peer',
      domain,
      p => {
        const { suspended, level: _level, levelAt: _at, keys: _keys, revoked: were = [], ...status } = p.status
        const keys = suspended?.key ? [{ ...suspended.key, seen }] : []
        // Nothing else gives a revoked key back.
        const revoked = suspended ? were.filter(key => key !== suspended.key?.fingerprint) : []
        // Of one that has not come back yet its keys are forgotten, and nothing else.
        const level = suspended && (suspended.level ?? p.status.level)
        const rest = { ...(revoked.length > 0 && { revoked }), ...(level !== undefined && { level, levelAt: seen }) }
        return { status: { ...status, keys, ...rest } }
      },
      { ...c, reserve: true },
    )
    await this.#turned(domain)
  }

  /** Before the word of another key is taken: it may have been revoked since the last look at it. */
  async #voucherStands({ keys = [], level }: Status, who: Identity, c: Call): Promise<void> {
    const by = keys.find(k => k.fingerprint === who.key?.succeeds)
    if (!by || keys.some(k => k.fingerprint === who.key?.fingerprint)) return
    if (await isRevoked(this.#k, who.principal, by.selector, level === 'dnssec', c))
      await this.lost(who.principal, by.fingerprint, 'revoked')
  }

  /** All domains on which something hangs, as they are now. */
  relied(): ReadonlySet<string> {
    const subscribers = this.#k.resources.list('Subscriber').filter(s => !isTombstone(s))
    return new Set([...this.#trusted(), ...subscribers.map(s => s.spec.peer)])
  }

  #suffices(who: Identity): boolean {
    const { trust } = this.#k.config
    if (who.level === 'dnssec' || who.level === 'pkix') return (trust?.levels ?? ['dnssec', 'pkix']).includes(who.level)
    return trust?.dns?.includes(who.principal) ?? false
  }

  /** Does anything hang on whose domain it is: a subscription either way, or a grant? */
  #atStake(domain: string): boolean {
    const theirs = this.#k.resources.by('Subscriber', 'peer', domain)
    return theirs.some(s => !isTombstone(s)) || this.#trusted().has(domain)
  }

  /** Domains of which we have subscribed to something, or to which something was granted. */
  #trusted(): ReadonlySet<string> {
    const { resources } = this.#k
    const sources = resources.list('Subscription').flatMap(s => s.status.peer ?? [])
    const granted = resources.list('Grant').map(g => g.spec.to.slice(g.spec.to.lastIndexOf('@') + 1))
    return new Set([...sources, ...granted])
  }

  /** Suspended, or not any more: whatever is under way is looked at again. */
  async #turned(domain: string): Promise<void> {
    const { resources, sessions, queue, peers, subscriptions, log, audit } = this.#k
    const suspended = this.suspended(domain)
    if (suspended) {
      const advice = `UPDATE PEER ${domain} TRUST yes accepts it as it is now`
      log.warn({ peer: domain, ...suspended }, `${WHY[suspended.why]}: what it was granted rests; ${advice}`)
    }
    await audit.write({
      what: suspended ? 'suspend' : 'restore',
      who: domain,
      ...(suspended && { detail: suspended.why }),
    })
    sessions.cut(s => s.identity?.type === 'domain' && s.identity.principal === domain)
    peers.drop(domain)
    for (const s of resources.by('Subscriber', 'peer', domain).filter(s => !isTombstone(s))) {
      queue.add(`Subscriber/${s.name}`, { urgent: true })
      // Its next SUBSCRIBE provisions again (federation rule 4).
      if (!suspended) peers.hint(domain, s.spec.flow, s.name)
    }
    for (const s of resources.list('Subscription').filter(s => s.status.peer === domain)) {
      subscriptions.markDue(s.name)
      queue.add(`Subscription/${s.name}`, { urgent: true })
    }
  }

  /** Strangers without a grant are bounded (hardening H9). */
  async #remember(who: Identity, address: string, c: Call): Promise<void> {
    const { resources, clock } = this.#k
    // Who is not remembered is a stranger again the next time: no reason to let nobody in.
    if (!(await this.#k.room.for('strangers'))) return
    if (resources.count('Peer') >= MOST_STRANGERS) await this.#forgetOne(c)
    const status = judge({ conditions: [], address }, who, clock.now(), false).status
    await resources
      .create({ kind: 'Peer', name: who.principal, spec: {}, finalizers: [], status }, c)
      .catch(e => (isFna(e, 'FNA_ERR_EXISTS') ? undefined : Promise.reject(e)))
  }

  async #forgetOne(c: Call): Promise<void> {
    const { resources } = this.#k
    const relied = this.#trusted()
    const kept = (p: Resource<'Peer'>) => p.spec.blocked === true || p.status.suspended || relied.has(p.name)
    const stranger = resources
      .list('Peer')
      .filter(p => !kept(p) && resources.by('Subscriber', 'peer', p.name).length === 0)
      .sort((a, b) => (a.status.keys?.at(-1)?.seen ?? '').localeCompare(b.status.keys?.at(-1)?.seen ?? ''))[0]
    if (stranger) await resources.delete('Peer', stranger.name, c, stranger.uid)
  }
}

const WHY = {
  keys: 'none of the keys of a domain that were known stands any more',
  level: 'a domain has proved itself at a lower level than before',
} as const

/**
 * The rule. A key is known when it was used before, or when one that was vouches for it: that an old key still stands in DNS
 * says nothing, since whoever buys a domain may leave it there. A revoked key is known no more, and its word is worth
 * nothing: somebody else may have it, and may write the domain's records as well.
 */
export function judge(status: Status, who: Identity, now: number, stake: boolean): Judged {
  const keys = status.keys ?? []
  const mine = who.key && { selector: who.key.selector, fingerprint: who.key.fingerprint }
  const revoked = mine !== undefined && (status.revoked ?? []).includes(mine.fingerprint)
  const known =
    !who.key ||
    (!revoked &&
      ((keys.length === 0 && !status.suspended) ||
        keys.some(k => k.fingerprint === who.key?.fingerprint || k.fingerprint === who.key?.succeeds)))
  const lower = rank(who.level) < rank(status.level)
  const pinned = lower && now - Date.parse(status.levelAt ?? iso(now)) < PIN_MS
  const refused = pinned ? { refused: `${who.principal} had level ${status.level} less than 30 days ago` } : {}
  if (revoked && !stake && !status.suspended) return { status, refused: `${who.principal} has revoked that key` }
  if (known && !lower) {
    const { suspended: _over, ...rest } = status
    return { status: { ...rest, ...levelOf(status, who.level, now), keys: remembered(keys, mine, now) } }
  }
  if (stake || status.suspended) {
    const why = known ? 'level' : 'keys'
    const since = status.suspended?.since ?? iso(now)
    const shown = { ...(who.level ? { level: who.level } : {}), ...(mine ? { key: mine } : {}) }
    return { status: { ...status, suspended: { since, why, ...shown } }, ...refused }
  }
  if (pinned) return { status, ...refused }
  const level = levelOf({ conditions: [] }, who.level, now)
  return { status: { ...status, ...level, keys: remembered([], mine, now) } }
}

/**
 * What is left when a key does not stand any more. Only a key that the domain was known by is remembered as revoked: a
 * thief's own ones, revoked in a row, would push that one out.
 */
export function withdrawn(status: Status, fingerprint: string, why: WhyGone, now: number, stake: boolean): Status {
  const { keys = [], revoked = [] } = status
  if (!keys.some(k => k.fingerprint === fingerprint)) return status
  const ended = stake && !status.suspended && keys.at(-1)?.fingerprint === fingerprint
  return {
    ...status,
    ...(ended && { suspended: { since: iso(now), why: 'keys' } }),
    ...(why === 'revoked' && {
      keys: keys.filter(k => k.fingerprint !== fingerprint),
      revoked: [...revoked.filter(key => key !== fingerprint), fingerprint].slice(-MOST_REVOKED),
    }),
  }
}

/** When a level was last seen is written once a day. */
function levelOf(status: Status, level: Level | undefined, now: number): Pick<Status, 'level' | 'levelAt'> {
  if (level === undefined) return {}
  const fresh = status.level === level && now - Date.parse(status.levelAt ?? '1970-01-01') < DAY_MS
  return fresh ? {} : { level, levelAt: iso(now) }
}

type Key = NonNullable<Status['keys']>[number]

/** The one that was used last stands last. */
function remembered(keys: readonly Key[], mine: Omit<Key, 'seen'> | undefined, now: number): readonly Key[] {
  if (!mine || keys.at(-1)?.fingerprint === mine.fingerprint) return keys
  const others = keys.filter(k => k.fingerprint !== mine.fingerprint)
  return [...others, { ...mine, seen: iso(now) }].slice(-MOST_KEYS)
}
