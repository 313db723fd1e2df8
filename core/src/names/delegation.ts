import { AddressGuard, isLoopback } from '@fnaa/client'
import type { Call, Dial, DialTarget } from '../contract/common.js'
import { FnaError, isFna } from '../contract/errors.js'
import type { Delegation } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import type { Kernel } from '../kernel.js'
import { operatorsDial } from '../operators-dial.js'
import { step } from '../resources/steps.js'
import { type Cut, readCut } from './child-zone.js'

type N = Resource<'Namespace'>
const DNS_PORT = 53

/** The child's name server does not answer; ours may. */
export class ZoneUnreached extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause })
  }
}

/** The child's name server says that its zone is no longer signed, and nothing proves it. */
export class ZoneUnsigned extends Error {}

/** Where the child's zone is asked for, and how much its answer proves. */
interface Source {
  readonly at: DialTarget
  readonly dial: Dial
  readonly ours: boolean
}

/**
 * Writes NS, glue and DS of a namespace that is a zone of its own into the zone above. What it was meant to be is kept first, so
 * that a crash leaves nothing that is not found again.
 * @throws ZoneUnreached, ZoneUnsigned, FNA_ERR_NOTFOUND, FNA_ERR_INVALID, FNA_ERR_ADDRESS of the child's zone, FNA_ERR_UNSUPPORTED,
 * FNA_ERR_EXISTS, FNA_ERR_CONFIG of the zone above
 */
export async function delegate(k: Kernel, n: N, c: Call): Promise<void> {
  const up = k.registrar.above(n.name)
  if (!up) throw new FnaError('FNA_ERR_UNSUPPORTED', `no dns plugin of the config may delegate ${n.name}`)
  const source = sourceOf(k, n)
  // A server that takes its time holds up nothing else.
  const asked = readCut(n.name, source.at, source.dial, c)
  const cut = await k.queue.park(`Namespace/${n.name}`, asked).catch(e => {
    throw isFna(e, 'FNA_ERR_UNAVAILABLE') ? new ZoneUnreached(e) : e
  })
  const proved = source.ours || isLoopback(source.at.host)
  if (!source.ours) judgeGlue(k, cut)
  // Without DS anybody on the way may forge the child: that is not for anybody on the way to bring about.
  if (cut.ds.length === 0 && !proved && (n.status.delegation?.ds.length ?? 0) > 0)
    throw new ZoneUnsigned(`the name server ${source.at.host} says that the zone ${n.name} is not signed: its DS stay`)
  if (cut.ds.length === 0)
    k.log.warn({ namespace: n.name }, 'the zone is not signed: others see its agent at level pkix or dns at most')
  const owners = [...new Set([n.name, ...cut.glue.map(g => g.name)])]
  const made: Delegation = {
    zone: up.zone,
    written: n.status.delegation?.written ?? false,
    servers: cut.servers,
    ds: cut.ds.map(d => `${d.keyTag} ${d.algorithm} ${d.digestType} ${d.digest}`),
    owners: [...new Set([...(n.status.delegation?.owners ?? []), ...owners])],
    ...(proved ? {} : { unproved: source.at.host }),
    ...(n.spec.readings === undefined ? {} : { readings: n.spec.readings }),
  }
  await keep(k, n, made, c)
  step('namespace.create.read')
  if (made.unproved !== undefined)
    k.log.warn(
      { namespace: n.name, ds: made.ds, from: made.unproved },
      "the child's keys were read from its name server over a way that proves nothing: compare the DS with the child's own",
    )
  await k.registrar.delegate(n.name, cut, made.owners, c)
  step('namespace.create.delegated')
  await keep(k, n, { ...made, written: true, owners }, c)
}

/** Does the zone have to be read? Not because it has another title. */
export const isUnread = (n: N): boolean =>
  n.status.delegation?.written !== true || n.status.delegation.readings !== n.spec.readings

/** Glue sends everybody who asks for the child to an address of its choice, us too. */
function judgeGlue(k: Kernel, cut: Cut): void {
  const guard = new AddressGuard({ allow: k.config.network?.allow ?? [] })
  const bad = cut.glue.find(g => !guard.allows(g.address))
  if (bad) throw new FnaError('FNA_ERR_ADDRESS', `the name server ${bad.name} has an address that may not be used`)
}

/** Takes all of it back. What somebody else has put there instead is not ours to remove. */
export async function takeBack(k: Kernel, n: N, c: Call): Promise<void> {
  const made = k.resources.get('Namespace', n.name)?.status.delegation
  if (!made) return
  try {
    await k.registrar.delegate(n.name, null, made.owners, c)
  } catch (e) {
    if (made.written || !isFna(e, 'FNA_ERR_EXISTS')) throw e
  }
}

/** Our own name server by the config, which is ours to trust; another's as its operator or DNS names it, through the guard. */
function sourceOf(k: Kernel, n: N): Source {
  if (n.spec.agent === undefined) {
    const service = k.registrar.serving(n.name)
    if (!service) throw new FnaError('FNA_ERR_NOTFOUND', `no dns plugin of the config serves a zone ${n.name}`)
    return { at: service.server, dial: operatorsDial, ours: true }
  }
  return { at: addressOf(n.spec.nameserver) ?? { host: n.spec.agent, port: DNS_PORT }, dial: k.dial, ours: false }
}

function addressOf(text: string | undefined): DialTarget | undefined {
  const m = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text ?? '')
  return m ? { host: (m[1] ?? m[2])!, port: Number(m[3] ?? DNS_PORT) } : undefined
}

const keep = (k: Kernel, n: N, delegation: Delegation, c: Call) =>
  k.resources.update('Namespace', n.name, now => ({ status: { ...now.status, delegation } }), c, n.uid)
