import { join } from 'node:path'
import type { Config } from './config/define.js'
import type { Ctx } from './contract/common.js'
import { FnaError } from './contract/errors.js'
import type { AnyPlugin } from './contract/plugin.js'
import type { StoreService } from './contract/store.js'
import { type Booted, boot, type Loaded } from './host/boot.js'
import { hashQueue } from './host/hash-queue.js'
import { createLogger } from './log.js'
import { systemClock } from './resources/clock.js'
import { sealed, sealKey } from './resources/seal.js'

/**
 * Store and auth plugins alone, without an agent around them: for `fnaad user` and `fnaad key` while none runs.
 * @throws FNA_ERR_LOCKED where an agent holds the store
 */
export async function offline(config: Config, plugins: readonly AnyPlugin[]): Promise<Booted> {
  const key = await sealKey(config.data)
  const log = createLogger('error')
  const signal = new AbortController().signal
  const refuse = async (): Promise<never> => {
    throw new FnaError('FNA_ERR_UNAVAILABLE', 'no agent is running: there is no network here')
  }
  const context = async (plugin: AnyPlugin, loaded: readonly Loaded[]): Promise<Ctx> => {
    const store = loaded.find(l => l.plugin.manifest.kind === 'store')?.service as StoreService | undefined
    const none = { get: refuse, put: refuse, delete: refuse, list: refuse }
    const directory = join(config.data, plugin.id)
    return {
      id: plugin.id,
      log,
      signal,
      agent: { host: config.host, domains: config.domains, directory },
      state: store ? sealed(store.bucket(`plugin:${plugin.id}`), key) : none,
      dial: refuse,
      resolve: refuse,
      clock: systemClock,
      hash: (work, who) => hashQueue.run(work, who),
    }
  }
  return boot(
    plugins.filter(p => p.manifest.kind === 'store' || p.manifest.kind === 'auth'),
    context,
  )
}
