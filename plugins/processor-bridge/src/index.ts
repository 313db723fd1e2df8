import { CONTRACT, definePlugin, type ProcessorType } from '@fnaa/core/plugin'

const VERBS = ['SUBSCRIBE', 'REPLICATE'] as const

export interface BridgeOptions {
  /** `exactly-once` holds where the target has transactions (Kafka); at least once is what holds elsewhere. */
  readonly guarantee?: 'at-least-once' | 'exactly-once'
}

/** Figure 13: transcribes one flow to one flow. */
export const bridge = definePlugin<'processor', BridgeOptions>({
  manifest: {
    name: '@fnaa/processor-bridge',
    version: '0.1.0',
    kind: 'processor',
    contract: CONTRACT,
    options: {
      type: 'object',
      additionalProperties: false,
      properties: {
        guarantee: {
          enum: ['at-least-once', 'exactly-once'],
          description: 'exactly-once: where the target is Kafka, events and positions move in one transaction.',
        },
      },
    },
    supports: { type: 'bridge', verbs: VERBS, sources: [1, 1], sinks: [1, 1] },
  },
  setup: async (_ctx, { guarantee = 'at-least-once' }): Promise<ProcessorType> => ({
    type: 'bridge',
    verbs: VERBS,
    arity: { sources: [1, 1], sinks: [1, 1] },
    plan: () => ({ program: new URL('./program.js', import.meta.url).href, config: {}, guarantee }),
    health: async () => ({ ok: true }),
    close: async () => undefined,
  }),
})
export default bridge
