import { isDeepStrictEqual } from 'node:util'
import type { Call, Clock, Kinds, Resource } from '@fnaa/core/plugin'
import { FnaError } from '@fnaa/core/plugin'
import type { Disk, Put, Table } from '@fnaa/lib-lmdb'
import type { Changes } from './changes.js'
import { FieldIndex, fieldOf } from './field-index.js'
import { byBytes, checkGroup, checkLimit, checkName, keyOf, rangeOf, uid } from './keys.js'

type Kind = keyof Kinds
export interface Patch {
  readonly spec?: object
  readonly status?: object
  readonly finalizers?: readonly string[]
}
export type New<K extends Kind> = Pick<Resource<K>, 'kind' | 'name' | 'spec' | 'finalizers' | 'owner'> & {
  readonly status?: Kinds[K]['status']
}
export interface Query {
  readonly prefix?: string
  readonly field?: readonly [string, string]
  readonly after?: string
  readonly limit: number
}

/** Bytes of one resource at most. */
const MAX_RESOURCE = 1 << 20

/** The resources. Every write is a job of the disk's queue, so a check and its write are one step. */
export class Resources {
  private readonly table: Table
  private readonly index = new FieldIndex()

  constructor(
    private readonly disk: Disk,
    private readonly changes: Changes,
    private readonly clock: Clock,
  ) {
    this.table = disk.table('resources')
  }

  get(kind: Kind, name: string): Resource | null {
    checkGroup('kind', kind)
    checkName('name', name)
    const bytes = this.table.get(keyOf(kind, name))
    return bytes ? decode(bytes) : null
  }

  list(kind: Kind, q: Query): { items: Resource[]; next?: string; at: string } {
    checkGroup('kind', kind)
    checkLimit(q.limit)
    // Before reading: what a watch from here repeats is harmless, what it misses is not.
    const at = this.changes.at()
    const items = q.field ? this.byField(kind, q, q.field) : this.byRange(kind, q)
    if (items.length <= q.limit) return { items, at }
    items.pop()
    return { items, next: items.at(-1)!.name, at }
  }

  create(r: New<Kind>, c: Call): Promise<Resource> {
    checkGroup('kind', r.kind)
    checkName('name', r.name)
    const made = {
      kind: r.kind,
      name: r.name,
      uid: uid(),
      generation: 1,
      finalizers: [...r.finalizers],
      ...(r.owner && { owner: r.owner }),
      created: this.now(),
      spec: r.spec,
      status: (r.status ?? { conditions: [] }) as Resource['status'],
    }
    const work = (put: Put): Written => {
      const found = this.get(r.kind, r.name)
      if (found)
        throw new FnaError('FNA_ERR_EXISTS', `${r.kind} ${r.name} ${found.deleting ? 'is being deleted' : 'exists'}`)
      return this.write(put, 'put', made, undefined)
    }
    return this.run(work, sizeOf(made), c).then(w => w.resource)
  }

  update(seen: Resource, change: Patch, c: Call): Promise<Resource> {
    const grows = sizeOf(change) > sizeOf({ spec: seen.spec, status: seen.status }) ? sizeOf(change) : 0
    const work = (put: Put): Written => {
      const found = this.get(seen.kind, seen.name)
      if (!found || found.revision !== seen.revision) throw conflict(seen.kind, seen.name)
      const spec = change.spec === undefined ? found.spec : (plain(change.spec) as Resource['spec'])
      const next = {
        ...found,
        spec,
        status: (change.status ?? found.status) as Resource['status'],
        finalizers: change.finalizers ? [...change.finalizers] : found.finalizers,
        generation: found.generation + (isDeepStrictEqual(spec, found.spec) ? 0 : 1),
      }
      return this.write(put, found.deleting && next.finalizers.length === 0 ? 'gone' : 'put', next, found)
    }
    return this.run(work, grows, c).then(w => w.resource)
  }

  async delete(kind: Kind, name: string, opt: { uid?: string }, c: Call): Promise<'deleting' | 'gone' | 'absent'> {
    checkGroup('kind', kind)
    checkName('name', name)
    const work = (put: Put): Written | 'absent' | 'deleting' => {
      const found = this.get(kind, name)
      if (!found) return 'absent'
      if (opt.uid !== undefined && found.uid !== opt.uid) throw conflict(kind, name)
      if (found.finalizers.length === 0) return this.write(put, 'gone', found, found)
      if (found.deleting) return 'deleting'
      return this.write(put, 'put', { ...found, deleting: this.now() }, found)
    }
    const w = await this.run(work, 0, c)
    return typeof w === 'string' ? w : w.type === 'gone' ? 'gone' : 'deleting'
  }

  private write(
    put: Put,
    type: 'put' | 'gone',
    next: Omit<Resource, 'revision'>,
    before: Resource | undefined,
  ): Written {
    const seq = this.changes.next()
    // Through JSON once more: what is returned is what a reader gets, and nobody else holds it.
    const resource = plain({ ...next, revision: String(seq) }) as Resource
    const bytes = Buffer.from(JSON.stringify(resource))
    if (bytes.length > MAX_RESOURCE)
      throw new FnaError('FNA_ERR_TOO_LARGE', `${next.kind} ${next.name} passes ${MAX_RESOURCE} bytes`)
    put(this.table, keyOf(next.kind, next.name), type === 'gone' ? null : bytes)
    this.changes.note(put, seq, type, resource)
    return { type, seq, resource, before }
  }

  private run<T extends Written | string>(work: (put: Put) => T, grows: number, c: Call): Promise<T> {
    return this.disk.commit(work, {
      grows: c.reserve ? 0 : grows,
      signal: c.signal,
      done: w => typeof w !== 'string' && this.settle(w),
    })
  }

  private settle({ type, seq, resource, before }: Written): void {
    this.index.change(resource.kind, resource.name, before?.spec, type === 'gone' ? undefined : resource.spec)
    this.changes.publish(seq)
  }

  private byRange(kind: Kind, q: Query): Resource[] {
    const range = this.table.getRange({ ...rangeOf(kind, q.prefix ?? '', q.after), limit: q.limit + 1 })
    return Array.from(range, e => decode(e.value))
  }

  private byField(kind: Kind, q: Query, [field, value]: readonly [string, string]): Resource[] {
    const all = () => Array.from(this.table.getRange(rangeOf(kind, '', undefined)), e => decode(e.value))
    const named = this.index.names(kind, field, value, () => all().map(r => [r.name, r.spec] as const))
    const items: Resource[] = []
    for (const name of [...named].sort(byBytes)) {
      if (!name.startsWith(q.prefix ?? '') || (q.after !== undefined && byBytes(name, q.after) <= 0)) continue
      const r = this.get(kind, name)
      // The index may be a commit behind what is read.
      if (r && fieldOf(r.spec, field) === value) items.push(r)
      if (items.length > q.limit) break
    }
    return items
  }

  private now(): string {
    return new Date(this.clock.now()).toISOString()
  }
}

interface Written {
  readonly type: 'put' | 'gone'
  readonly seq: number
  readonly resource: Resource
  readonly before: Resource | undefined
}

const decode = (bytes: Uint8Array): Resource => JSON.parse(bytes.toString()) as Resource
const plain = (v: unknown): unknown => JSON.parse(JSON.stringify(v))
const sizeOf = (v: unknown): number => JSON.stringify(v).length
const conflict = (kind: string, name: string) =>
  new FnaError('FNA_ERR_CONFLICT', `${kind} ${name} is not what was seen: read it again`)
