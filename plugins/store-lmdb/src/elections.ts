import type { Call, Leadership } from '@fnaa/core/plugin'
import { FnaError } from '@fnaa/core/plugin'
import { aborted, type Disk, type Table } from '@fnaa/lib-lmdb'
import { checkName, keyOf } from './keys.js'

/**
 * Who leads a name. Only one process has the store, so waiting is a queue in memory; what must outlive the process is
 * the epoch, which is on disk before anyone leads with it.
 */
export class Elections {
  private readonly lines = new Map<string, (() => void)[]>()
  private readonly leaders = new Set<AbortController>()
  private readonly meta: Table
  private closed = false

  constructor(private readonly disk: Disk) {
    this.meta = disk.table('meta')
  }

  /** @throws FNA_ERR_CLOSED, FNA_ERR_TIMEOUT where the signal aborts first */
  async elect(name: string, identity: string, c: Call): Promise<Leadership> {
    checkName('name', name)
    await this.turn(name, c.signal)
    let epoch: number
    try {
      epoch = await this.raise(name, identity, c.signal)
    } catch (e) {
      this.pass(name)
      throw e
    }
    const lost = new AbortController()
    this.leaders.add(lost)
    const resign = async () => {
      if (!this.leaders.delete(lost)) return
      lost.abort()
      this.pass(name)
    }
    return { epoch, lost: lost.signal, resign }
  }

  close(): void {
    this.closed = true
    for (const leader of this.leaders) leader.abort()
    this.leaders.clear()
    for (const line of this.lines.values()) for (const go of line.splice(0)) go()
  }

  /** Waits at the end of the line; the first in it leads or is about to. */
  private turn(name: string, signal: AbortSignal): Promise<void> {
    const line = this.lines.get(name) ?? []
    this.lines.set(name, line)
    return new Promise((resolve, reject) => {
      const leave = () => {
        line.splice(line.indexOf(go), 1)
        reject(aborted(signal))
      }
      const go = () => {
        signal.removeEventListener('abort', leave)
        if (this.closed) reject(new FnaError('FNA_ERR_CLOSED', 'the store was closed'))
        else resolve()
      }
      if (signal.aborted) return reject(aborted(signal))
      line.push(go)
      if (line.length === 1) go()
      else signal.addEventListener('abort', leave)
    })
  }

  private pass(name: string): void {
    const line = this.lines.get(name)
    line?.shift()
    if (line?.[0]) line[0]()
    else this.lines.delete(name)
  }

  private raise(name: string, identity: string, signal: AbortSignal): Promise<number> {
    const key = keyOf('epoch', name)
    return this.disk.commit(
      put => {
        const before = this.meta.get(key)
        const epoch = (before ? (JSON.parse(before.toString()) as { epoch: number }).epoch : 0) + 1
        put(this.meta, key, Buffer.from(JSON.stringify({ epoch, identity })))
        return epoch
      },
      { grows: 0, signal },
    )
  }
}
