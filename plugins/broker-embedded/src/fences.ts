import { FnaError } from '@fnaa/core/plugin'
import type { Disk, Table } from '@fnaa/lib-lmdb'

/**
 * The highest epoch seen of each reader and writer. A run that was replaced may still be alive somewhere; whatever it
 * does after its successor came is refused, across restarts too.
 */
export class Fences {
  private readonly seen = new Map<string, number>()
  private readonly table: Table

  constructor(private readonly disk: Disk) {
    this.table = disk.table('fences')
  }

  /** A reader or writer comes with `epoch`; resolves when that is on disk. @throws FNA_ERR_FENCED for a lower one than seen */
  async raise(who: string, epoch: number, signal: AbortSignal): Promise<void> {
    this.check(who, epoch)
    if (epoch <= this.highest(who)) return
    // At once, not only when it is on disk: the one who is replaced is refused from here on.
    this.seen.set(who, epoch)
    await this.disk.commit(put => put(this.table, Buffer.from(who), Buffer.from(String(epoch))), { grows: 0, signal })
  }

  /** @throws FNA_ERR_FENCED */
  check(who: string, epoch: number): void {
    const highest = this.highest(who)
    if (epoch < highest) throw new FnaError('FNA_ERR_FENCED', `epoch ${epoch} was replaced by ${highest}`)
  }

  private highest(who: string): number {
    let epoch = this.seen.get(who)
    if (epoch === undefined) {
      epoch = Number(this.table.get(Buffer.from(who))?.toString() ?? 0)
      this.seen.set(who, epoch)
    }
    return epoch
  }
}

/** Readers and writers of one name are two. */
export const fenceOf = (side: 'read' | 'write', queue: string, name: string): string => `${side}\0${queue}\0${name}`
