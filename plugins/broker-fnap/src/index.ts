import { CONTRACT, definePlugin } from '@fnaa/core/plugin'

/**
 * Flows of other agents as a broker: its driver speaks READ and WRITE. The floor under all other types: one TLS port, any
 * broker behind it. There is nothing to operate, so it is loaded as a driver only.
 */
export const fnap = definePlugin<'broker', object>({
  manifest: {
    name: '@fnaa/broker-fnap',
    version: '0.1.0',
    kind: 'broker',
    contract: CONTRACT,
    options: { type: 'object', additionalProperties: false, properties: {} },
    driver: new URL('./driver.js', import.meta.url).href,
    supports: {
      type: 'fnap',
      model: 'log',
      readers: 'independent',
      order: 'key',
      access: [],
      cut: 'open-connections',
      batch: 'kafka-v2',
      transactions: false,
      maxEventBytes: 1_048_576,
      reach: 'network',
    },
  },
  setup: async () => ({
    driverOnly: true,
    health: async () => ({ ok: true }),
    close: async () => undefined,
  }),
})
export default fnap
