import { randomBytes } from 'node:crypto'
import { scram } from '@fnaa/client'
import { testContext } from '@fnaa/conformance'
import type { Accounts, AuthService, AuthStep, Call, Exchange, PeerInfo } from '@fnaa/core/plugin'
import { type SaslOptions, sasl } from './index.js'

export const c: Call = { signal: new AbortController().signal }
export const nobody: Accounts = { verifier: async () => null }
export const PASSWORD = 'correct horse'

export const peer = (version: string | null = 'TLSv1.3', exporter = randomBytes(32)): PeerInfo => ({
  address: '192.0.2.1',
  loopback: false,
  tls: version === null ? null : { version, exporter: () => exporter, alpn: null },
  capabilities: '',
})

export async function started(options: SaslOptions = {}, domains = ['unix.test', 'flows.unix.test']) {
  const ctx = testContext(domains)
  let hashes = 0
  Object.assign(ctx, {
    hash: <T>(work: () => Promise<T>) => {
      hashes++
      return work()
    },
  })
  const service = await sasl({ iterations: 4096, ...options }).setup(ctx)
  const run = (name: string, args: string[], password?: string) =>
    service.admin.find(a => a.name === name)!.run(args, password === undefined ? {} : { password }, c)
  await run('user add', ['test'], PASSWORD)
  return { ctx, service, run, hashes: () => hashes }
}

export const mechanism = (s: AuthService, name: string) => s.mechanisms.find(m => m.name === name)!
export const bytes = (text: string) => Buffer.from(text, 'utf8')
export const tryPlain = (s: AuthService, message: string, at = peer()) =>
  mechanism(s, 'PLAIN').accept(at, nobody).step(bytes(message), c)

/** Runs a client's exchange against a server's; the last step of each. */
export async function run(
  client: Exchange,
  server: Exchange,
  change = (data: Uint8Array) => data,
): Promise<{ client: AuthStep; server: AuthStep; steps: number }> {
  let mine = await client.step(null, c)
  for (let steps = 1; ; steps++) {
    if (mine.type === 'reject') throw new Error(mine.log)
    const theirs = await server.step(change(mine.data ?? new Uint8Array()), c)
    if (theirs.type !== 'challenge') {
      const done =
        theirs.type === 'accept' && mine.type === 'challenge' ? await client.step(theirs.data ?? null, c) : mine
      return { client: done, server: theirs, steps }
    }
    mine = await client.step(theirs.data, c)
  }
}

export type Names = 'SCRAM-SHA-256' | 'SCRAM-SHA-256-PLUS'
export const tryScram = (
  s: AuthService,
  user: string,
  password: string,
  name: Names = 'SCRAM-SHA-256',
  issued = nobody,
  mine = peer(),
  theirs = mine,
  offered: string[] = ['SCRAM-SHA-256-PLUS'],
) => run(scram({ user, password, peer: mine, mechanism: name, offered }), mechanism(s, name).accept(theirs, issued))
