import type { Batch, Codec, FlowEvent } from './events.js'
export interface BatchHeader {
  readonly baseOffset: number
  /** Bytes of the whole batch. */
  readonly length: number
  readonly codec: Codec
  readonly count: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
}
export interface BatchLimits {
  readonly bytes?: number
  readonly expanded?: number
  readonly event?: number
}
const todo = (): never => {
  throw new Error('not yet')
}
export const encodeBatch = (_events: Iterable<FlowEvent>, _opt?: { codec?: 'none' | 'gzip' }): Buffer => todo()
export const readBatchHeader = (_bytes: Uint8Array): BatchHeader => todo()
export const checkBatch = (_bytes: Uint8Array, _limits?: BatchLimits): BatchHeader => todo()
export const decodeBatch = (_bytes: Uint8Array, _limit: { bytes: number }): Generator<FlowEvent> => todo()
export const batchOf = (_b: { shard: string; last: string; bytes: Uint8Array }): Batch => todo()
export const rebase = (_bytes: Uint8Array, _baseOffset: number): Buffer => todo()
export const splitBatch = (_bytes: Uint8Array, _at: number): [Buffer, Buffer] => todo()
export const trimBatch = (_bytes: Uint8Array, _skip: number): Buffer | null => todo()
