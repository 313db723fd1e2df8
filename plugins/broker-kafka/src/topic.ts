import type { DriverHost, Endpoint } from '@fnaa/core/plugin'
import type { Cluster } from '@fnaa/kafka-wire'

/** One topic at one cluster, as a driver has opened it. */
export interface Topic {
  readonly cluster: Cluster
  readonly topic: string
  readonly host: DriverHost
  readonly names: Names
}

/** What groups and producers of this endpoint are called at the cluster. */
export interface Names {
  reader(reader: string): string
  writer(writer: string): string
  /** The group beside the data of an exactly-once writer. */
  kept(reader: string): string
}

/** Who was issued a credential may use names of his own only; they begin with the endpoint's `reader`. */
export const namesOf = (endpoint: Endpoint): Names => {
  const base = endpoint.reader ?? 'fnaad'
  return {
    reader: reader => `${base}.${reader}`,
    writer: writer => `${base}.writer.${writer}`,
    kept: reader => `${base}.exactly.${reader}`,
  }
}

const OWN = /^fnaad(?:-[^.]*)?\.(writer\.|exactly\.)?(.*)$/s

/** The reader whose group this is; null for a group that is none: it keeps a writer's epoch, or a position beside the data. */
export function readerOf(group: string): string | null {
  const m = OWN.exec(group)
  if (!m) return group
  return m[1] === undefined ? (m[2] as string) : null
}
