import { createRequire } from 'node:module'
import { type AuthMechanism, type AuthService, CONTRACT, type Ctx, definePlugin, FnaError } from '@fnaa/core/plugin'
import { Accounts } from './accounts.js'
import { anonymousMechanism } from './anonymous.js'
import { userCommands } from './commands.js'
import { DEFAULT_ITERATIONS, type MechanismName, mechanismsOf, OPTIONS_SCHEMA, type SaslOptions } from './options.js'
import { plainMechanism } from './plain.js'
import { scramMechanism } from './scram.js'

export type { SaslOptions } from './options.js'

const { name, version } = createRequire(import.meta.url)('@fnaa/auth-sasl/package.json') as {
  name: string
  version: string
}

/**
 * Users of this participant: SCRAM-SHA-256 with and without channel binding, PLAIN, ANONYMOUS. Accounts live in the
 * plugin's own state; `fnaad user add` makes them.
 */
export const sasl = (options: SaslOptions = {}, instance?: { id?: string }) =>
  // What is advertised depends on the options, so the manifest is made for these.
  definePlugin<'auth', SaslOptions>({
    manifest: {
      name,
      version,
      kind: 'auth',
      contract: CONTRACT,
      supports: { mechanisms: Object.freeze(mechanismsOf(options)) },
      options: OPTIONS_SCHEMA,
    },
    setup,
  })(options, instance)

async function setup(ctx: Ctx, options: SaslOptions): Promise<AuthService> {
  const iterations = options.iterations ?? DEFAULT_ITERATIONS
  const accounts = await Accounts.open(ctx, iterations)
  const listeners = new Set<Parameters<AuthService['watch']>[0]>()
  let closed = false
  const changed = async (principal: string, ended: boolean) => {
    await Promise.all([...listeners].map(listener => listener(principal, undefined, ended)))
  }
  return {
    mechanisms: mechanismsOf(options).map(which => guarded(make(which, ctx, accounts, options), () => closed)),
    admin: userCommands({ ctx, accounts, iterations, changed }),
    records: async () => [],
    watch(listener) {
      listeners.add(listener)
    },
    async health(c) {
      await accounts.find('nobody', c)
      return { ok: true }
    },
    async close() {
      closed = true
      listeners.clear()
    },
  }
}

function make(which: MechanismName, ctx: Ctx, accounts: Accounts, o: SaslOptions): AuthMechanism {
  const plusOn = mechanismsOf(o).includes('SCRAM-SHA-256-PLUS')
  switch (which) {
    case 'SCRAM-SHA-256-PLUS':
      return scramMechanism(accounts, { plus: true, plusOn })
    case 'SCRAM-SHA-256':
      return scramMechanism(accounts, { plus: false, plusOn })
    case 'PLAIN':
      return plainMechanism(ctx, accounts, o.plainInClear === 'loopback')
    case 'ANONYMOUS':
      return anonymousMechanism()
  }
}

/** After `close` every step throws, which the kernel takes for a temporary failure. */
function guarded(mechanism: AuthMechanism, closed: () => boolean): AuthMechanism {
  return {
    ...mechanism,
    accept(peer, issued) {
      const exchange = mechanism.accept(peer, issued)
      return {
        async step(input, c) {
          if (closed()) throw new FnaError('FNA_ERR_CLOSED', 'the plugin is closed')
          return exchange.step(input, c)
        },
        abort: () => exchange.abort(),
      }
    },
  }
}

/** The factory that a config file calls. */
export default sasl
