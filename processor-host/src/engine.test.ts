import type { Driver, RunStatus, Sink, Source } from '@fnaa/core/plugin'
import { batchOf, encodeBatch, type From } from '@fnaa/protocol'
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

const PORT = {
  driver: module('{ open: (...of) => globalThis.driver.open(...of) }'),
  foreign: false,
  endpoint: { type: 'test' },
}
const specOf = (sinks: readonly object[]): RunSpec =>
  ({
    run: {
      id: 'r',
      epoch: 1,
      desired: 'run',
      program: module("{ route: () => () => 'all' }"),
      config: {},
      network: { servers: [], trustAd: false, allow: [] },
      sources: [{ ...PORT, name: 'from' }],
      sinks,
    },
    secrets: {},
  }) as unknown as RunSpec

/** A Bridge between the two. */
function bridge(source: Source, write: Sink['write'], report: (s: RunStatus) => void, from?: From): Engine {
  const sink: Sink = { write, restore: async () => null, close: async () => undefined }
  const wire = { source: async () => source, sink: async () => sink, close: async () => undefined }
  const driver: Driver = { open: async () => wire }
  Object.assign(globalThis, { driver })
  return new Engine(specOf([{ ...PORT, name: 'to', ...(from && { from }) }]), quiet, report)
}

const until = async (is: () => boolean) => {
  while (!is()) await new Promise(resolve => setImmediate(resolve))
}

/** Runs it until it has failed. @returns what it said last */
function untilFailed(t: Test, source: Source, write: Sink['write']): Promise<RunStatus> {
  return new Promise(resolve => {
    const engine = bridge(source, write, s => s.phase === 'failed' && resolve(s))
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

t.test('what is stopped while it opens ends, whatever its source does afterwards', async t => {
  const source = new Broken(0)
  let read = false
  const stopped = new Promise<void>((resolve, reject) => {
    // The last that is asked before events are.
    source.position = async () => {
      engine.stop().then(resolve, reject)
      return { epoch: 'e', shards: {} }
    }
  })
  source.read = async function* () {
    read = true
    await new Promise(() => undefined)
  }
  const engine = bridge(
    source,
    async () => ({ cursor: '' }),
    () => undefined,
  )
  engine.start()
  await stopped
  t.notOk(read)
})

t.test('so does what is stopped before it opens, with a place for each sink or not', async t => {
  for (const from of [undefined, { at: 'earliest' }] as const) {
    const engine = bridge(
      new Broken(0),
      async () => ({ cursor: '' }),
      () => undefined,
      from,
    )
    engine.start()
    await engine.stop()
    t.equal(engine.status().phase, 'starting')
  }
})

t.test('what has failed and is still closing is waited for: no second writer begins beside it', async t => {
  const source = new Broken(0)
  let closing: (() => void) | undefined
  let closed = false
  source.close = async () => {
    await new Promise<void>(resolve => (closing = resolve))
    closed = true
  }
  const failed = new Promise<void>(resolve => {
    const engine = bridge(
      source,
      async () => ({ cursor: '' }),
      s => s.phase === 'failed' && resolve(engine.stop()),
    )
    engine.start()
    t.teardown(() => engine.stop())
  })
  const first = await Promise.race([
    failed.then(() => 'stopped'),
    until(() => closing !== undefined).then(() => 'closing'),
  ])
  t.equal(first, 'closing')
  closing?.()
  await failed
  t.ok(closed)
})

t.test('of ends that open side by side all are closed where one of them fails', async t => {
  const open = new Set<string>()
  const wire = (name: string) => ({
    source: async () => new Broken(0),
    async sink() {
      if (name === 'refused') throw new Error('refused')
      if (name === 'late') await new Promise(resolve => setImmediate(resolve))
      open.add(name)
      return {
        write: async () => ({ cursor: '' }),
        restore: async () => null,
        close: async () => void open.delete(name),
      }
    },
    close: async () => undefined,
  })
  Object.assign(globalThis, { driver: { open: async (e: { queue: string }) => wire(e.queue) } })
  const spec = specOf(
    ['early', 'refused', 'late'].map(queue => ({ ...PORT, name: queue, endpoint: { type: 'test', queue } })),
  )
  const failed = await new Promise<Engine>(resolve => {
    const engine = new Engine(spec, quiet, s => s.phase === 'failed' && resolve(engine))
    engine.start()
  })
  await failed.stop()
  for (let turns = 0; turns < 5; turns++) await new Promise(resolve => setImmediate(resolve))
  t.same([...open], [])
})

t.test('what fails while it is changed fails as any other, and takes nothing else with it', async t => {
  let open = () => undefined as void
  const opened = new Promise<void>(resolve => (open = resolve))
  const sink = { write: async () => ({ cursor: '' }), restore: async () => null, close: async () => undefined }
  let read = false
  const source = new Broken(0)
  const breaks = source.read.bind(source)
  source.read = () => {
    read = true
    return breaks()
  }
  const wire = (queue: string) => ({
    source: async () => source,
    sink: async () => {
      if (queue === 'slow') await opened
      return sink
    },
    close: async () => undefined,
  })
  Object.assign(globalThis, { driver: { open: async (e: { queue: string }) => wire(e.queue) } })
  const from = { at: 'position', position: { epoch: 'e', shards: {} } }
  const to = (queue: string) => ({ ...PORT, name: queue, endpoint: { type: 'test', queue }, from })
  const failed = new Promise<RunStatus>(resolve => {
    const engine = new Engine(specOf([to('quick'), to('slow')]), quiet, s => s.phase === 'failed' && resolve(s))
    t.teardown(() => engine.stop())
    engine.start()
    void engine.update(specOf([to('quick')]))
  })
  await until(() => read)
  // The change waits yet for the sink that it drops: a rejection that nobody heard would end the process at this turn.
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  open()
  t.match((await failed).error, /damaged/)
})
