import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { AuthService, AuthStep, Ctx, PeerInfo } from '@fnaa/core/plugin'
import { FnaError } from '@fnaa/core/plugin'
import { formatInitiator } from '@fnaa/protocol'
import { MemoryKeyValue } from '../memory-kv.js'
import { type AuthCase, type AuthHarness, neverAccepts, nobody, offers, peer, refused, text } from './tools.js'

const MECHANISM = 'DOMAINKEY-ED25519'
const S = 'emiliano.test'
const P = 'unix.test'

/** DNS as both agents see it. */
export interface Zone {
  readonly texts: Map<string, readonly string[]>
  readonly asked: string[]
  state: 'secure' | 'insecure' | 'bogus' | 'away'
}
interface Agents {
  readonly zone: Zone
  readonly s: AuthService
  readonly p: AuthService
}

/** Two agents of the plugin, of two domains, whose look-ups read what both publish. */
export type Pair = (x: AuthHarness) => Promise<Agents>

/** @param setup makes one more instance of the plugin under test */
export function pairOf(setup: (ctx: Ctx) => Promise<AuthService>): Pair {
  return async x => {
    const zone: Zone = { texts: new Map(), asked: [], state: 'secure' }
    const resolve: Ctx['resolve'] = async (name, type) => {
      zone.asked.push(`${type} ${name}`)
      const { state } = zone
      if (state === 'away') throw new FnaError('FNA_ERR_UNAVAILABLE', 'SERVFAIL')
      const records = (zone.texts.get(name) ?? []).map(t => ({ name, ttl: 300, type: 'TXT' as const, strings: [t] }))
      return { records: state === 'bogus' ? [] : records, status: state, ttl: 300 }
    }
    const agent = async (domain: string) => {
      const names = { host: `fnaa.${domain}`, domains: [domain, `flows.${domain}`], directory: x.ctx.agent.directory }
      const service = await setup({ ...x.ctx, agent: names, state: new MemoryKeyValue(), resolve })
      for (const { owner, records } of await service.records(x.c)) {
        zone.texts.set(
          owner,
          records.flatMap(r => (r.type === 'TXT' ? [r.strings.join('')] : [])),
        )
      }
      return service
    }
    return { zone, s: await agent(S), p: await agent(P) }
  }
}

interface Wire {
  readonly theirs?: PeerInfo
  readonly target?: string
  readonly first?: (data: Uint8Array) => Uint8Array
  readonly challenge?: (data: Uint8Array) => Uint8Array
  readonly final?: (data: Uint8Array) => Uint8Array
}
const only = (a: AuthService) => a.mechanisms.find(m => m.name === MECHANISM)!
const same = (data: Uint8Array) => data

/** One log-in of S at P. Each side's last step; null where it did not come to that. */
async function login(
  x: AuthHarness,
  a: Agents,
  mine: PeerInfo,
  wire: Wire = {},
): Promise<{ s: AuthStep; p: AuthStep | null }> {
  const initiator = only(a.s).initiate!(mine, { self: S, target: wire.target ?? P })
  const responder = only(a.p).accept(wire.theirs ?? mine, nobody)
  const first = await initiator.step(null, x.c)
  if (first.type !== 'challenge') return { s: first, p: null }
  const asked = await responder.step((wire.first ?? same)(first.data), x.c)
  if (asked.type !== 'challenge') return { s: first, p: asked }
  const last = await initiator.step((wire.challenge ?? same)(asked.data), x.c)
  if (last.type !== 'accept') return { s: last, p: null }
  return { s: last, p: await responder.step((wire.final ?? same)(last.data ?? new Uint8Array()), x.c) }
}

const kindOf = (step: AuthStep | null) => (step?.type === 'accept' ? step.identity : step?.type)

