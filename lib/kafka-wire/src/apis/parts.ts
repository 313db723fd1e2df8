import type { Reader, Writer } from '../bytes.js'

/** One partition of a topic, as most requests and answers list them: by topic, then by number. */
export interface Part {
  readonly topic: string
  readonly partition: number
}
export interface PartAnswer extends Part {
  readonly error: number
}

/** Groups what is given for partitions by their topic, in order. */
export function byTopic<T extends Part>(items: readonly T[]): Map<string, T[]> {
  const out = new Map<string, T[]>()
  for (const item of items) {
    const of = out.get(item.topic)
    if (of) of.push(item)
    else out.set(item.topic, [item])
  }
  return out
}

/** @param each what stands behind a partition's number */
export function writeParts<T extends Part>(w: Writer, parts: readonly T[] | null, each: (part: T) => void): void {
  w.array(parts === null ? null : [...byTopic(parts)], ([topic, of]) => {
    w.string(topic)
    w.array(of, p => {
      w.int32(p.partition)
      each(p)
    })
  })
}

/** @param each what stands behind a partition's number */
export function readParts<T>(r: Reader, each: () => T): (Part & T)[] {
  return r
    .array(() => {
      const topic = r.string() ?? ''
      return r.array(() => ({ topic, partition: r.int32(), ...each() }))
    })
    .flat()
}

/** What a partition was answered, where that is an error code alone. */
export const readErrors = (r: Reader): PartAnswer[] => readParts(r, () => ({ error: r.int16() }))
