import t from 'tap'
import type { Call, Entry, KeyValue, Logger } from '../contract/common.js'
import { FnaError } from '../contract/errors.js'
import { systemClock } from '../resources/clock.js'
import { Positions } from './positions.js'

const c: Call = { signal: new AbortController().signal }
const MANY = 1024

/** A bucket in memory that counts, and fails when told. */
class Bucket implements KeyValue {
  readonly values = new Map<string, Uint8Array>()
  puts = 0
  broken = false
  get = async (key: string): Promise<Entry | null> => {
    const value = this.values.get(key)
    return value ? { value, revision: '1' } : null
  }
  put = async (key: string, value: Uint8Array): Promise<string> => {
    if (this.broken) throw new FnaError('FNA_ERR_FULL', 'no room')
    this.puts++
    this.values.set(key, value)
    return '1'
  }
  delete = async (key: string): Promise<void> => void this.values.delete(key)
  list = async (prefix: string, opt: { after?: string; limit: number }) =>
    [...this.values]
      .filter(([k]) => k.startsWith(prefix) && (opt.after === undefined || k > opt.after))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, opt.limit)
      .map(([k, value]) => [k, { value, revision: '1' }] as const)
}

function make(bucket = new Bucket()) {
  const errors: object[] = []
  const quiet = () => undefined
  const log: Logger = { debug: quiet, info: quiet, warn: quiet, error: o => void errors.push(o) }
  const positions = new Positions(bucket, systemClock, log, { cursors: 2, cursorDays: 1 })
  return { bucket, errors, positions }
}

t.test('moves are seen at once, written together, and leave the other shards where they were', async t => {
  const { bucket, positions } = make()
  await positions.put('s', { epoch: 'e', shards: { 0: '1', 1: '1' } }, c)
  for (let n = 2; n < 100; n++) positions.move('s', 'e', '1', String(n))
  t.strictSame(await positions.get('s', c), { epoch: 'e', shards: { 0: '1', 1: '99' } }, 'before it is written')
  await positions.flush()
  t.equal(bucket.puts, 2, 'one write for all of them')
  t.strictSame(await make(bucket).positions.get('s', c), { epoch: 'e', shards: { 0: '1', 1: '99' } })
  positions.move('s', 'f', '0', '7')
  await positions.flush()
  t.strictSame(await positions.get('s', c), { epoch: 'f', shards: { 0: '7' } }, 'another epoch: nothing of before')
})

t.test('what one move costs does not grow with the shards', async t => {
  const { positions } = make()
  await positions.put(
    's',
    { epoch: 'e', shards: Object.fromEntries(Array.from({ length: MANY }, (_, n) => [n, '0'])) },
    c,
  )
  positions.move('s', 'e', '0', '1')
  // All in one turn, before anything is written: with a copy of all shards at each move this takes seconds.
  const since = process.cpuUsage()
  for (let n = 0; n < 20 * MANY; n++) positions.move('s', 'e', String(n % MANY), String(n))
  const { user } = process.cpuUsage(since)
  t.ok(user < 300_000, `${20 * MANY} moves took ${user} microseconds`)
  await positions.flush()
  t.equal((await positions.get('s', c))?.shards['5'], String(19 * MANY + 5))
})

t.test('a move that cannot be written is said in the log, and the next one is tried', async t => {
  const { bucket, errors, positions } = make()
  bucket.broken = true
  positions.move('s', 'e', '0', '1')
  await positions.flush()
  t.match(errors, [{ positions: 1, err: { code: 'FNA_ERR_FULL' } }])
  bucket.broken = false
  positions.move('s', 'e', '0', '2')
  await positions.flush()
  t.strictSame(await positions.get('s', c), { epoch: 'e', shards: { 0: '2' } })
})

t.test('what is deleted while it is being written does not come back', async t => {
  const { bucket, positions } = make()
  positions.move('s', 'e', '0', '1')
  await positions.delete('s', c)
  await positions.flush()
  t.equal(bucket.values.size, 0)
})

t.test('stored bytes that are no position count as none, and are said in the log', async t => {
  const { bucket, errors, positions } = make()
  const bad = ['', '{', 'null', '5', '{"epoch":1,"shards":{}}', '{"epoch":"e","shards":[]}', '{"epoch":"e"}']
  bad.push(
    '{"epoch":"e","shards":{"0":5}}',
    `{"epoch":"e","shards":{"0":"${'9'.repeat(65)}"}}`,
    '{"epoch":"e","shards":{"0":""}}',
  )
  for (const text of bad) {
    bucket.values.set('at/s', Buffer.from(text))
    t.equal(await positions.get('s', c), null, text.slice(0, 40))
  }
  t.equal(errors.length, bad.length)
  positions.move('s', 'e', '0', '1')
  await positions.flush()
  t.strictSame(await positions.get('s', c), { epoch: 'e', shards: { 0: '1' } }, 'and are written over')
})

t.test('forgetting a subscriber takes its fence and its cursors too', async t => {
  const { bucket, positions } = make()
  await positions.put('u', { epoch: 'e', shards: {} }, c)
  await positions.fence('u', 3, c)
  positions.move({ owner: 'subscriber/u', key: 'subscriber/u/x' }, 'e', '0', '1')
  await positions.flush()
  t.equal(bucket.values.size, 3)
  await positions.forget('u', c)
  t.equal(bucket.values.size, 0)
})

t.test('of what is old only cursors expire, and those of anonymous readers whatever their age', async t => {
  const { bucket, positions } = make()
  const old = Buffer.from('{"epoch":"e","shards":{},"used":1}')
  const ageless = Buffer.from('{"epoch":"e","shards":{}}')
  for (const key of ['u', 'processor/p/f/x', 'a@unix.test/f/old', 'subscriber/u/old'])
    bucket.values.set(`at/${key}`, old)
  for (const key of ['a@unix.test/f/ageless', 'anonymous/f/x']) bucket.values.set(`at/${key}`, ageless)
  await positions.expire(c)
  t.strictSame([...bucket.values.keys()].sort(), ['at/a@unix.test/f/ageless', 'at/processor/p/f/x', 'at/u'])
  t.match(
    String(bucket.values.get('at/a@unix.test/f/ageless')),
    /"used":\d+/,
    'what an older version wrote is used now',
  )
})
