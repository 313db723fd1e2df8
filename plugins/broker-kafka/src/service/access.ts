import { createHmac, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { type AccessRequest, type Call, type Credential, type Ctx, FnaError, operatorsDial } from '@fnaa/core/plugin'
import {
  alterClientQuotas,
  alterScramUsers,
  Cluster,
  Connection,
  KafkaError,
  MAY,
  metadata,
  type ScramMechanism,
  said,
  saslHandshake,
} from '@fnaa/kafka-wire'
import type { AclEntry } from 'kafkajs'
import type { Settings } from '../options.js'
import type { Clients } from './clients.js'
import { targetOf } from './dial.js'
import { isLoginRefused, mapped } from './errors.js'
import { allOf, rules, same } from './rights.js'
import { need } from './topics.js'

const derive = promisify(pbkdf2)
/** What Kafka's own tools use; its lowest. The password has 256 bits: nobody finds it by trying. */
const ITERATIONS = 4096
const KEY = 'access-key'
/** Milliseconds until the brokers know of a new user, at most; and between two looks. */
const SETTLE = 10_000
const PAUSE = 50

/**
 * A user whom nobody can log in as. Brokers up to Kafka 4.3.1 that replay their metadata after a restart forget all SCRAM users of a
 * mechanism when a removal is met while none of them is known yet, and they go through them in the order of the names' hashes (Java's
 * `HashMap`; `ScramDelta.apply`). This one's is zero in its lower 20 bits: it comes first in any table, so that no removal of ours is.
 */
export const FIRST = 'fnaad-first-mndit'

/** Users of ours at the cluster: one for each access, named after it, with rights on one topic. */
export class Access {
  readonly #ctx: Ctx
  readonly #s: Settings
  readonly mechanism: ScramMechanism
  /** Whether what a user may use can be limited. */
  readonly quotas: boolean
  #first: Promise<void> | null = null

  constructor(ctx: Ctx, s: Settings, can: Probed) {
    this.#ctx = ctx
    this.#s = s
    this.mechanism = can.mechanism
    this.quotas = can.quotas
  }

  /** @throws FNA_ERR_NOTFOUND, FNA_ERR_DENIED, FNA_ERR_UNAVAILABLE */
  async grant(k: Clients, a: AccessRequest, c: Call): Promise<{ user: string; credential: Credential }> {
    const user = userOf(a.id)
    const { partitions } = await need(k.wire, a.queue, c)
    if (a.limits?.bytesPerSecond !== undefined && !this.quotas)
      throw new FnaError(
        'FNA_ERR_UNSUPPORTED',
        'the cluster lets us limit nobody: ALTER_CONFIGS on the cluster is missing',
      )
    const password = await this.#password(a.id, c)
    try {
      await this.#firstStands(k, c)
      await this.#put(k, user, password, c)
      if (this.quotas) await limit(k.wire, user, { rate: a.limits?.bytesPerSecond, partitions: partitions.length }, c)
      await this.#allow(k, user, rules(user, a))
      await this.#usable(user, password, a, c)
    } catch (e) {
      throw mapped(e, `access ${a.id} to topic ${a.queue} cannot be given`)
    }
    return { user, credential: { mechanism: this.mechanism, values: { user, password } } }
  }

  /** Rights first: they end what is open, the user's end keeps it from coming back. */
  async revoke(k: Clients, id: string, c: Call): Promise<'revoked' | 'absent'> {
    const user = userOf(id)
    try {
      await this.#firstStands(k, c)
      const admin = await k.admin()
      const { filterResponses } = await admin.deleteAcls({ filters: [allOf(user)] })
      const rights = filterResponses.flatMap(f => f.matchingAcls)
      const users = await alterUsers(k.wire, { remove: [{ user, mechanism: this.mechanism }], put: [] }, c)
      if (this.quotas) await limit(k.wire, user, {}, c)
      return rights.length > 0 || users > 0 ? 'revoked' : 'absent'
    } catch (e) {
      throw mapped(e, `access ${id} cannot be taken away`)
    }
  }

  /** Made before any other, once in the agent's life; who finds it there makes nothing worse. */
  #firstStands(k: Clients, c: Call): Promise<void> {
    this.#first ??= this.#put(k, FIRST, randomBytes(32).toString('base64url'), c).catch(e => {
      this.#first = null
      throw e
    })
    return this.#first
  }

  async #put(k: Clients, user: string, password: string, c: Call): Promise<void> {
    const salt = randomBytes(24)
    const [hash, length] = this.mechanism === 'SCRAM-SHA-256' ? ['sha256', 32] : (['sha512', 64] as const)
    const salted = await this.#ctx.hash(() => derive(password, salt, ITERATIONS, length as number, hash as string))
    const put = [{ user, mechanism: this.mechanism, iterations: ITERATIONS, salt, salted }]
    await alterUsers(k.wire, { remove: [], put }, c)
  }

  /** What stands beside the wanted rules goes, so that repeating a grant with fewer rights takes the others away. */
  async #allow(k: Clients, user: string, wanted: readonly AclEntry[]): Promise<void> {
    const admin = await k.admin()
    const { resources } = await admin.describeAcls(allOf(user))
    const had = resources.flatMap(({ acls, ...r }) => acls.map(a => ({ ...r, ...a })))
    const missing = wanted.filter(w => !had.some(h => same(h, w)))
    const surplus = had.filter(h => !wanted.some(w => same(h, w)))
    if (surplus.length > 0) await admin.deleteAcls({ filters: surplus })
    if (missing.length > 0) await admin.createAcls({ acl: missing })
  }

  /** Each broker hears of users and rights by itself: a credential is handed out when all of them let it in. */
  async #usable(username: string, password: string, a: AccessRequest, c: Call): Promise<void> {
    const { servers, tls } = this.#s
    const sasl = { mechanism: this.mechanism, username, password }
    const cluster = new Cluster({ servers, dial: operatorsDial, sasl, ...(tls && { tls }) })
    const end = performance.now() + SETTLE
    try {
      for (;;) {
        const refused = await refusals(cluster, a.queue, mayOf(a), c).catch(e => e as Error)
        if (refused === null) return
        if (performance.now() > end || c.signal.aborted) throw refused
        await new Promise(resolve => setTimeout(resolve, PAUSE))
      }
    } finally {
      cluster.close()
    }
  }

  /** The same for the same access, and kept nowhere: made from its id and a key in the agent's sealed state. */
  async #password(id: string, c: Call): Promise<string> {
    const { state } = this.#ctx
    let kept = (await state.get(KEY, c))?.value
    if (!kept) {
      const made = randomBytes(32)
      await state.put(KEY, made, { ifRevision: null, durable: true }, c).catch(e => {
        if ((e as FnaError).code !== 'FNA_ERR_CONFLICT') throw e
      })
      kept = (await state.get(KEY, c))?.value
    }
    if (!kept) throw new FnaError('FNA_ERR_UNAVAILABLE', 'the key of passwords has gone from the state')
    return createHmac('sha256', kept).update(`password of ${id}`).digest('base64url')
  }
}

