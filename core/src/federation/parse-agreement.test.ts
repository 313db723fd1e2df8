import t from 'tap'
import { parseAgreement } from './parse-agreement.js'
import type { Mine } from './subscriptions.js'

const s = { name: 'a'.repeat(26), spec: { source: 'time.flows.unix.test' } } as unknown as Mine
const GOOD = {
  endpoint: `${s.name}.time.flows.unix.test`,
  type: 'fnap',
  mode: 'fnap',
  servers: ['fnaa.unix.test:61000'],
  queue: 'q',
  epoch: 'e',
  shards: 4,
  lease: 604_800,
  origins: [],
  credential: { mechanism: 'SCRAM-SHA-256', values: { user: 'u', password: 'p' } },
}
const parse = (change: object) => parseAgreement([JSON.stringify({ ...GOOD, ...change })], s)

t.test('what is understood is taken', async t => {
  t.match(parse({}), GOOD)
  t.equal(parse({ shards: undefined }).shards, undefined, 'a provider need not say how many shards there are')
  t.equal(parse({ mode: undefined, type: 'kafka' }).mode, 'direct')
})

t.test('what is not is refused, and nothing of it is repeated', async t => {
  const refused: [object, RegExp][] = [
    [{ shards: 0 }, /number of shards/],
    [{ shards: 1.5 }, /number of shards/],
    [{ shards: '4' }, /number of shards/],
    [{ shards: null }, /number of shards/],
    [{ endpoint: 'b.time.flows.unix.test' }, /another endpoint/],
    [{ servers: [] }, /names no server/],
    [{ servers: ['x y:1'] }, /names a server/],
    [{ credential: undefined }, /no credential/],
    [{ reader: 'a b' }, /names a reader/],
    [{ epoch: 1 }, /no epoch/],
  ]
  for (const [change, text] of refused) t.throws(() => parse(change), { symbol: 'REMOTE', message: text }, String(text))
  t.throws(() => parseAgreement(['{'], s), { symbol: 'REMOTE', message: /no JSON/ })
})
