import { InTurn } from '@fnaa/client'
import { type On, whoMatches } from '@fnaa/protocol'
import type { Identity } from '../contract/auth.js'
import type { Clock } from '../contract/common.js'
import type { Limits, Right } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import type { Resources } from '../resources/resources.js'

/** Whom a question is about: every principal for whom the session may speak. */
export interface Subject {
  readonly type: 'user' | 'domain' | 'anonymous'
  /** `alice@emiliano.test`, and for an agent that speaks FOR her also `emiliano.test`. */
  readonly principals: readonly string[]
  /** Grants rest, what bars does not (hardening H8). */
  readonly suspended?: boolean
}

export const RIGHTS: readonly Right[] = ['describe', 'read', 'write', 'subscribe', 'manage']
const BIT: Readonly<Record<Right, number>> = { describe: 1, read: 2, write: 4, subscribe: 8, manage: 16 }
const ALL = 31
/** manage includes all; any other right includes describe: nobody can use what he may not see. */
const WITH: Readonly<Record<Right, number>> = { describe: 1, read: 3, write: 5, subscribe: 9, manage: ALL }
const PUBLIC = WITH.read | WITH.subscribe

/** The subject of a session, with FOR where an agent speaks for one of its users. */
export function subjectOf(who: Identity, speaksFor?: string, suspended = false): Subject {
  if (who.type === 'anonymous') return { type: 'anonymous', principals: ['anonymous'] }
  const principals = speaksFor === undefined ? [who.principal] : [speaksFor, who.principal]
  return { type: who.type === 'domain' ? 'domain' : 'user', principals, ...(suspended ? { suspended } : {}) }
}

/** Grants, owners, visibility and administrators in one place: every verb asks here, and nowhere else. */
export class Authorizer {
  readonly #resources: Resources
  readonly #clock: Clock
  readonly #administrators: ReadonlySet<string>
  /** Grants by `Flow/<name>` or `Namespace/<name>`. */
  readonly #grants = new Map<string, Map<string, Resource<'Grant'>>>()
  readonly #turns = new InTurn()

  constructor(resources: Resources, clock: Clock, administrators: readonly string[]) {
    this.#resources = resources
    this.#clock = clock
    this.#administrators = new Set(administrators)
    for (const grant of resources.list('Grant')) this.#learn(grant)
    resources.onChange((r, _previous, gone) => {
      if (r.kind !== 'Grant') return
      if (gone || r.deleting !== undefined) this.#forget(r as Resource<'Grant'>)
      else this.#learn(r as Resource<'Grant'>)
    })
  }

  /** What is granted on one thing is changed one change after another, those of DELETE and of EXPIRES too. */
  changing<T>(on: On, work: () => Promise<T>): Promise<T> {
    return this.#turns.run(`${on.kind}/${on.name}`, work)
  }

  isAdministrator(s: Subject): boolean {
    return s.type === 'user' && this.#administrators.has(s.principals[0]!)
  }

  onFlow(s: Subject, flow: Resource<'Flow'>): number {
    if (isOwner(s, flow.spec.owner) || this.isAdministrator(s)) return ALL
    const barred = this.#matching(s, 'Flow', flow.name).some(g => g.spec.deny)
    let bits = this.#of(s, 'Flow', flow.name, barred) | this.#onNamespace(s, flow.spec.namespace, barred)
    if (barred) return bits
    if (flow.spec.visibility === 'public') bits |= PUBLIC
    else if (flow.spec.visibility === 'listed') bits |= WITH.describe
    return s.type === 'anonymous' ? bits & WITH.read : bits
  }

  onNamespace(s: Subject, name: string): number {
    return this.#onNamespace(s, name, false)
  }

