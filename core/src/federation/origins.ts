import type { SubscriptionSpec } from '../contract/kinds.js'
import { originOf } from '../names/names.js'
import type { Resources } from '../resources/resources.js'

const MOST = 200

/** Every flow whose events may end up in this one, itself included (federation rule 11); sorted, bounded. */
export const originsOf = (resources: Resources, flow: string): string[] => walk(resources, flow, 'origins')

/** Every flow in which this one's events may end up, itself included: the same for who writes into it by PUBLISH. */
export const destinationsOf = (resources: Resources, flow: string): string[] => walk(resources, flow, 'destinations')

/** Would this subscription close a loop? @param told what the provider says: where its flow's events come from; of PUBLISH, where they go */
export function closesLoop(
  resources: Resources,
  s: Pick<SubscriptionSpec, 'direction' | 'local'>,
  told: readonly string[],
): boolean {
  // What is behind the local flow here is known to nobody else.
  const own = s.direction === 'in' ? destinationsOf(resources, s.local) : originsOf(resources, s.local)
  return own.some(name => told.includes(name))
}

function walk(resources: Resources, flow: string, way: 'origins' | 'destinations'): string[] {
  // A subscription moves events from source to local, a publication from local to source.
  const [near, far] = way === 'origins' ? (['in', 'out'] as const) : (['out', 'in'] as const)
  const found = new Set<string>()
  const visit = (name: string) => {
    const origin = originOf(name)
    if (found.has(origin) || found.size >= MOST) return
    found.add(origin)
    for (const s of resources.by('Subscription', 'local', name)) {
      if (s.spec.direction !== near) continue
      visit(s.spec.source)
      for (const o of s.status.origins ?? []) if (found.size < MOST) found.add(o)
    }
    for (const s of resources.by('Subscription', 'source', name)) if (s.spec.direction === far) visit(s.spec.local)
    for (const p of resources.list('Processor')) {
      if (p.owner !== undefined) continue
      const { sources, sinks } = p.spec
      const [here, there] = way === 'origins' ? [sinks, sources] : [sources, sinks]
      if (here.includes(name)) for (const next of there) visit(next)
    }
  }
  visit(flow)
  return [...found].sort()
}
