import type { Call } from '../contract/common.js'
import type { Kernel } from '../kernel.js'

/**
 * An account was removed or disabled: what it moves stops, also after a restart, until it is resumed by whoever may (hardening
 * H7). Resolves when nothing of it reads or writes any more.
 */
export async function endAccount(k: Kernel, principal: string, c: Call): Promise<void> {
  const { resources, processors, subscriptions } = k
  const own = resources.list('Processor').filter(p => p.owner === undefined && p.spec.owner === principal)
  const stopped = own.map(async p => {
    await resources.update('Processor', p.name, n => ({ spec: { ...n.spec, desired: 'stop' } }), c, p.uid)
    await resources.until('Processor', p.name, n => (!n || n.status.phase === 'stopped' ? true : undefined), c.signal)
  })
  const ended = resources.by('Subscription', 'for', principal).map(async s => {
    await subscriptions.desire(s, 'stop', c)
    await processors.remove(s.name, c)
  })
  await Promise.all([...stopped, ...ended])
}