/** Agents of other organisations: both prove their domains. */
export const domainkeyCases = (pair: Pair): AuthCase[] => {
  const it = (name: string, run: (x: AuthHarness, a: Agents) => Promise<void>): AuthCase => ({
    name: `DOMAINKEY: ${name}`,
    needs: offers(MECHANISM),
    async run(x) {
      const agents = await pair(x)
      try {
        await run(x, agents)
      } finally {
        await Promise.all([agents.s.close(), agents.p.close()])
      }
    },
  })
  return [
    it('both sides prove their domains, at the level of the other one’s key (H16)', async (x, a) => {
      const channel = peer()
      const ok = await login(x, a, channel)
      const served = kindOf(ok.s) as { type: string; principal: string; level: string }
      assert.deepEqual([served.type, served.principal, served.level], ['domain', P, 'dnssec'])
      const identity = kindOf(ok.p) as { type: string; principal: string; level: string; key: { fingerprint: string } }
      assert.deepEqual([identity.type, identity.principal, identity.level], ['domain', S, 'dnssec'])
      assert.ok(identity.key.fingerprint)
      assert.ok(
        a.zone.asked.every(q => /^TXT [a-z0-9-]+\._fnapkey\.(?:unix|emiliano)\.test$/.test(q)),
        a.zone.asked.join(),
      )
    }),
    it('without DNSSEC the level is no higher than the certificate of the agent that was called', async (x, a) => {
      a.zone.state = 'insecure'
      const exporter = randomBytes(32)
      const levels = async (verified: boolean | undefined) => {
        const plain = peer({}, exporter)
        const mine = verified === undefined ? plain : { ...plain, tls: { ...plain.tls!, verified } }
        const { s, p } = await login(x, a, mine, { theirs: plain })
        return [s, p].map(step => (step?.type === 'accept' ? step.identity.level : step?.type))
      }
      assert.deepEqual(await levels(undefined), ['dns', 'dns'])
      assert.deepEqual(await levels(false), ['dns', 'dns'])
      assert.deepEqual(await levels(true), ['pkix', 'dns'])
    }),
    it('nothing is signed for a domain that is not ours', async (x, a) => {
      const { p } = await login(x, a, peer(), { target: 'other.example' })
      refused(p!, 'another target')
      const own = formatInitiator({ n: `flows.${P}`, s: 'x', t: P, cn: randomBytes(24) })
      refused(await only(a.p).accept(peer(), nobody).step(own, x.c), 'one of our own names')
      refused(
        await only(a.s).initiate!(peer(), { self: 'other.example', target: P }).step(null, x.c),
        'a name we do not have',
      )
    }),
    it('who stands between two channels gains nothing', async (x, a) => {
      const { s, p } = await login(x, a, peer(), { theirs: peer() })
      refused(s, 'the initiator')
      assert.equal(p, null, 'and it gives no signature away')
    }),
    it('messages of one exchange are worth nothing in another', async (x, a) => {
      const channel = peer()
      const seen: Record<string, Uint8Array> = {}
      const keep = (what: string) => (data: Uint8Array) => {
        seen[what] = Uint8Array.from(data)
        return data
      }
      await login(x, a, channel, { first: keep('first'), challenge: keep('challenge'), final: keep('final') })
      refused((await login(x, a, channel, { final: () => seen['final']! })).p!, 'an old last message')
      refused((await login(x, a, channel, { first: () => seen['first']! })).s, 'an old first message')
      refused((await login(x, a, channel, { challenge: () => seen['challenge']! })).s, 'an old challenge')
      const mirrored = (challenge: Uint8Array) => Buffer.from(JSON.stringify({ sig: JSON.parse(text(challenge)).sig }))
      let theirs = new Uint8Array()
      const mirror = await login(x, a, channel, {
        challenge: data => {
          theirs = Uint8Array.from(data)
          return data
        },
        final: () => mirrored(theirs),
      })
      refused(mirror.p!, "the responder's own signature")
    }),
    it('the channel must be fit, and what CAPABILITIES said is signed (H19, H20)', async (x, a) => {
      const exporter = randomBytes(32)
      const good = peer({}, exporter)
      const unfit: [string, PeerInfo][] = [
        ['no TLS', { ...good, tls: null }],
        ['TLS 1.2', { ...good, tls: { ...good.tls!, version: 'TLSv1.2' } }],
        ['no ALPN', { ...good, tls: { ...good.tls!, alpn: null } }],
        ['no CAPABILITIES', { ...good, capabilities: '' }],
      ]
      for (const [what, bad] of unfit) {
        const initiator = only(a.s).initiate!(bad, { self: S, target: P })
        assert.notEqual(
          await neverAccepts(initiator.step(null, x.c), what),
          'challenge',
          `${what}: the initiator begins`,
        )
        const first = formatInitiator({ n: S, s: '2026a', t: P, cn: randomBytes(24) })
        const responder = only(a.p).accept(bad, nobody)
        assert.notEqual(
          await neverAccepts(responder.step(first, x.c), what),
          'challenge',
          `${what}: the responder signs`,
        )
      }
      const changed = { ...good, capabilities: `${good.capabilities}auth=PLAIN\r\n` }
      refused((await login(x, a, good, { theirs: changed })).s, 'other capabilities')
    }),
    it('a key that is absent, revoked or not the signer’s is a no', async (x, a) => {
      const owner = [...a.zone.texts.keys()].find(o => o.endsWith(`._fnapkey.${S}`))!
      const own = a.zone.texts.get(owner)![0]!
      const other = [...a.zone.texts].find(([o]) => o.endsWith(`._fnapkey.${P}`))![1][0]!
      const cases: [string, readonly string[]][] = [
        ['absent', []],
        ['revoked', ['v=FNAP1; k=ed25519; p=']],
        ['the key of another', [other]],
        ['two keys', [own, other]],
        ['expired', [`${own}; x=1`]],
      ]
      for (const [what, texts] of cases) {
        a.zone.texts.set(owner, texts)
        const fresh = await pair(x)
        fresh.zone.texts.set(
          owner,
          texts.map(t => t.replace(own, fresh.zone.texts.get(owner)![0]!)),
        )
        refused((await login(x, fresh, peer())).p!, what)
        await Promise.all([fresh.s.close(), fresh.p.close()])
      }
    }),
    it('no answer of DNS, or a bogus one, is neither yes nor no', async (x, a) => {
      const outcome = (wire: Wire) =>
        neverAccepts(
          login(x, a, peer(), wire).then(r => r.p ?? r.s),
          'a failure',
        )
      for (const state of ['away', 'bogus'] as const) {
        a.zone.state = state
        assert.equal(await outcome({}), 'threw', `${state}, on the side that calls`)
        a.zone.state = 'secure'
        const final = (data: Uint8Array) => {
          a.zone.state = state
          return data
        }
        assert.equal(await outcome({ final }), 'threw', `${state}, on the side that is called`)
      }
    }),
    it('a key that was replaced is asked for once more (F13)', async (x, a) => {
      assert.equal((await login(x, a, peer())).p?.type, 'accept')
      const fresh = await pair(x)
      // S lost its state: the same selector, another key.
      for (const [owner, texts] of fresh.zone.texts) if (owner.endsWith(S)) a.zone.texts.set(owner, texts)
      assert.equal((await login(x, { ...a, s: fresh.s }, peer())).p, null, 'S itself sees the old zone')
      for (const [owner, texts] of a.zone.texts) if (owner.endsWith(P)) fresh.zone.texts.set(owner, texts)
      assert.equal((await login(x, { ...a, s: fresh.s }, peer())).p?.type, 'accept')
      await Promise.all([fresh.s.close(), fresh.p.close()])
    }),
    it('keys are looked up at the domain itself, and only after its signature', async (x, a) => {
      const exchange = only(a.p).accept(peer(), nobody)
      await exchange.step(formatInitiator({ n: `deep.sub.${S}`, s: 'k1', t: P, cn: randomBytes(24) }), x.c)
      assert.deepEqual(a.zone.asked, [], 'a name alone costs no question')
      const sig = randomBytes(64).toString('base64')
      refused(await exchange.step(Buffer.from(JSON.stringify({ sig })), x.c), 'an unknown domain')
      assert.deepEqual([...new Set(a.zone.asked)], [`TXT k1._fnapkey.deep.sub.${S}`])
    }),
  ]
}
