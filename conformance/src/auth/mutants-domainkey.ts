import type { PeerInfo } from '@fnaa/core/plugin'
import { accepting, type Breakage, initiating, mechanism, text } from './mutant-tools.js'

const KEY = 'DOMAINKEY-ED25519'
const json = (data: Uint8Array | null): Record<string, string> => JSON.parse(text(data) || '{}')

/** Broken ways of proving a domain. */
export const domainkeyBreakages: readonly Breakage[] = [
  [
    'a failure of DNS lets in',
    KEY,
    accepting(KEY, (e, input, c) =>
      e.step(input, c).catch(() => ({ type: 'accept', identity: { type: 'domain', principal: 'emiliano.test' } })),
    ),
  ],
  [
    'a failure of DNS is a no',
    KEY,
    accepting(KEY, (e, input, c) => e.step(input, c).catch(() => ({ type: 'reject', log: 'failure' }))),
  ],
  [
    'a failure of DNS is a no to the initiator',
    KEY,
    initiating(KEY, (e, input, c) => e.step(input, c).catch(() => ({ type: 'reject', log: 'failure' }))),
  ],
  [
    'whatever target is meant is signed for',
    KEY,
    accepting(KEY, (e, input, c, n) =>
      n === 0 && input ? e.step(Buffer.from(text(input).replace('other.example', 'unix.test')), c) : e.step(input, c),
    ),
  ],
  [
    'the last message is not checked',
    KEY,
    s => {
      let claimed = ''
      return accepting(KEY, async (e, input, c, n) => {
        if (n === 0) claimed = json(input)['n'] ?? ''
        const step = await e.step(input, c)
        return n === 1 && step.type === 'reject'
          ? { type: 'accept', identity: { type: 'domain', principal: claimed, level: 'dnssec' } }
          : step
      })(s)
    },
  ],
  [
    'every key is worth DNSSEC',
    KEY,
    accepting(KEY, async (e, input, c) => {
      const step = await e.step(input, c)
      return step.type === 'accept' ? { ...step, identity: { ...step.identity, level: 'dnssec' } } : step
    }),
  ],
  [
    'the initiator claims a certificate that nobody verified',
    KEY,
    initiating(
      KEY,
      (e, input, c) => e.step(input, c),
      p => ({ ...p, tls: p.tls && { ...p.tls, verified: true } }),
    ),
  ],
  [
    'the channel is not bound',
    KEY,
    s => {
      const fixed = (p: PeerInfo): PeerInfo => ({
        ...p,
        tls: p.tls && { ...p.tls, exporter: () => new Uint8Array(32) },
      })
      const both = accepting(KEY, (e, input, c) => e.step(input, c), fixed)({ ...s })
      return initiating(KEY, (e, input, c) => e.step(input, c), fixed)({ ...s, ...both })
    },
  ],
  [
    'CAPABILITIES is not bound',
    KEY,
    s => {
      const fixed = (p: PeerInfo): PeerInfo => ({ ...p, capabilities: 'x' })
      const both = accepting(KEY, (e, input, c) => e.step(input, c), fixed)({ ...s })
      return initiating(KEY, (e, input, c) => e.step(input, c), fixed)({ ...s, ...both })
    },
  ],
  [
    'ALPN is not looked at',
    KEY,
    accepting(
      KEY,
      (e, input, c) => e.step(input, c),
      p => ({ ...p, tls: p.tls && { ...p.tls, alpn: 'fnap/1' } }),
    ),
  ],
  [
    'TLS 1.2 will do',
    KEY,
    accepting(
      KEY,
      (e, input, c) => e.step(input, c),
      p => ({ ...p, tls: p.tls && { ...p.tls, version: 'TLSv1.3' } }),
    ),
  ],
  [
    'it logs in as a name that it does not have',
    KEY,
    mechanism(KEY, m => ({ ...m, initiate: (p, names) => m.initiate!(p, { ...names, self: 'emiliano.test' }) })),
  ],
]
