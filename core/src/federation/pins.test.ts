import t from 'tap'
import type { Identity } from '../contract/auth.js'
import type { Kinds } from '../contract/kinds.js'
import { judge, withdrawn } from './pins.js'

type Status = Kinds['Peer']['status']
const DAY = 86_400_000
const NOW = Date.UTC(2026, 10, 29)
const at = (days: number) => new Date(NOW + days * DAY).toISOString()

const who = (fingerprint: string, level: Identity['level'] = 'dnssec', succeeds?: string): Identity => ({
  type: 'domain',
  principal: 'emiliano.test',
  ...(level ? { level } : {}),
  key: { selector: fingerprint, fingerprint, ...(succeeds === undefined ? {} : { succeeds }) },
})
const met = (days = 0): Status => ({
  conditions: [],
  level: 'dnssec',
  levelAt: at(-days),
  keys: [{ selector: 'k1', fingerprint: 'k1', seen: at(-days) }],
})
const keys = (s: Status) => s.keys?.map(k => k.fingerprint)

t.test('first contact: what it shows is what it is', async t => {
  const { status, refused } = judge({ conditions: [] }, who('k1', 'pkix'), NOW, false)
  t.match(status, { level: 'pkix', levelAt: at(0), keys: [{ fingerprint: 'k1' }] })
  t.equal(refused, undefined)
})

t.test('a known key, or one that a known key vouches for, is the same domain', async t => {
  t.same(judge(met(), who('k1'), NOW, true).status, met(), 'nothing to write')
  const next = judge(met(), who('k2', 'dnssec', 'k1'), NOW, true).status
  t.same(keys(next), ['k1', 'k2'])
  t.equal(next.suspended, undefined)
  t.same(keys(judge(next, who('k1'), NOW, true).status), ['k2', 'k1'], 'the one that was used last stands last')
})

t.test('H8: another key suspends whatever hangs on the domain, and only that', async t => {
  const sold = judge(met(), who('buyer'), NOW, true)
  t.match(sold.status, { suspended: { why: 'keys', since: at(0), level: 'dnssec', key: { fingerprint: 'buyer' } } })
  t.same(keys(sold.status), ['k1'], 'the buyer is not known by that')
  t.equal(sold.refused, undefined, 'it may come in, without its grants')
  t.match(judge(met(), who('k3', 'dnssec', 'k2'), NOW, true).status.suspended, { why: 'keys' }, 'vouched for by nobody')
  const stranger = judge(met(), who('other'), NOW, false).status
  t.same(keys(stranger), ['other'])
  t.equal(stranger.suspended, undefined)
})

t.test('H8: a lower level is refused for 30 days, and suspends', async t => {
  for (const level of ['pkix', 'dns'] as const) {
    const soon = judge(met(29), who('k1', level), NOW, true)
    t.match(soon, { refused: /less than 30 days/, status: { level: 'dnssec', suspended: { why: 'level', level } } })
    const late = judge(met(31), who('k1', level), NOW, true)
    t.equal(late.refused, undefined)
    t.match(late.status.suspended, { why: 'level' }, 'asked all the same')
    t.match(judge(met(29), who('k1', level), NOW, false), { refused: /./, status: { suspended: undefined } })
    t.match(judge(met(31), who('k1', level), NOW, false).status, { level, levelAt: at(0) }, 'nothing hangs on it')
  }
  t.match(judge(met(), who('buyer', 'pkix'), NOW, true), { refused: /./, status: { suspended: { why: 'keys' } } })
})

t.test('a suspension ends by a known key at the old level, by no other', async t => {
  const suspended = judge(met(), who('buyer'), NOW, true).status
  t.equal(judge(suspended, who('k1'), NOW, true).status.suspended, undefined)
  t.equal(judge(suspended, who('k2', 'dnssec', 'k1'), NOW, true).status.suspended, undefined)
  t.ok(judge(suspended, who('k1', 'pkix'), NOW, true).status.suspended)
  t.ok(
    judge(suspended, who('buyer'), NOW + 90 * DAY, false).status.suspended,
    'not by time, nor when nothing hangs on it',
  )
})

t.test('H8: a revoked key is known no more, and vouches for none: only the owner gives it back', async t => {
  const twice = judge(met(), who('k2', 'dnssec', 'k1'), NOW, true).status
  const revoked = withdrawn(twice, 'k2', 'revoked', NOW, true)
  t.match(revoked, { suspended: { why: 'keys' }, revoked: ['k2'] })
  t.same(keys(revoked), ['k1'])
  const still = (key: Identity) => judge(revoked, key, NOW, true).status.suspended
  t.match(still(who('k2')), { why: 'keys' }, 'published again')
  t.match(still(who('k2', 'dnssec', 'k1')), { why: 'keys' }, 'with the word it had')
  t.match(still(who('thief', 'dnssec', 'k2')), { why: 'keys' }, 'it vouches for a key')
  t.equal(still(who('k1')), undefined, 'another known key does')

  const only = withdrawn(met(), 'k1', 'revoked', NOW, true)
  t.same(keys(only), [])
  t.match(judge(only, who('thief', 'dnssec', 'k1'), NOW, true).status.suspended, { why: 'keys' }, 'nor is it new')
  const stranger = withdrawn(met(), 'k1', 'revoked', NOW, false)
  t.equal(stranger.suspended, undefined)
  t.match(judge(stranger, who('k1'), NOW, false), { refused: /revoked/, status: { keys: [] } })
  t.same(keys(judge(stranger, who('k2'), NOW, false).status), ['k2'])
})

t.test('a key that is not found, or not signed, is still known', async t => {
  const gone = withdrawn(met(), 'k1', 'gone', NOW, true)
  t.match(gone, { suspended: { why: 'keys' }, revoked: undefined })
  t.equal(judge(gone, who('k1'), NOW, true).status.suspended, undefined, 'it heals')
  const before = withdrawn(judge(met(), who('k2', 'dnssec', 'k1'), NOW, true).status, 'k1', 'revoked', NOW, true)
  t.equal(before.suspended, undefined, 'one before the last is no reason to ask')
  t.same(keys(before), ['k2'])
  t.same(withdrawn(met(), 'thief', 'revoked', NOW, true), met(), 'keys that were never known displace none')
})

t.test('when a level was seen is written once a day', async t => {
  t.same(judge(met(0.5), who('k1'), NOW, true).status, met(0.5))
  t.equal(judge(met(2), who('k1'), NOW, true).status.levelAt, at(0))
  t.match(judge({ ...met(), level: 'pkix' }, who('k1'), NOW, true).status, { level: 'dnssec' }, 'a higher one at once')
})

t.test('eight keys are remembered', async t => {
  let status = met()
  for (let i = 2; i <= 12; i++) status = judge(status, who(`k${i}`, 'dnssec', `k${i - 1}`), NOW, true).status
  t.same(keys(status), ['k5', 'k6', 'k7', 'k8', 'k9', 'k10', 'k11', 'k12'])
})
