import { randomBytes } from 'node:crypto'
import { testContext } from '@fnaa/conformance'
import type { AuthService, AuthStep, Call, PeerInfo } from '@fnaa/core/plugin'
import { FnaError } from '@fnaa/core/plugin'
import t from 'tap'
import { domainkey } from './index.js'

export const c: Call = { signal: new AbortController().signal }
export const S = 'emiliano.test'
export const P = 'unix.test'
export const issued = { verifier: async () => null }
export const capabilities = 'version=FNAP/1\r\nstarttls=no\r\nauth=DOMAINKEY-ED25519\r\n'

/** What both sides know of one TLS channel. */
export function channel(more: object = {}, exporter = randomBytes(32)): PeerInfo {
  return {
    address: '192.0.2.5',
    loopback: false,
    tls: { version: 'TLSv1.3', exporter: () => exporter, alpn: 'fnap/1', ...more },
    capabilities,
  }
}

export interface Zone {
  texts: Map<string, string[]>
  secure: boolean
  asked: string[]
  fail: boolean
  bogus: boolean
  ttl: number
  /** Where the names of keys lead by CNAME. */
  alias?: string
}

/** Two agents whose `resolve` reads what both publish. */
export async function agents() {
  const zone: Zone = { texts: new Map(), secure: true, asked: [], fail: false, bogus: false, ttl: 300 }
  const resolve = async (name: string) => {
    zone.asked.push(name)
    if (zone.fail) throw new FnaError('FNA_ERR_UNAVAILABLE', 'SERVFAIL')
    const texts = zone.texts.get(name) ?? []
    const records = texts.map(text => ({ name: zone.alias ?? name, ttl: 300, type: 'TXT' as const, strings: [text] }))
    const status = zone.bogus ? ('bogus' as const) : zone.secure ? ('secure' as const) : ('insecure' as const)
    return { records, status, ttl: zone.ttl }
  }
  const make = async (domain: string) => {
    const ctx = Object.assign(testContext([domain, `flows.${domain}`]), { resolve })
    const service = await domainkey({}).setup(ctx)
    return { ctx, service, mechanism: service.mechanisms[0]! }
  }
  const publish = async (service: AuthService) => {
    for (const set of await service.records(c)) {
      zone.texts.set(
        set.owner,
        set.records.flatMap(r => (r.type === 'TXT' ? [r.strings.join('')] : [])),
      )
    }
  }
  const [s, p] = [await make(S), await make(P)]
  await publish(s.service)
  await publish(p.service)
  t.teardown(() => Promise.all([s, p].map(a => a.service.close())))
  return { s, p, zone, publish }
}
export type Agents = Awaited<ReturnType<typeof agents>>

export interface Hook {
  readonly first?: (data: Uint8Array) => Uint8Array
  readonly challenge?: (data: Uint8Array) => Uint8Array
  readonly final?: (data: Uint8Array) => Uint8Array
  readonly target?: string
}

/** One log-in of S to P; each side's last step. */
export async function login(
  a: Agents,
  mine = channel(),
  theirs = mine,
  hook: Hook = {},
): Promise<{ s: AuthStep; p: AuthStep | null }> {
  const initiator = a.s.mechanism.initiate!(mine, { self: S, target: hook.target ?? P })
  const responder = a.p.mechanism.accept(theirs, issued)
  const same = (x: Uint8Array) => x
  const first = await initiator.step(null, c)
  if (first.type !== 'challenge') return { s: first, p: null }
  const challenge = await responder.step((hook.first ?? same)(first.data), c)
  if (challenge.type !== 'challenge') return { s: first, p: challenge }
  const last = await initiator.step((hook.challenge ?? same)(challenge.data), c)
  if (last.type !== 'accept') return { s: last, p: null }
  return { s: last, p: await responder.step((hook.final ?? same)(last.data!), c) }
}
