import type { Driver } from '@fnaa/core/plugin'
import { FnapSink } from './sink.js'
import { openSource } from './source.js'

/** Opens an endpoint of type fnap: each source and each sink has a connection of its own. */
const driver: Driver = {
  open: async (endpoint, credential, host) => ({
    source: (opt, c) => openSource({ endpoint, credential, host }, opt, c),
    sink: (_opt, c) => FnapSink.open({ endpoint, credential, host }, c),
    close: async () => undefined,
  }),
}
export default driver
