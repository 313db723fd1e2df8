import { call } from '@fnaa/conformance'
import { type Credential, type Endpoint, operatorsDial, type Sink, type Source, type Wire } from '@fnaa/core/plugin'
import { type Batch, batchOf, type Codec, encodeBatch, type From, type Gap } from '@fnaa/protocol'
import driver from './driver.js'

const log = { debug() {}, info() {}, warn() {}, error() {} }

/** Opens a topic as a processor host does. */
export const opened = (
  endpoint: Pick<Endpoint, 'servers' | 'queue'> & Partial<Endpoint>,
  credential: Credential | null = null,
): Promise<Wire> =>
  driver.open(
    { type: 'kafka', ...endpoint },
    credential,
    { log: log as never, dial: operatorsDial, foreign: false },
    call(),
  )

export const sourceOf = (wire: Wire, from: From = { at: 'earliest' }, reader = 'r', epoch = 1): Promise<Source> =>
  wire.source({ reader, epoch, from }, call())
export const sinkOf = (wire: Wire, writer = 'w', epoch = 1): Promise<Sink> => wire.sink({ writer, epoch }, call())

/** Values as one batch of a shard. */
export const batchWith = (
  values: readonly string[],
  opt: { shard?: string; codec?: Codec; last?: string } = {},
): Batch =>
  batchOf({
    shard: opt.shard ?? '0',
    last: opt.last ?? '',
    bytes: encodeBatch(
      values.map(v => ({ key: null, value: Buffer.from(v), headers: [], timestamp: Date.now() })),
      { codec: opt.codec ?? 'none' },
    ),
  })

/** Reads one thing after another, as it comes. */
export class Reader {
  readonly source: Source
  readonly values: string[] = []
  readonly gaps: Gap[] = []
  readonly #stop = new AbortController()
  readonly #pieces: AsyncIterator<Batch | Gap>

  constructor(source: Source) {
    this.source = source
    this.#pieces = source.read({ signal: this.#stop.signal })[Symbol.asyncIterator]()
  }

  /** Until there are so many values and gaps in all; commits each batch. */
  async until(values: number, gaps = 0): Promise<this> {
    while (this.values.length < values || this.gaps.length < gaps) {
      const { value, done } = await this.#pieces.next()
      if (done) throw new Error('the source has ended')
      if ('reason' in value) this.gaps.push(value)
      else {
        for (const e of value.events({ bytes: 1 << 24 })) this.values.push(Buffer.from(e.value ?? []).toString())
        await this.source.commit(value.shard, value.last, call())
      }
    }
    return this
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.source.close()
  }
}
