import type { Batch, Tier } from '@fnaa/protocol'

const ORDER: readonly Tier[] = ['raw', 'rebatched', 'decoded']

/** What a batch took from its source to all its sinks: the most that any of them did. */
export function tierOf(b: Batch, written: readonly { readonly tier?: Tier }[]): Tier {
  const own = b.raw ? (b.made?.tier ?? 'raw') : 'decoded'
  return written.reduce<Tier>((most, w) => {
    const tier = w.tier ?? 'raw'
    return ORDER.indexOf(tier) > ORDER.indexOf(most) ? tier : most
  }, own)
}