export interface Probed {
  readonly mechanism: ScramMechanism
  readonly quotas: boolean
}

/**
 * Which SCRAM mechanism users can be issued for; null where the cluster issues none: it has no authorizer, its listener no
 * SCRAM, or the user of `sasl` not the right (ALTER on the cluster). Undefined where that could not be found out yet.
 * @throws FNA_ERR_UNAVAILABLE
 */
export async function probe(k: Clients, s: Settings, c: Call): Promise<Probed | null | undefined> {
  // Who comes without a login has no use for a user.
  if (s.access === 'none' || !s.sasl) return null
  try {
    const mechanism = await offered(s, c)
    if (!mechanism) return null
    // Nobody's user is removed: that there is none is said only to those who may.
    await alterUsers(k.wire, { remove: [{ user: 'fnaad-nobody', mechanism }], put: [] }, c)
    await (await k.admin()).describeAcls(allOf('fnaad-nobody'))
    return { mechanism, quotas: await mayLimit(k.wire, c) }
  } catch (e) {
    const known = mapped(e, 'access cannot be given')
    if (known.code === 'FNA_ERR_UNAVAILABLE') throw known
    // One broker has let us in by now; that another does not know us yet says nothing of what we may.
    if (isLoginRefused(e)) return undefined
    return null
  }
}

