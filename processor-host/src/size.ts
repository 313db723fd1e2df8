import type { Batch } from '@fnaa/protocol'

/** What an event that has no raw bytes is taken to cost. */
const DECODED_BYTES = 1024

/** Bytes that a batch is counted with, while it is under way. */
export const sizeOf = (b: Batch): number => b.raw?.bytes.length ?? b.count * DECODED_BYTES
