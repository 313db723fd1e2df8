import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Accounts, AuthMechanism, AuthService, AuthStep, Call, Exchange, PeerInfo } from '@fnaa/core/plugin'
import { call, type Harness } from '../harness.js'
import type { Case } from '../suite.js'

/** The harness of an auth plugin, with what the cases share. */
export interface AuthHarness extends Harness<'auth'> {
  readonly c: Call
  mechanism(name: string): AuthMechanism
  /** Begins an exchange as the accepting side. */
  accept(name: string, peer?: PeerInfo, issued?: Accounts): Exchange
  /** `fnaad <name> …` */
  admin(name: string, args: readonly string[], password?: string): Promise<readonly string[]>
}
export type AuthCase = Case<'auth', AuthHarness>

export const nobody: Accounts = { verifier: async () => null }

export function extendAuth(h: Harness<'auth'>): AuthHarness {
  const c = call()
  const extra: Pick<AuthHarness, 'c' | 'mechanism' | 'accept' | 'admin'> = {
    c,
    mechanism(name) {
      const found = h.service.mechanisms.find(m => m.name === name)
      assert.ok(found, `there is no mechanism ${name}`)
      return found
    },
    accept: (name, at = peer(), issued = nobody) => extra.mechanism(name).accept(at, issued),
    admin(name, args, password) {
      const found = h.service.admin.find(a => a.name === name)
      assert.ok(found, `there is no command ${name}`)
      return found.run(args, password === undefined ? {} : { password }, c)
    },
  }
  return Object.defineProperties(extra, Object.getOwnPropertyDescriptors(h)) as AuthHarness
}

/** The other side of a TLS 1.3 channel of its own. */
export function peer(more: Partial<PeerInfo> = {}, exporter: Uint8Array = randomBytes(32)): PeerInfo {
  return {
    address: '192.0.2.5',
    loopback: false,
    tls: { version: 'TLSv1.3', exporter: (_label, length) => exporter.subarray(0, length), alpn: 'fnap/1' },
    capabilities: 'version=FNAP/1\r\nstarttls=no\r\n',
    ...more,
  }
}

export const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8')
export const text = (data: Uint8Array | undefined): string => Buffer.from(data ?? []).toString('utf8')

/** The text of a challenge. */
export function challenge(step: AuthStep): string {
  assert.equal(step.type, 'challenge', step.type === 'reject' ? step.log : step.type)
  return text((step as { data: Uint8Array }).data)
}

export function refused(step: AuthStep, what: string): void {
  assert.equal(step.type, 'reject', `${what}: ${step.type}`)
}

/** What a step comes to where only an accept would be wrong; a temporary failure is fine. */
export async function neverAccepts(step: Promise<AuthStep>, what: string): Promise<AuthStep['type'] | 'threw'> {
  const result = await step.catch(() => 'threw' as const)
  const type = typeof result === 'string' ? result : result.type
  assert.notEqual(type, 'accept', what)
  return type
}

/** All that a plugin keeps, as text. */
export async function kept(h: Pick<AuthHarness, 'ctx' | 'c'>): Promise<string> {
  const entries = await h.ctx.state.list('', { limit: 10_000 }, h.c)
  return entries.map(([key, entry]) => key + text(entry.value)).join('\n')
}

export const offers =
  (...names: string[]) =>
  (supports: { readonly mechanisms: readonly string[] }): boolean =>
    names.every(name => supports.mechanisms.includes(name))

export type { AuthService }
