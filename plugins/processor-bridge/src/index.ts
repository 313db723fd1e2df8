import { CONTRACT, definePlugin, type ProcessorType } from '@fnaa/core/plugin'

const VERBS = ['SUBSCRIBE', 'REPLICATE'] as const

/** Figure 13: transcribes one flow to one flow. */
export const bridge = definePlugin<'processor', object>({
  manifest: {
    name: '@fnaa/processor-bridge',
    version: '0.1.0',
    kind: 'processor',
    contract: CONTRACT,
    options: { type: 'object', additionalProperties: false, properties: {} },
    supports: { type: 'bridge', verbs: VERBS, sources: [1, 1], sinks: [1, 1] },
  },
  setup: async (): Promise<ProcessorType> => ({
    type: 'bridge',
    verbs: VERBS,
    arity: { sources: [1, 1], sinks: [1, 1] },
    plan: () => ({ program: new URL('./program.js', import.meta.url).href, config: {} }),
    health: async () => ({ ok: true }),
    close: async () => undefined,
  }),
})
export default bridge
