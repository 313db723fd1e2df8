import type { Accounts, AuthMechanism, AuthService, AuthStep, Call, Exchange, PeerInfo } from '@fnaa/core/plugin'

/** One promise that is broken: its name, the mechanism that shows it (null: any), and how. */
export type Breakage = readonly [name: string, breaks: string | null, (s: AuthService) => Partial<AuthService>]

export type Steps = (exchange: Exchange, input: Uint8Array | null, c: Call, n: number) => Promise<AuthStep>

export const text = (data: Uint8Array | null | undefined): string => Buffer.from(data ?? []).toString('utf8')

/** Puts something around every accepting exchange of a mechanism. */
export const accepting = (name: string, steps: Steps, at: (p: PeerInfo) => PeerInfo = p => p) =>
  mechanism(name, m => ({
    ...m,
    accept(p: PeerInfo, issued: Accounts): Exchange {
      const exchange = m.accept(at(p), issued)
      let n = 0
      return { step: (input, c) => steps(exchange, input, c, n++), abort: () => exchange.abort() }
    },
  }))

/** Puts something around every initiating exchange of a mechanism. */
export const initiating = (name: string, steps: Steps, at: (p: PeerInfo) => PeerInfo = p => p) =>
  mechanism(name, m => ({
    ...m,
    initiate(p, names): Exchange {
      const exchange = m.initiate!(at(p), names)
      let n = 0
      return { step: (input, c) => steps(exchange, input, c, n++), abort: () => exchange.abort() }
    },
  }))

export const mechanism =
  (name: string, change: (m: AuthMechanism) => AuthMechanism) =>
  (s: AuthService): Partial<AuthService> => ({ mechanisms: s.mechanisms.map(m => (m.name === name ? change(m) : m)) })

export const admin =
  (
    name: string,
    run: (s: AuthService, args: readonly string[], password: string | undefined, c: Call) => Promise<readonly string[]>,
  ) =>
  (s: AuthService): Partial<AuthService> => ({
    admin: s.admin.map(a => (a.name === name ? { ...a, run: (args, input, c) => run(s, args, input.password, c) } : a)),
  })
export const runOf = (s: AuthService, name: string) => s.admin.find(a => a.name === name)!.run
