/** Which names of a kind hold which value in a top-level field of their spec: built on the first question, then kept. */
export class FieldIndex {
  private readonly built = new Map<string, Map<string, Map<string, Set<string>>>>()

  /** Names whose `field` is `value`, in no order. `all` gives every spec of the kind and is asked once per field. */
  names(kind: string, field: string, value: string, all: () => Iterable<readonly [string, object]>): Iterable<string> {
    const fields = this.built.get(kind) ?? new Map<string, Map<string, Set<string>>>()
    this.built.set(kind, fields)
    let values = fields.get(field)
    if (!values) {
      values = new Map()
      fields.set(field, values)
      for (const [name, spec] of all()) insert(values, fieldOf(spec, field), name)
    }
    return values.get(value) ?? []
  }

  /** A resource came, changed or went. */
  change(kind: string, name: string, before: object | undefined, after: object | undefined): void {
    for (const [field, values] of this.built.get(kind) ?? []) {
      const old = before && fieldOf(before, field)
      const now = after && fieldOf(after, field)
      if (old !== undefined && old !== now) {
        const set = values.get(old)
        set?.delete(name)
        if (set?.size === 0) values.delete(old)
      }
      insert(values, now, name)
    }
  }
}

/** A field as the text that a query compares with; undefined for what is no single word. */
export function fieldOf(spec: object, field: string): string | undefined {
  const v = Object.hasOwn(spec, field) ? (spec as Record<string, unknown>)[field] : undefined
  return typeof v === 'string' || typeof v === 'number' || typeof v === 'boolean' ? String(v) : undefined
}

function insert(values: Map<string, Set<string>>, value: string | undefined, name: string): void {
  if (value === undefined) return
  const set = values.get(value)
  if (set) set.add(name)
  else values.set(value, new Set([name]))
}
