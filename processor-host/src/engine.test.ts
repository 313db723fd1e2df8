import type { Driver, RunStatus, Sink, Source } from '@fnaa/core/plugin'
import { batchOf, encodeBatch } from '@fnaa/protocol'
import t, { type Test } from 'tap'
import { Engine } from './engine.js'
import type { RunSpec } from './run-spec.js'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const module = (text: string) => `data:text/javascript,${encodeURIComponent(`export default ${text}`)}`

/** A source that gives so many batches and then breaks off. */
class Broken implements Source {
  readonly committed: string[] = []
  readonly #batches: number
  constructor(batches: number) {
    this.#batches = batches
  }
  async *read() {
    for (let last = 1; last <= this.#batches; last++) {
      const event = { key: null, value: Buffer.from(String(last)), headers: [], timestamp: 0 }
      yield batchOf({ shard: '0', last: String(last), bytes: encodeBatch([event]) })
    }
    throw new Error('the batch behind them is damaged')
  }
  async commit(_: string, last: string) {
    this.committed.push(last)
  }
  async lag() {
    return { epoch: 'e', shards: {} }
  }
  async position() {
    return { epoch: 'e', shards: {} }
  }
  async close() {}
}

/** Runs a Bridge between the two until it has failed. @returns what it said last */
async function untilFailed(t: Test, source: Source, write: Sink['write']): Promise<RunStatus> {
  const sink: Sink = { write, restore: async () => null, close: async () => undefined }
  const wire = { source: async () => source, sink: async () => sink, close: async () => undefined }
  const driver: Driver = { open: async () => wire }
  Object.assign(globalThis, { driver })
  const port = {
    driver: module('{ open: (...of) => globalThis.driver.open(...of) }'),
    foreign: false,
    endpoint: { type: 'test' },
  }
  const run = {
    id: 'r',
    epoch: 1,
    desired: 'run',
    program: module("{ route: () => () => 'all' }"),
    config: {},
    network: { servers: [], trustAd: false, allow: [] },
    sources: [{ ...port, name: 'from' }],
    sinks: [{ ...port, name: 'to' }],
  }
  return new Promise(resolve => {
    const spec = { run, secrets: {} } as unknown as RunSpec
    const engine = new Engine(spec, quiet, s => s.phase === 'failed' && resolve(s))
    t.teardown(() => engine.stop())
    engine.start()
  })
}

t.test('what a source gave before it broke off becomes durable, and is committed', async t => {
  const source = new Broken(3)
  const written: string[] = []
  const status = await untilFailed(t, source, async b => {
    // Slower than the source breaks off.
    for (let turns = 0; turns < 20; turns++) await new Promise(resolve => setImmediate(resolve))
    written.push(b.last)
    return { cursor: '' }
  })
  t.match(status.error, /damaged/)
  t.same(written, ['1', '2', '3'])
  t.same(source.committed, ['1', '2', '3'])
})

t.test('a sink that hangs does not hold it up for ever', async t => {
  const source = new Broken(1)
  const status = await untilFailed(t, source, () => new Promise(() => undefined))
  t.match(status.error, /damaged/)
  t.same(source.committed, [])
})
