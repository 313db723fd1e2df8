import { setImmediate as turn } from 'node:timers/promises'
import { MemoryKeyValue, testContext } from '@fnaa/conformance'
import type { DnsRecord } from '@fnaa/protocol'
import t, { type Test } from 'tap'
import { dnsEmbedded } from './index.js'

const c = { signal: new AbortController().signal }
const srv = (name: string, port: number): DnsRecord => ({
  name,
  ttl: 300,
  type: 'SRV',
  priority: 0,
  weight: 0,
  port,
  target: 'fnaa.unix.test',
})
const set = (label: string, port: number) => ({
  owner: `${label}.unix.test`,
  records: [srv(`${label}.unix.test`, port)],
})

async function start(t: Test, state: MemoryKeyValue) {
  const service = await dnsEmbedded({ listen: '127.0.0.1:0' }).setup(testContext(['unix.test'], state))
  t.teardown(() => service.close())
  const ports = async (label: string) => (await service.read(`${label}.unix.test`, c)).map(r => 'port' in r && r.port)
  return { service, ports }
}

t.test('a kill at any moment leaves a change whole or not made at all', async t => {
  // How many writes one change of three owners takes, and then a crash before each of them.
  for (let crash = 0; ; crash++) {
    const state = new MemoryKeyValue()
    const first = await start(t, state)
    await first.service.apply([set('a', 1), set('b', 1)], c)
    await turn()
    let writes = 0
    let crashed = false
    state.before = () => {
      if (writes++ >= crash) {
        crashed = true
        throw new Error('the power went')
      }
    }
    const made = await first.service
      .apply([set('a', 2), set('b', 2), { owner: 'c.unix.test', records: [] }, set('d', 2)], c)
      .then(
        () => true,
        () => false,
      )
    await first.service.close()
    state.before = () => {}
    const again = await start(t, state)
    const seen = [await again.ports('a'), await again.ports('b'), await again.ports('d')]
    const [whole, none] = [
      [[2], [2], [2]],
      [[1], [1], []],
    ]
    t.same(seen, made ? whole : none, `crash before write ${crash}: ${made ? 'made' : 'not made'}`)
    t.equal([...state.entries.keys()].filter(k => k.startsWith('journal/')).length, 0, 'nothing is left to carry over')
    if (!crashed) break
  }
})

t.test('an entry that could not be carried over does not undo a newer one', async t => {
  const state = new MemoryKeyValue()
  const first = await start(t, state)
  let failures = 1
  state.before = (_op, key) => {
    if (key.startsWith('set/') && failures-- > 0) throw new Error('full for a moment')
  }
  await first.service.apply([set('a', 1)], c)
  await turn()
  await first.service.apply([set('a', 2)], c)
  await first.service.close()
  const again = await start(t, state)
  t.same(await again.ports('a'), [2])
})

t.test('a write that failed but was done counts', async t => {
  const state = new MemoryKeyValue()
  const { service, ports } = await start(t, state)
  const put = state.put.bind(state)
  state.put = async (key, value, opt) => {
    const revision = await put(key, value, opt)
    if (key.startsWith('journal/')) {
      state.put = put
      throw new Error('the answer was lost')
    }
    return revision
  }
  await service.apply([set('a', 1)], c)
  t.same(await ports('a'), [1])
  await service.apply([set('a', 2)], c)
  t.same(await ports('a'), [2])
})

t.test('a write that failed is refused, and the next one works', async t => {
  const state = new MemoryKeyValue()
  const { service, ports } = await start(t, state)
  state.before = () => {
    throw new Error('full')
  }
  await t.rejects(service.apply([set('a', 1)], c), /full/)
  t.same(await ports('a'), [])
  state.before = () => {}
  await service.apply([set('a', 2)], c)
  t.same(await ports('a'), [2])
})

t.test('changes that wait are written together', async t => {
  const state = new MemoryKeyValue()
  const { service, ports } = await start(t, state)
  const entries = new Set<string>()
  state.before = async (op, key) => {
    if (op === 'put' && key.startsWith('journal/')) entries.add(key)
    await turn()
  }
  const made = await Promise.all(Array.from({ length: 50 }, (_, i) => service.apply([set(`f${i}`, i + 1)], c)))
  t.equal(entries.size, 2)
  t.equal(new Set(made.map(m => m.generation)).size, 2)
  t.same(await ports('f49'), [50])
})
