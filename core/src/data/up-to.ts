import type { Batch, Gap } from '@fnaa/protocol'
import type { Source } from '../contract/broker.js'

/** Milliseconds without anything after which the source is asked whether something is still to come. */
const IDLE_MS = 100

/** What a source gives, beginning with what has been asked for already. */
export async function* all(first: Promise<IteratorResult<Batch | Gap>>, pieces: AsyncIterator<Batch | Gap>) {
  for (let next = await first; !next.done; next = await pieces.next()) yield next.value
}

/**
 * As far as the source went when it was measured. That is a number of places, of which some hold nothing that anybody is given: marks
 * of transactions, what compaction took. So it ends too when the source says that nothing is behind.
 * @param events places behind the source's position
 */
export async function* upTo(
  source: Source,
  first: Promise<IteratorResult<Batch | Gap>>,
  pieces: AsyncIterator<Batch | Gap>,
  events: number,
  signal: AbortSignal,
): AsyncGenerator<Batch | Gap, void, void> {
  let left = events
  let next: Promise<IteratorResult<Batch | Gap>> | null = first
  while (left > 0) {
    next ??= pieces.next()
    const got: IteratorResult<Batch | Gap> | null = (await within(next, IDLE_MS)) ?? (await last(source, next, signal))
    if (got === null || got.done) return
    next = null
    yield got.value
    if ('count' in got.value) left -= got.value.count
  }
}

/** What comes next, or null where nothing does. */
async function last(
  source: Source,
  next: Promise<IteratorResult<Batch | Gap>>,
  signal: AbortSignal,
): Promise<IteratorResult<Batch | Gap> | null> {
  while (!signal.aborted) {
    const { shards } = await source.lag({ signal })
    const behind = Object.values(shards).some(s => s.behind > 0)
    // What the source has given while it was asked comes first.
    const got = await within(next, behind ? IDLE_MS : 0)
    if (got !== null || !behind) return got
  }
  return null
}

/** Null where it takes longer. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>(resolve => {
    timer = setTimeout(resolve, ms, null)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
