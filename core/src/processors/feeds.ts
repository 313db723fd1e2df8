import { createHash } from 'node:crypto'
import { mintId } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import { isFna } from '../contract/errors.js'
import type { Resource } from '../contract/store.js'
import type { Kernel } from '../kernel.js'

type Flow = Resource<'Flow'>

/** The one Distributor that feeds all copies of a flow. */
export const feedOf = (f: Flow): string => mintId(createHash('sha256').update(`feed/${f.uid}`).digest().subarray(0, 16))

/** How a copy is named among its sinks. */
export const SUBSCRIBER = 'subscriber:'

/** Copies that are to be fed now. */
function sinksOf(k: Kernel, f: Flow): string[] {
  const fed = (s: Resource<'Subscriber'>) =>
    s.status.mode === 'copy' &&
    s.status.copied !== undefined &&
    s.spec.desired === 'run' &&
    (s.status.phase === 'preparing' || s.status.phase === 'ready')
  return k.resources
    .by('Subscriber', 'flow', f.name)
    .filter(fed)
    .map(s => SUBSCRIBER + s.name)
}

/**
 * Has the feed of a flow write the copies that are wanted now, and no other. Resolves when it does, also where it has been
 * told already. @throws Error where it cannot run
 */
export async function feed(k: Kernel, f: Flow, c: Call): Promise<void> {
  const name = feedOf(f)
  if (sinksOf(k, f).length === 0) return k.processors.remove(name, c)
  // One that is just being removed is waited for, and made again.
  if (k.resources.get('Processor', name)?.deleting !== undefined) await k.processors.remove(name, c)
  if (!k.resources.get('Processor', name)) await create(k, f, name, c)
  await k.resources.update('Processor', name, n => ({ spec: { ...n.spec, sinks: sinksOf(k, f) } }), c)
  k.queue.add(`Processor/${name}`)
  const state = await k.resources.until(
    'Processor',
    name,
    p => {
      if (!p || p.deleting !== undefined) return 'gone'
      if (p.status.applied !== p.generation) return undefined
      return p.status.phase === 'running' || p.status.phase === 'failed' ? p.status.phase : undefined
    },
    c.signal,
  )
  if (state !== 'running') throw new Error(`the feed of ${f.name} does not run: ${state ?? 'called off'}`)
}

async function create(k: Kernel, f: Flow, name: string, c: Call): Promise<void> {
  const spec = {
    type: 'distributor',
    owner: f.spec.owner,
    sources: [f.name],
    sinks: sinksOf(k, f),
    from: { at: 'latest' as const },
    config: null,
    runtime: k.processors.runtime ?? '',
    desired: 'run' as const,
  }
  await k.resources
    .create(
      {
        kind: 'Processor',
        name,
        spec,
        finalizers: ['fnaad/run'],
        owner: { kind: 'Flow', name: f.name, uid: f.uid },
        status: { conditions: [], epoch: 0 },
      },
      c,
    )
    .catch(e => (isFna(e, 'FNA_ERR_EXISTS') ? undefined : Promise.reject(e)))
}
