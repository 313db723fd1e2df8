import { encodeBatches, MOST_BATCH, openBatch } from '@fnaa/protocol'

let tail: Promise<unknown> = Promise.resolve()

/** What is to be stored of a client's batch, and the oldest time stamp in it, milliseconds since 1970. */
export interface LookedThrough {
  readonly parts: Iterable<Uint8Array>
  readonly oldest: number
}

/**
 * Looks through a batch of a client's, and gives what is to be stored: its own bytes, or, where they are compressed and expand
 * to more than a frame carries, the events in batches that a frame carries, so that no reader has to expand a lot at once.
 * Only one batch of this process is expanded at a time, on another thread: a few bytes can become many (a gzip of 15 KB holds 15
 * MB), and the threads are also those that commit.
 * @throws FnapError BADEVENT, TOOLONG, NOTSUPPORTED
 */
export async function lookedThrough(bytes: Uint8Array): Promise<LookedThrough> {
  const work = tail.then(() => openBatch(bytes))
  tail = work.catch(() => undefined)
  const { checked, events } = await work
  const tooLong = checked.codec !== 'none' && checked.expanded > MOST_BATCH
  return { parts: tooLong ? encodeBatches(events()) : [bytes], oldest: checked.oldest }
}