  #onNamespace(s: Subject, name: string, barred: boolean): number {
    if (this.isAdministrator(s)) return ALL
    const ns = this.#resources.get('Namespace', name)
    if (ns && isOwner(s, ns.spec.owner)) return ALL
    const bits = this.#of(s, 'Namespace', name, barred)
    return s.type === 'anonymous' ? bits & WITH.read : bits
  }

  mayFlow(s: Subject, right: Right, flow: Resource<'Flow'>): boolean {
    return (this.onFlow(s, flow) & BIT[right]) !== 0
  }

  mayNamespace(s: Subject, right: Right, name: string): boolean {
    return (this.onNamespace(s, name) & BIT[right]) !== 0
  }

  /** Does the subject know that the namespace is there: by a right on it, or by a flow in it that it may see? */
  knowsNamespace(s: Subject, name: string): boolean {
    if (this.mayNamespace(s, 'describe', name)) return true
    return this.#resources.by('Flow', 'namespace', name).some(f => this.mayFlow(s, 'describe', f))
  }

  /** Did a grant, and not ownership or visibility, give it? (`GET FLOWS SHARED`) */
  shared(s: Subject, flow: Resource<'Flow'>): boolean {
    return this.granted(s, 'describe', flow)
  }

  /** Does a grant, and not ownership or visibility, give the right? */
  granted(s: Subject, right: Right, flow: Resource<'Flow'>): boolean {
    const bits = this.#of(s, 'Flow', flow.name) | this.#of(s, 'Namespace', flow.spec.namespace)
    return (bits & BIT[right]) !== 0
  }

  /** The lowest of the limits of the grants that hold. */
  limits(s: Subject, flow: Resource<'Flow'>): Limits {
    const found = [...this.#matching(s, 'Flow', flow.name), ...this.#matching(s, 'Namespace', flow.spec.namespace)]
    return lowest(found.map(g => g.spec.limits))
  }

  /** Namespaces of ours that the subject manages, sorted. */
  managed(s: Subject): string[] {
    return this.#resources
      .list('Namespace')
      .filter(n => this.mayNamespace(s, 'manage', n.name))
      .map(n => n.name)
  }

  /** Those that bar somebody too (`deny`). */
  grantsOn(kind: 'Namespace' | 'Flow', name: string): Resource<'Grant'>[] {
    return [...(this.#grants.get(`${kind}/${name}`)?.values() ?? [])]
  }

  /** The bits of the grants that match; of who is barred (hardening H7) those alone that name it: what all may, it may not. */
  #of(s: Subject, kind: 'Namespace' | 'Flow', name: string, barred = false): number {
    if (s.suspended) return 0
    let bits = 0
    for (const g of this.#matching(s, kind, name)) {
      if (barred && g.spec.to === '*') continue
      for (const right of g.spec.rights) bits |= WITH[right]
    }
    return bits
  }

  #matching(s: Subject, kind: 'Namespace' | 'Flow', name: string): Resource<'Grant'>[] {
    const grants = this.#grants.get(`${kind}/${name}`)
    if (!grants) return []
    const now = this.#clock.now()
    return [...grants.values()].filter(
      g =>
        (g.spec.expires === undefined || Date.parse(g.spec.expires) > now) &&
        s.principals.some(p => whoMatches(g.spec.to, p)),
    )
  }

  #learn(g: Resource<'Grant'>): void {
    const key = `${g.spec.on.kind}/${g.spec.on.name}`
    const known = this.#grants.get(key)
    if (known) known.set(g.name, g)
    else this.#grants.set(key, new Map([[g.name, g]]))
  }

  #forget(g: Resource<'Grant'>): void {
    const key = `${g.spec.on.kind}/${g.spec.on.name}`
    const known = this.#grants.get(key)
    known?.delete(g.name)
    if (known?.size === 0) this.#grants.delete(key)
  }
}

const isOwner = (s: Subject, owner: string) => s.type === 'user' && s.principals[0] === owner

/** The lower of each limit that is set. */
export function lowest(all: readonly (Limits | undefined)[]): Limits {
  const min = (key: keyof Limits) => {
    const set = all.flatMap(l => (l?.[key] === undefined ? [] : [l[key]]))
    return set.length > 0 ? { [key]: Math.min(...set) } : {}
  }
  return { ...min('bytesPerSecond'), ...min('eventsPerSecond') }
}
