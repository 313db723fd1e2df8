import { createHash } from 'node:crypto'
import { type From, mintId, type Position } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import type { Run } from '../contract/processor.js'
import type { Resource } from '../contract/store.js'
import type { Kernel } from '../kernel.js'

// A broker keeps where its readers stand by names that begin with the login's. Another login (ROTATE) is another reader there,
// so where the one before stood is kept here too.

type S = Resource<'Subscription'>

const keyOf = (s: S, reader: string): string =>
  `processor/${s.uid}/${mintId(createHash('sha256').update(reader).digest().subarray(0, 16))}`

/** A run has reported where it stands in the subscription's endpoint. */
export function keepReader(k: Kernel, run: Run, positions: Readonly<Record<string, Position>>): void {
  const s = k.resources.get('Subscription', run.id)
  const reader = run.sources[0]?.endpoint.reader
  const at = run.sources[0] && positions[run.sources[0].name]
  if (!s || reader === undefined || !at) return
  for (const [shard, cursor] of Object.entries(at.shards)) k.positions.move(keyOf(s, reader), at.epoch, shard, cursor)
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
