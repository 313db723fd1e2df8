import { FnapConnection, findAgent } from '@fnaa/client'
import { fnapError } from '@fnaa/protocol'
import type { AuthMechanism, Identity } from '../contract/auth.js'
import type { Call } from '../contract/common.js'
import { FnaError, isFna } from '../contract/errors.js'
import type { Kernel } from '../kernel.js'
import { secureAs } from './callback.js'
import type { Place } from './peers.js'

export const DOMAINKEY = 'DOMAINKEY-ED25519'
/** What our own users hear of a domain that is suspended (hardening H8). */
const CHANGED =
  'the domain of that flow proves itself otherwise than before; UPDATE PEER with TRUST yes accepts it as it is now'
/** Of the places that SRV names, so many are tried. */
const MOST_PLACES = 4

/** A connection in which both sides have proved their domains. */
export interface Pooled {
  readonly connection: FnapConnection
  readonly identity: Identity
  /** TLS began with the first byte. */
  readonly implicit: boolean
}
export interface At {
  readonly host: string
  readonly port: number
}

/**
 * Where SRV of the namespace leads. What did not answer may have gone elsewhere meanwhile: then names are asked again, past
 * every cache of ours (federation rule 15).
 */
export async function logIn(k: Kernel, place: Place, c: Call): Promise<Pooled> {
  const m = mechanism(k)
  let last: unknown
  for (const call of [c, { ...c, fresh: true }]) {
    const { places, tls } = await findAgent(k.resolve, place.namespace, call).catch(e => {
      throw fnapError('UNAVAILABLE', 'the agent of that flow could not be found', e)
    })
    for (const at of places.slice(0, MOST_PLACES)) {
      try {
        return await loginAt(k, m, place, at, tls, call)
      } catch (e) {
        last = e
        if (c.signal.aborted) throw remote(last)
      }
    }
    if (!isFna(last, 'FNA_ERR_UNAVAILABLE')) break
  }
  throw remote(last)
}

/**
 * Follows `421 MOVED host:port`: the same domain must prove itself there. Whether TLS begins with the first byte is asked of DNS; where
 * that does not know the place yet, it is tried as it was at the old one, then the other way.
 */
export async function logInAt(k: Kernel, place: Place, from: Pooled, at: At, c: Call): Promise<Pooled> {
  const m = mechanism(k)
  const known = await findAgent(k.resolve, place.namespace, { ...c, fresh: true }).catch(() => undefined)
  const there = known?.places.some(p => p.host === at.host && p.port === at.port)
  let last: unknown
  for (const implicit of there ? [known!.tls] : [from.implicit, !from.implicit]) {
    try {
      return await loginAt(k, m, place, at, implicit, { ...c, fresh: true })
    } catch (e) {
      last = e
      if (c.signal.aborted || isFna(e, 'FNA_ERR_DENIED') || isFna(e, 'FNA_ERR_ADDRESS')) break
    }
  }
  throw remote(last)
}

function mechanism(k: Kernel): AuthMechanism {
  const m = k.mechanisms.get(DOMAINKEY)
  if (!m?.initiate) throw fnapError('NOTSUPPORTED', 'this agent has no plugin that proves its domain to others')
  return m
}

/**
 * The address guard, TLS 1.3 with the domain as SNI, then both sides prove their domains. The certificate is recorded, not
 * required: the key in DNS is the identity (hardening H17).
 */
async function loginAt(k: Kernel, m: AuthMechanism, place: Place, at: At, implicit: boolean, c: Call): Promise<Pooled> {
  const stream = await k.dial({ host: at.host, port: at.port }, c)
  const secure = secureAs(k, place.domain, 'recorded')
  const connection = await FnapConnection.connect(stream, implicit ? { tls: secure } : {}, c)
  try {
    if (!implicit) await connection.starttls(secure, c)
    await connection.capabilities({ signal: c.signal })
    const exchange = m.initiate!(connection.peerInfo() as never, { self: k.config.domains[0]!, target: place.domain })
    const identity = (await connection.authenticate(DOMAINKEY, exchange, { signal: c.signal })) as Identity
    if (identity.type !== 'domain' || identity.principal !== place.domain)
      throw new FnaError('FNA_ERR_DENIED', 'another domain answered')
    const refused = await k.pins.admit(identity, at.host)
    if (refused !== null) throw new FnaError('FNA_ERR_DENIED', refused)
    if (k.pins.suspended(place.domain)) throw fnapError('UNAVAILABLE', CHANGED)
    return { connection, identity, implicit }
  } catch (e) {
    connection.destroy()
    throw e
  }
}

/** What went wrong at another's agent, as our user hears it. */
export function remote(e: unknown): Error {
  if ((e as { symbol?: string }).symbol !== undefined) return e as Error
  if (isFna(e, 'FNA_ERR_ADDRESS'))
    return fnapError('UNAVAILABLE', 'the agent of that flow is at an address that may not be used', e)
  if (isFna(e, 'FNA_ERR_DENIED')) return fnapError('REMOTE', 'the agents could not prove themselves to each other', e)
  return fnapError('REMOTE', 'the agent of that flow does not answer', e)
}
