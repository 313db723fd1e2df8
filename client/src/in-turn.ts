/** Work on one thing, one after another: each sees what the one before has left. Other things do not wait for it. */
export class InTurn {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Runs `work` when what was asked for before it, of the same key, has ended, well or not. */
  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key)
    const mine = before ? before.then(work, work) : work()
    this.#last.set(key, mine)
    const over = () => {
      if (this.#last.get(key) === mine) this.#last.delete(key)
    }
    mine.then(over, over)
    return mine
  }
}
