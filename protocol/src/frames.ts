import type { Gap, Position } from './events.js'
export type Frame =
  | { readonly type: 'D'; readonly shard: string; readonly cursor: string; readonly batch: Uint8Array }
  | { readonly type: 'A'; readonly shard: string; readonly cursor: string }
  | { readonly type: 'W'; readonly bytes: number }
  | { readonly type: 'P'; readonly position: Position }
  | { readonly type: 'H'; readonly epoch: string; readonly lag: { readonly events: number; readonly ms?: number } }
  | { readonly type: 'G'; readonly gap: Gap }
  | { readonly type: 'X' }
  | { readonly type: 'E'; readonly code: number; readonly symbol?: string; readonly text: string }
const todo = (): never => {
  throw new Error('not yet')
}
export const encodeFrame = (_frame: Frame): Buffer => todo()
/** Length, type, shard and cursor of a D frame, for who writes the batch itself behind it without copying. */
export const encodeDataHead = (_shard: string, _cursor: string, _batchLength: number): Buffer => todo()
export class FrameReader {
  push(_chunk: Buffer): void {
    todo()
  }
  next(): Frame | null {
    return todo()
  }
  rest(): Buffer {
    return todo()
  }
  get buffered(): number {
    return todo()
  }
}
