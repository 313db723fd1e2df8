import { join } from 'node:path'
import type { Config } from '../config/define.js'
import type { Clock, Ctx, Logger } from '../contract/common.js'
import { FnaError } from '../contract/errors.js'
import type { AnyPlugin } from '../contract/plugin.js'
import type { StoreService } from '../contract/store.js'
import { sealed } from '../resources/seal.js'
import type { Loaded } from './boot.js'
import { hashQueue } from './hash-queue.js'

interface Surroundings {
  readonly config: Config
  readonly log: Logger
  readonly clock: Clock
  readonly dial: Ctx['dial']
  readonly resolve: Ctx['resolve']
  readonly signal: AbortSignal
  readonly key: Buffer
}

/** What each plugin gets. A store has no state of its own: it is the state. */
export function contexts(s: Surroundings) {
  return async (plugin: AnyPlugin, loaded: readonly Loaded[]): Promise<Ctx> => {
    const store = loaded.find(l => l.plugin.manifest.kind === 'store')?.service as StoreService | undefined
    const closed = async (): Promise<never> => {
      throw new FnaError('FNA_ERR_CLOSED', 'a store plugin has no state beside itself')
    }
    const none = { get: closed, put: closed, delete: closed, list: closed }
    return {
      id: plugin.id,
      log: child(s.log, plugin.id),
      signal: s.signal,
      agent: { host: s.config.host, domains: s.config.domains, directory: join(s.config.data, plugin.id) },
      state: store ? sealed(store.bucket(`plugin:${plugin.id}`), s.key) : none,
      dial: s.dial,
      resolve: s.resolve,
      clock: s.clock,
      hash: (work, who) => hashQueue.run(work, who),
    }
  }
}

function child(log: Logger, plugin: string): Logger {
  const with_ = (level: 'debug' | 'info' | 'warn' | 'error') => (o: object, m?: string) =>
    log[level]({ plugin, ...o }, m)
  return { debug: with_('debug'), info: with_('info'), warn: with_('warn'), error: with_('error') }
}
