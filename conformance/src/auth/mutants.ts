import type { Plugin } from '@fnaa/core/plugin'
import { type Breakage, mechanism } from './mutant-tools.js'
import { domainkeyBreakages } from './mutants-domainkey.js'
import { passwordBreakages } from './mutants-passwords.js'

/** A way to break an auth plugin, whichever it is. `breaks` says which mechanisms it needs to show. */
export interface AuthMutant {
  readonly name: string
  /** Null: any. */
  readonly breaks: string | null
  plugin(good: Plugin<'auth'>): Plugin<'auth'>
}

const general: readonly Breakage[] = [
  [
    'a mechanism that the manifest does not name',
    null,
    s => ({ mechanisms: [...s.mechanisms, { ...s.mechanisms[0]!, name: 'X-MORE' }] }),
  ],
  ['PLAIN needs no TLS', 'PLAIN', mechanism('PLAIN', m => ({ ...m, needs: [] }))],
  [
    '-PLUS makes do with TLS 1.2',
    'SCRAM-SHA-256-PLUS',
    mechanism('SCRAM-SHA-256-PLUS', m => ({ ...m, needs: ['tls'] })),
  ],
  ['it is never well', null, () => ({ health: async () => ({ ok: false }) })],
  ['a command of three words', null, s => ({ admin: s.admin.map(a => ({ ...a, name: `${a.name} now` })) })],
  [
    'records of a foreign domain',
    null,
    () => ({ records: async () => [{ owner: 'x.elsewhere.example', records: [] }] }),
  ],
]

/** Auth plugins that break one promise each. The suite must notice every one that a plugin can show. */
export const authMutants: readonly AuthMutant[] = [...general, ...passwordBreakages, ...domainkeyBreakages].map(
  ([name, breaks, breakage]) => ({
    name,
    breaks,
    plugin: good => ({
      ...good,
      async setup(ctx) {
        const service = await good.setup(ctx)
        return { ...service, ...breakage(service) }
      },
    }),
  }),
)
