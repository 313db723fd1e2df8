import { ANNOUNCED_LIMITS, codecs, formatCapabilities } from '@fnaa/protocol'
import { modesOf } from '../federation/serving.js'
import { offered } from '../server/mechanisms.js'
import type { Handler } from './command.js'

/** What this agent can do, from the manifests of what is loaded and nothing else. */
export const capabilities: Handler = {
  id: 'CAPABILITIES',
  run: cx => {
    const { kernel, session } = cx
    const lines = formatCapabilities({
      version: 'FNAP/1',
      starttls: session.peer.tls === null && kernel.listener.starttls,
      auth: offered(kernel.mechanisms, session.peer).map(m => m.name),
      brokers: kernel.brokers.advertised,
      modes: modesOf(kernel),
      processors: kernel.processors.types.map(t => t.type),
      formats: ['text', 'json', 'batch'],
      codecs: [...codecs.keys()],
      limits: ANNOUNCED_LIMITS,
    })
    session.peer.capabilities = lines.map(l => `${l}\r\n`).join('')
    return { lines }
  },
}
