import type { Port, Sink, Source, Wire } from '@fnaa/core/plugin'
import { type Batch, batchOf, encodeBatch, type Position } from '@fnaa/protocol'
import t from 'tap'
import { FanOut } from './fan-out.js'
import type { Ports } from './ports.js'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const bytes = (text: string) =>
  encodeBatch([{ key: null, value: Buffer.from(text), headers: [], timestamp: 1_700_000_000_000 }])
const at = (n: number): Position => ({ epoch: 'e', shards: { '0': String(n) } })

/** A log of one shard in memory, whose sinks do what the test says. */
class World {
  readonly log: string[] = []
  readonly got = new Map<string, string[]>()
  /** A sink waits here before each write. */
  readonly gates = new Map<string, Promise<void>>()
  readonly failing = new Set<string>()
  opens = 0
  open = 0
  #wake: (() => void)[] = []
  #look: (() => void)[] = []

  append(...texts: string[]): void {
    this.log.push(...texts)
    for (const go of this.#wake.splice(0)) go()
  }

  /** Waits for what the sinks and reads do. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>(resolve => this.#look.push(resolve))
  }
  stir(): void {
    for (const go of this.#look.splice(0)) go()
  }

  readonly ports: Pick<Ports, 'open'> = {
    open: async (p: Port): Promise<Wire> => ({
      source: async opt => this.#source(Number((opt.from as { position: Position }).position.shards['0'])),
      sink: async () => this.#sink(p.name),
      close: async () => undefined,
    }),
  }

  #source(from: number): Source {
    let next = from
    this.opens++
    this.open++
    const world = this
    return {
      async *read(c) {
        while (!c.signal.aborted) {
          if (next < world.log.length) {
            next++
            yield batchOf({ shard: '0', last: String(next), bytes: bytes(world.log[next - 1]!) })
            world.stir()
            await new Promise(resolve => setImmediate(resolve))
          } else
            await new Promise<void>(resolve => {
              world.#wake.push(resolve)
              c.signal.addEventListener('abort', () => resolve(), { once: true })
            })
        }
      },
      commit: async () => undefined,
      lag: async () => ({ epoch: 'e', shards: { '0': { behind: world.log.length - next } } }),
      position: async () => at(next),
      close: async () => {
        world.open--
        world.stir()
      },
    }
  }

  #sink(name: string): Sink {
    const got = this.got.get(name) ?? []
    this.got.set(name, got)
    return {
      write: async (b: Batch) => {
        await this.gates.get(name)
        if (this.failing.has(name)) throw new Error('the disk is full')
        for (const e of b.events({ bytes: 1000 })) got.push(Buffer.from(e.value!).toString())
        this.stir()
        return { cursor: '' }
      },
      restore: async () => null,
      close: async () => undefined,
    }
  }
}

const port = (name: string, from?: Position): Port => ({
  name,
  endpoint: { type: 'x', servers: [], queue: name },
  driver: 'x',
  foreign: false,
  ...(from ? { from: { at: 'position', position: from } } : {}),
})
const specOf = (...sinks: Port[]) => ({
  run: {
    id: 'p',
    epoch: 1,
    program: '',
    config: null,
    sources: [port('src')],
    sinks,
    desired: 'run',
    guarantee: 'at-least-once',
    network: { servers: [], trustAd: false, allow: [] },
  } as const,
  secrets: {},
})

function start(t: Tap.Test, world: World, ...sinks: Port[]): FanOut {
  const fan = new FanOut(specOf(...sinks), () => 'all', world.ports, {
    log: quiet,
    delivered: () => world.stir(),
    gap: () => undefined,
    changed: () => world.stir(),
  })
  const over = fan.run()
  over.catch(() => undefined)
  t.teardown(async () => {
    await fan.stop()
    await over.catch(() => undefined)
  })
  return fan
}
const all = (n: number) => Array.from({ length: n }, (_, i) => `e${i}`)

t.test('sinks at the same place share one read', async t => {
  const world = new World()
  world.append(...all(5))
  const fan = start(t, world, port('a', at(0)), port('b', at(0)))
  await world.until(() => world.got.get('a')?.length === 5 && world.got.get('b')?.length === 5)
  t.same([world.got.get('a'), world.got.get('b')], [all(5), all(5)])
  t.equal(world.opens, 1)
  await world.until(() => fan.positions['a']!.shards['0'] === '5' && fan.positions['b']!.shards['0'] === '5')
})

t.test('one that stands further back reads by itself until it has caught up', async t => {
  const world = new World()
  world.append(...all(20))
  start(t, world, port('a', at(20)), port('b', at(3)))
  await world.until(() => world.got.get('b')?.length === 17)
  world.append('x')
  await world.until(() => world.got.get('a')?.length === 1 && world.got.get('b')?.length === 18)
  await world.until(() => world.open === 1)
  t.equal(world.opens, 2)
  world.append('y', 'z')
  await world.until(() => world.got.get('a')?.length === 3 && world.got.get('b')?.length === 20)
  t.same(world.got.get('b'), [...all(20).slice(3), 'x', 'y', 'z'], 'nothing twice, nothing missed')
})

t.test('one that stands still holds up nobody, and loses nothing', async t => {
  const world = new World()
  let go = () => undefined as void
  world.gates.set('b', new Promise(resolve => (go = resolve)))
  const fan = start(t, world, port('a', at(0)), port('b', at(0)))
  world.append(...all(250))
  await world.until(() => world.got.get('a')?.length === 250)
  t.same(world.got.get('b'), [])
  t.same(fan.positions['b'], at(0), 'its place is where it has events durably')
  go()
  await world.until(() => world.got.get('b')?.length === 250)
  t.same(world.got.get('b'), all(250), 'in order')
  t.equal(world.opens, 2, 'it reads by itself')
})

t.test('one that fails is opened again and goes on from its place', async t => {
  const world = new World()
  const fan = start(t, world, port('a', at(0)), port('b', at(0)))
  world.append('1')
  await world.until(() => world.got.get('b')?.length === 1 && fan.positions['b']!.shards['0'] === '1')
  world.failing.add('b')
  world.append('2', '3')
  await world.until(() => fan.sinks['b']!.phase === 'failed')
  t.match(fan.sinks['b'], { error: 'the disk is full' })
  await world.until(() => world.got.get('a')?.length === 3)
  world.failing.delete('b')
  await world.until(() => world.got.get('b')?.length === 3)
  t.same(world.got.get('b'), ['1', '2', '3'])
  t.equal(fan.sinks['b']!.phase, 'running')
})

t.test('sinks come and go while it runs', async t => {
  const world = new World()
  const fan = start(t, world, port('a', at(0)), port('b', at(0)))
  world.append('1')
  await world.until(() => world.got.get('a')?.length === 1 && world.got.get('b')?.length === 1)
  await fan.update(specOf(port('a', at(0)), port('c', at(1))))
  world.append('2')
  await world.until(() => world.got.get('a')?.length === 2 && world.got.get('c')?.length === 1)
  t.same(
    [...world.got],
    [
      ['a', ['1', '2']],
      ['b', ['1']],
      ['c', ['2']],
    ],
    'the one that stays repeats nothing',
  )
  t.same(Object.keys(fan.positions), ['a', 'c'])
})

t.test('paused, nothing moves', async t => {
  const world = new World()
  const fan = start(t, world, port('a', at(0)))
  await world.until(() => fan.reads === 1)
  fan.pause()
  fan.pause()
  world.append('1')
  await new Promise(resolve => setImmediate(resolve))
  t.same(world.got.get('a'), [])
  fan.resume()
  await world.until(() => world.got.get('a')?.length === 1)
})

declare namespace Tap {
  type Test = { teardown(fn: () => unknown): void }
}
