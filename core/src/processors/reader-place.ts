import { createHash } from 'node:crypto'
import { type From, mintId, type Position } from '@fnaa/protocol'
import type { Endpoint } from '../contract/broker.js'
import type { Call } from '../contract/common.js'
import type { Run } from '../contract/processor.js'
import type { Resource } from '../contract/store.js'
import type { Kernel } from '../kernel.js'

// A broker keeps where its readers stand by names that begin with the login's. Another login (ROTATE) is another reader there,
// so where the one before stood is kept here too.

// And a broker forgets: with a topic that is made anew, and with time (Kafka keeps the offsets of a group that rests for a week).

type S = Resource<'Subscription'>

const keyed = (uid: string, reader: string): string =>
  `processor/${uid}/${mintId(createHash('sha256').update(reader).digest().subarray(0, 16))}`
const keyOf = (s: S, reader: string): string => keyed(s.uid, reader)

/** Where the place of one source of a run is kept; undefined for what comes through an agent, which keeps places itself. */
function keyIn(
  k: Kernel,
  id: string,
  source: { readonly name: string; readonly endpoint: Endpoint },
): string | undefined {
  if (source.endpoint.type === 'fnap') return undefined
  const s = k.resources.get('Subscription', id)
  if (s) return source.endpoint.reader === undefined ? undefined : keyOf(s, source.endpoint.reader)
  const p = k.resources.get('Processor', id)
  return p && keyed(p.uid, `source ${source.name}`)
}

/** A run has reported where it stands in its sources. */
export function keepReader(k: Kernel, run: Run, positions: Readonly<Record<string, Position>>): void {
  // Where each sink has a place, there is no other.
  if (run.sinks.some(sink => sink.from)) return
  for (const source of run.sources) {
    const at = positions[source.name]
    const key = at && keyIn(k, run.id, source)
    if (!at || key === undefined) continue
    for (const [shard, cursor] of Object.entries(at.shards)) k.positions.move(key, at.epoch, shard, cursor)
  }
}

/** Where a run stood in a source when it last said so. */
export async function readerStood(
  k: Kernel,
  id: string,
  source: { readonly name: string; readonly endpoint: Endpoint },
  c: Call,
): Promise<Position | undefined> {
  const key = keyIn(k, id, source)
  return key === undefined ? undefined : ((await k.positions.get(key, c)) ?? undefined)
}

/** The places of a processor in flows of ours. */
export async function forgetSources(k: Kernel, p: Resource<'Processor'>, c: Call): Promise<void> {
  for (const name of p.spec.sources) await k.positions.delete(keyed(p.uid, `source ${name}`), c)
}

/** Where to begin: a copy at its beginning, the source where the subscription does, another login where the one before stood. */
export async function readerBegins(k: Kernel, s: S, from: From, c: Call): Promise<From | undefined> {
  const { mode, endpoint, readerBefore } = s.status
  if (mode === undefined || mode === 'fnap') return undefined
  const reader = endpoint?.reader
  const known = reader !== undefined && (await k.positions.get(keyOf(s, reader), c)) !== null
  const before = known || readerBefore === undefined ? null : await k.positions.get(keyOf(s, readerBefore), c)
  if (before) return { at: 'position', position: before }
  return mode === 'copy' ? { at: 'earliest' } : from
}

export async function forgetReader(k: Kernel, s: S, c: Call): Promise<void> {
  for (const reader of [s.status.endpoint?.reader, s.status.readerBefore])
    if (reader !== undefined) await k.positions.delete(keyOf(s, reader), c)
}
