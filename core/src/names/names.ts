import { createHash } from 'node:crypto'
import { isWithin, mintId } from '@fnaa/protocol'
import type { Resource } from '../contract/store.js'
import type { Kernel } from '../kernel.js'
import type { Resources } from '../resources/resources.js'

/** The resource name of a private alias: one user's, so that a stranger's flow can have any local name (transcript T12). */
export const aliasName = (user: string, name: string): string => `~${user}/${name}`
export const isAlias = (flow: string): boolean => flow.startsWith('~')
/** The name as its user types it. */
export const aliasOf = (flow: string): string => flow.slice(flow.indexOf('/') + 1)

/** How a flow is shown: an alias by the name its user gave it. */
export const shown = (flow: string): string => (isAlias(flow) ? aliasOf(flow) : flow)

/** The name from which a broker makes its queue's: an alias gets one that no flow can have. */
export function queueName(flow: string): string {
  if (!isAlias(flow)) return flow
  return `${mintId(createHash('sha256').update(flow).digest().subarray(0, 16))}.${aliasOf(flow)}`
}

/** What counts as the source in `origins`: an alias by its user (federation: `alias:<user>/<name>`). */
export const originOf = (flow: string): string => (isAlias(flow) ? `alias:${flow.slice(1)}` : flow)

/** One sentence for what is hidden and for what is absent. */
export const UNSEEN = 'there is no such flow here, or it is not shown to you'

/** The namespace of ours in which a name lies: the longest that is a proper suffix. */
export function namespaceOf(resources: Resources, name: string): Resource<'Namespace'> | undefined {
  return namespacesAbove(resources, name)[0]
}

/** Every namespace of ours that is a proper suffix of the name, the longest first: none where the name is another agent's (figure 20). */
export function namespacesAbove(resources: Resources, name: string): Resource<'Namespace'>[] {
  const found: Resource<'Namespace'>[] = []
  for (let dot = name.indexOf('.'); dot > 0; dot = name.indexOf('.', dot + 1)) {
    const ns = resources.get('Namespace', name.slice(dot + 1))
    if (ns && ns.deleting === undefined && ns.spec.agent !== undefined) return []
    if (ns && ns.deleting === undefined) found.push(ns)
  }
  return found
}

/** The namespace that another agent serves, at or above a name. */
export function elsewhere(resources: Resources, name: string): Resource<'Namespace'> | undefined {
  for (let at = name; at.includes('.'); at = at.slice(at.indexOf('.') + 1)) {
    const ns = resources.get('Namespace', at)
    if (ns?.spec.agent !== undefined && ns.deleting === undefined) return ns
  }
  return undefined
}

/** Is it the name of this agent's host, or of the agent of a namespace of ours (hardening H15)? */
export function isHost(k: Pick<Kernel, 'config' | 'resources'>, name: string): boolean {
  const { config, resources } = k
  const own = name === config.host || name === config.advertise?.replace(/:\d+$/, '')
  return own || resources.list('Namespace').some(n => n.spec.agent === name)
}

/** The domain of ours that a name belongs to: the longest. */
export function domainOf(domains: readonly string[], name: string): string | undefined {
  return domains.filter(d => isWithin(name, d)).sort((a, b) => b.length - a.length)[0]
}
