/** Bytes: answers below the first are of exactly their size, those above the last too. Between them by powers of two. */
const POOLED = { from: 65_536, to: 4 << 20 } as const
/** What stands around the records of an answer that is as long as was asked for. */
const SLACK = 4096
/** Bytes that are kept for the next answers. */
const KEPT = 8 << 20
/** So many small answers in a row, and nothing is kept: whoever waits for events needs no megabytes to wait with. */
const IDLE = 8

/**
 * Memory for answers, used again and again. A fresh megabyte for each would have its pages zeroed by the kernel, and makes V8
 * look through the whole heap every 64 MiB: together they cost more than moving the bytes.
 */
export class Memory {
  readonly #own = new WeakSet<ArrayBufferLike>()
  #free: ArrayBufferLike[] = []
  #kept = 0
  #small = 0

  take(length: number): Buffer {
    if (length < POOLED.from) {
      if (++this.#small === IDLE) this.#drop()
      return Buffer.allocUnsafeSlow(length)
    }
    this.#small = 0
    if (length > POOLED.to + SLACK) return Buffer.allocUnsafeSlow(length)
    const size = POOLED.from * 2 ** Math.ceil(Math.log2(Math.max(1, (length - SLACK) / POOLED.from))) + SLACK
    const at = this.#free.findIndex(f => f.byteLength === size)
    if (at >= 0) {
      const [found] = this.#free.splice(at, 1) as [ArrayBufferLike]
      this.#kept -= size
      return Buffer.from(found as ArrayBuffer, 0, length)
    }
    const fresh = Buffer.allocUnsafeSlow(size).buffer
    this.#own.add(fresh)
    return Buffer.from(fresh as ArrayBuffer, 0, length)
  }

  /** Nobody looks at what was taken any more. What is not ours, or was given back already, is left alone. */
  give(memory: ArrayBufferLike): void {
    if (!this.#own.has(memory) || this.#free.includes(memory)) return
    if (this.#kept + memory.byteLength > KEPT) return
    this.#free.push(memory)
    this.#kept += memory.byteLength
  }

  #drop(): void {
    this.#free = []
    this.#kept = 0
  }
}
