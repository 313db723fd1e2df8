import { CONTRACT, definePlugin, type ProcessorType } from '@fnaa/core/plugin'

const VERBS = ['DISTRIBUTE'] as const
const MOST = 10_000

/** Figure 13's 1:N: one flow to several, each of which has its own place in it. */
export const distributor = definePlugin<'processor', object>({
  manifest: {
    name: '@fnaa/processor-distributor',
    version: '0.1.0',
    kind: 'processor',
    contract: CONTRACT,
    options: { type: 'object', additionalProperties: false, properties: {} },
    supports: { type: 'distributor', verbs: VERBS, sources: [1, 1], sinks: [1, MOST] },
  },
  setup: async (): Promise<ProcessorType> => ({
    type: 'distributor',
    verbs: VERBS,
    arity: { sources: [1, 1], sinks: [1, MOST] },
    plan: () => ({ program: new URL('./program.js', import.meta.url).href, config: {}, cursors: 'sink' }),
    health: async () => ({ ok: true }),
    close: async () => undefined,
  }),
})
export default distributor