async function mayLimit(wire: Cluster, c: Call): Promise<boolean> {
  try {
    await limit(wire, 'fnaad-nobody', { validateOnly: true }, c)
    return true
  } catch (e) {
    if (mapped(e, '').code === 'FNA_ERR_UNAVAILABLE') throw e
    return false
  }
}

/**
 * What a user may read and write in bytes a second, or whatever it likes. Each broker counts by itself: so many as can lead a
 * partition of the topic share it, so that all together give no more.
 */
async function limit(
  wire: Cluster,
  user: string,
  to: { readonly rate?: number | undefined; readonly partitions?: number; readonly validateOnly?: boolean },
  c: Call,
): Promise<void> {
  await wire.retry(
    async () => {
      const { controller, nodes } = await wire.metadata([], c)
      const sharing = Math.max(1, Math.min(nodes.length, to.partitions ?? 1))
      const value = to.rate === undefined ? null : Math.max(1, to.rate / sharing)
      const values = new Map([
        ['consumer_byte_rate', value],
        ['producer_byte_rate', value],
      ])
      const connection = await wire.node(controller, 'control', c)
      const request = { changes: [{ user, values }], validateOnly: to.validateOnly ?? false }
      for (const a of await connection.request(alterClientQuotas, request))
        if (a.error !== 0) throw new KafkaError(a.error, `the quotas of user ${user}: ${said(a.message ?? '')}`)
    },
    c,
    5_000,
  )
}

async function offered(s: Settings, c: Call): Promise<ScramMechanism | null> {
  const own = s.sasl!.mechanism
  if (own === 'SCRAM-SHA-256' || own === 'SCRAM-SHA-512') return own
  // What a listener offers is told to who asks for what it does not offer, before any login.
  const at = targetOf(s.servers[0]!, s.tls)
  const connection = await Connection.open(at, { dial: operatorsDial }, c)
  try {
    const { mechanisms } = await connection.request(saslHandshake, { mechanism: '?' })
    return (['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const).find(m => mechanisms.includes(m)) ?? null
  } finally {
    connection.destroy()
  }
}

const NOT_AUTHORIZED = 29
const mayOf = (a: AccessRequest): number => a.rights.reduce((bits, right) => bits | MAY[right], MAY.describe)

/** What the first broker that refuses says; null where none does. One that is down refuses nobody. */
async function refusals(cluster: Cluster, topic: string, rights: number, c: Call): Promise<Error | null> {
  const { nodes } = await cluster.metadata([], c)
  for (const node of nodes) {
    const connection = await cluster.node(node.id, 'control', c).catch(e => {
      if ((e as FnaError).code === 'FNA_ERR_UNAVAILABLE') return null
      throw e
    })
    const found = (await connection?.request(metadata, { topics: [topic], rights: true }))?.topics[0]
    if (!found) continue
    const lacks = found.rights !== null && (found.rights & rights) !== rights
    const error = found.error !== 0 ? found.error : lacks ? NOT_AUTHORIZED : 0
    if (error !== 0) return new KafkaError(error, `broker ${node.id}`)
  }
  return null
}

/** @returns how many of those to be removed were there */
async function alterUsers(
  wire: Cluster,
  change: Parameters<typeof alterScramUsers.encode>[1],
  c: Call,
): Promise<number> {
  return wire.retry(
    async () => {
      const { controller } = await wire.metadata([], c)
      const connection = await wire.node(controller, 'control', c)
      const answers = await connection.request(alterScramUsers, change)
      for (const a of answers) {
        if (a.error !== 0 && a.error !== NO_SUCH_USER)
          throw new KafkaError(a.error, `user ${a.user}: ${a.message ?? ''}`)
      }
      return answers.filter(a => a.error === 0).length
    },
    c,
    5_000,
  )
}
const NO_SUCH_USER = 91

/** @throws FNA_ERR_INVALID for what could be taken for more than a name */
function userOf(id: string): string {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(id))
    throw new FnaError('FNA_ERR_INVALID', 'an access id has letters, digits, - and _ only')
  return `fnaad-${id}`
}
