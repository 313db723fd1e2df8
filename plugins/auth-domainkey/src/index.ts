import { createRequire } from 'node:module'
import {
  type AuthMechanism,
  type AuthService,
  CONTRACT,
  type Ctx,
  definePlugin,
  type Exchange,
  FnaError,
} from '@fnaa/core/plugin'
import { keyCommands } from './commands.js'
import { KeyRing } from './keyring.js'
import { domainkeyMechanism, MECHANISM, type Met } from './mechanism.js'
import { PeerKeys } from './peer-keys.js'
import { type Gone, Recheck, type Relied } from './recheck.js'

export interface DomainkeyOptions {
  /** Selector of the first key, a-z 0-9 and single inner hyphens; the year and a letter if absent. */
  readonly selector?: string
}

const { name, version } = createRequire(import.meta.url)('@fnaa/auth-domainkey/package.json') as {
  name: string
  version: string
}

/** Agents of other organisations: both sides prove their domains by keys in DNS, bound to the TLS channel. */
export const domainkey = definePlugin<'auth', DomainkeyOptions>({
  manifest: {
    name,
    version,
    kind: 'auth',
    contract: CONTRACT,
    supports: { mechanisms: Object.freeze([MECHANISM]) },
    options: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      additionalProperties: false,
      properties: {
        selector: { type: 'string', pattern: '^[a-z0-9](-?[a-z0-9]){0,62}$', description: 'selector of the first key' },
      },
    },
  },
  setup,
})

async function setup(ctx: Ctx, options: DomainkeyOptions): Promise<AuthService> {
  const ring = await KeyRing.open(ctx, options.selector)
  const keys = new PeerKeys(ctx)
  const listeners = new Map<Parameters<AuthService['watch']>[0], Relied | undefined>()
  const gone: Gone = (domain, key, why) => {
    for (const listener of listeners.keys()) listener(domain, key, why === 'revoked')
  }
  const relied: Relied = () => new Set([...listeners.values()].flatMap(relied => [...(relied?.() ?? [])]))
  const recheck = new Recheck(ctx, keys, gone, relied)
  const met: Met = (domain, selector, proved) => recheck.remember(domain, selector, proved)
  let closed = false
  return {
    mechanisms: [guarded(domainkeyMechanism({ ctx, ring, keys, met }), () => closed)],
    admin: keyCommands(ctx, ring),
    records: async () => ring.records(),
    watch(listener, relied) {
      listeners.set(listener, relied)
    },
    async health() {
      return { ok: true, detail: `key ${ring.selector}` }
    },
    async close() {
      closed = true
      listeners.clear()
      await recheck.close()
    },
  }
}

/** After `close` every step throws, which the kernel takes for a temporary failure. */
function guarded(m: AuthMechanism, closed: () => boolean): AuthMechanism {
  const wrap = (exchange: Exchange): Exchange => ({
    async step(input, c) {
      if (closed()) throw new FnaError('FNA_ERR_CLOSED', 'the plugin is closed')
      return exchange.step(input, c)
    },
    abort: () => exchange.abort(),
  })
  return {
    ...m,
    accept: (peer, issued) => wrap(m.accept(peer, issued)),
    ...(m.initiate ? { initiate: (peer, names) => wrap(m.initiate!(peer, names)) } : {}),
  }
}

/** The factory that a config file calls. */
export default domainkey
