import type { Call, Change, FlowSpec, Kinds, Resource, StoreService } from '@fnaa/core/plugin'
import type { Harness } from '../harness.js'
import { call } from '../harness.js'
import type { Case } from '../suite.js'

/** The harness of a store, with what the cases share. */
export interface StoreHarness extends Harness<'store'> {
  readonly c: Call
  flow(name: string, more?: Partial<FlowSpec>, finalizers?: readonly string[]): Promise<Resource<'Flow'>>
}

export type StoreCase = Case<'store', StoreHarness>

export function extendStore(h: Harness<'store'>): StoreHarness {
  const c = call()
  const extra = {
    c,
    flow: (name: string, more: Partial<FlowSpec> = {}, finalizers: readonly string[] = []) =>
      h.service.create({ kind: 'Flow', name, spec: { ...flowSpec, ...more }, finalizers }, c),
  }
  return Object.defineProperties(extra, Object.getOwnPropertyDescriptors(h)) as StoreHarness
}

export const flowSpec: FlowSpec = {
  namespace: 'flows.unix.test',
  owner: 'ana@unix.test',
  broker: 'main',
  queue: { shards: 1 },
  visibility: 'private',
  requests: false,
  onDelete: 'delete',
}

/** All names, page after page. */
export async function names(
  s: StoreService,
  kind: keyof Kinds,
  q: { prefix?: string; field?: readonly [string, string]; limit: number },
  c: Call,
): Promise<string[]> {
  const found: string[] = []
  let after: string | undefined
  do {
    const page = await s.list(kind, { ...q, ...(after !== undefined && { after }) }, c)
    found.push(...page.items.map(r => r.name))
    after = page.next
  } while (after !== undefined)
  return found
}

/** The next `n` changes of a watch, which is then ended. */
export async function changes(
  s: StoreService,
  kinds: readonly (keyof Kinds)[],
  after: string,
  n: number,
): Promise<Change[]> {
  const stop = new AbortController()
  const found: Change[] = []
  for await (const change of s.watch(kinds, after, call(stop.signal))) {
    found.push(change)
    if (found.length === n) stop.abort()
  }
  return found
}

/** A change in short: `put f1 2`, where the last is the generation. */
export function brief(change: Change): string {
  if (change.type === 'resync') return 'resync'
  return `${change.type} ${change.resource.name} ${change.resource.generation}`
}
