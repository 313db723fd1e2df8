import { type Clock, FnaError, type Logger, type QueueSpec, type Wire } from '@fnaa/core/plugin'
import type { Disk } from '@fnaa/lib-lmdb'
import { Fences } from './fences.js'
import { MAX_EVENT } from './incoming.js'
import { Queues } from './queues.js'
import { Readers } from './readers.js'
import { Retention } from './retention.js'
import { openWire } from './wire.js'

/** The open log: what the service and the driver of this process share. */
export class EmbeddedBroker {
  readonly queues: Queues
  readonly readers: Readers
  readonly fences: Fences
  readonly retention: Retention
  private readonly stop = new AbortController()
  private readonly running: Promise<void>

  constructor(
    readonly disk: Disk,
    readonly clock: Clock,
    log: Logger,
    defaults: QueueSpec,
  ) {
    this.queues = new Queues(disk, MAX_EVENT, defaults)
    this.readers = new Readers(disk, clock, log, this.stop.signal)
    this.fences = new Fences(disk)
    this.retention = new Retention(disk, this.queues, clock, log, this.stop.signal)
    this.running = this.run()
  }

  get closed(): boolean {
    return this.stop.signal.aborted
  }

  /** @throws FNA_ERR_CLOSED */
  open(): void {
    if (this.closed) throw new FnaError('FNA_ERR_CLOSED', 'the embedded broker is closed')
  }

  private async run(): Promise<void> {
    await this.readers.sweep(queue => this.queues.find(queue) !== undefined)
    await this.retention.run()
  }

  /** A connection to one queue, for the driver. */
  wire(queue: string): Wire {
    this.open()
    return openWire(this, queue)
  }

  /** Ends every reader, writes the positions, and runs `last` before the files close. */
  async close(last: () => Promise<void>): Promise<void> {
    if (this.closed) return
    this.stop.abort()
    for (const queue of this.queues.all()) queue.wake()
    await this.running
    await this.readers.flush().finally(() => this.disk.close(last))
  }
}
