/** The jobs of one source, oldest first; of one network, its sources in the order of their turns. */
type Sources<T> = Map<string, T[]>

/** A queue in which groups take turns, and inside a group its members: nobody waits behind another's crowd. */
export class Turns<T> {
  readonly #groups = new Map<string, Sources<T>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** How many wait: of a group, or of one member of it. */
  of(group: string, member?: string): number {
    const members = this.#groups.get(group)
    if (!members) return 0
    if (member !== undefined) return members.get(member)?.length ?? 0
    let n = 0
    for (const items of members.values()) n += items.length
    return n
  }

  add(group: string, member: string, item: T): void {
    const members = this.#groups.get(group) ?? new Map<string, T[]>()
    this.#groups.set(group, members)
    const items = members.get(member)
    if (items) items.push(item)
    else members.set(member, [item])
    this.#size++
  }

  /** Takes out the one whose turn it is; its group and its member go to the end of theirs. */
  next(): T | undefined {
    const group = first(this.#groups)
    if (!group) return undefined
    const member = first(group[1])!
    const item = member[1].shift()!
    this.#size--
    this.#groups.delete(group[0])
    group[1].delete(member[0])
    if (member[1].length > 0) group[1].set(member[0], member[1])
    if (group[1].size > 0) this.#groups.set(group[0], group[1])
    return item
  }

  remove(group: string, member: string, item: T): void {
    const members = this.#groups.get(group)
    const items = members?.get(member)
    const at = items?.indexOf(item) ?? -1
    if (at < 0) return
    items!.splice(at, 1)
    this.#size--
    if (items!.length === 0) members!.delete(member)
    if (members!.size === 0) this.#groups.delete(group)
  }

  /** The group that has most waiting. */
  largest(): string | undefined {
    let found: string | undefined
    for (const group of this.#groups.keys()) {
      if (found === undefined || this.of(group) > this.of(found)) found = group
    }
    return found
  }

  /** Takes out the newest of the group's longest member. */
  newest(group: string): T | undefined {
    let longest: [string, T[]] | undefined
    for (const entry of this.#groups.get(group) ?? []) {
      if (!longest || entry[1].length >= longest[1].length) longest = entry
    }
    const item = longest?.[1].at(-1)
    if (longest && item !== undefined) this.remove(group, longest[0], item)
    return item
  }
}

const first = <K, V>(map: Map<K, V>): [K, V] | undefined => map.entries().next().value
