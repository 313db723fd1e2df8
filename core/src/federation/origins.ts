import { originOf } from '../names/names.js'
import type { Resources } from '../resources/resources.js'

const MOST = 200

/** Every flow whose events may end up in this one, itself included (federation rule 11); sorted, bounded. */
export function originsOf(resources: Resources, flow: string): string[] {
  const found = new Set<string>()
  const visit = (name: string) => {
    const origin = originOf(name)
    if (found.has(origin) || found.size >= MOST) return
    found.add(origin)
    for (const s of resources.by('Subscription', 'local', name)) {
      if (s.spec.direction !== 'in') continue
      visit(s.spec.source)
      for (const o of s.status.origins ?? []) if (found.size < MOST) found.add(o)
    }
    for (const p of resources.list('Processor')) {
      if (p.owner === undefined && p.spec.sinks.includes(name)) for (const source of p.spec.sources) visit(source)
    }
  }
  visit(flow)
  return [...found].sort()
}
