import type { Call, Port, Source, Wire } from '@fnaa/core/plugin'
import { placeKey } from './reading.js'

/**
 * Whether something has still to come from a copy. Nothing has, where its reader stands at the beginning: a host may have died
 * between its commit and the agent's note of it.
 */
export async function awaits(p: Port, wire: Wire, source: Source, c: Call): Promise<boolean> {
  if (!p.marker?.awaited) return false
  const first = await wire.source({ reader: 'marker', epoch: 0, from: { at: 'earliest' } }, c)
  try {
    return placeKey(await first.position(c)) === placeKey(await source.position(c))
  } finally {
    await first.close()
  }
}
