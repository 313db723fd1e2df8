import t from 'tap'
import { batchOf } from './batch.js'
import { encodeBatch } from './batch-encode.js'
import { isMarker, markerBatch } from './marker.js'

const ID = 'a'.repeat(26)
const batch = (bytes: Buffer) => batchOf({ shard: '0', last: '1', bytes })
const event = (header: string, value: string) => ({
  key: null,
  value: Buffer.from('x'),
  headers: [[header, Buffer.from(value)] as const],
  timestamp: 1,
})

t.test('a marker is known by its subscription, and nothing else is one', async t => {
  t.ok(isMarker(batch(markerBatch(ID, 1_700_000_000_000)), ID))
  t.notOk(isMarker(batch(markerBatch(ID, 1)), 'b'.repeat(26)), 'of another')
  t.notOk(isMarker(batch(encodeBatch([event('x', ID)])), ID), 'an event')
  t.notOk(isMarker(batch(encodeBatch([event('x', 'fnap-marker')])), ID), 'an event that speaks of one')
  const marked = event('fnap-marker', ID)
  t.ok(isMarker(batch(encodeBatch([marked], { codec: 'gzip' })), ID), 'as a broker compressed it')
  t.notOk(isMarker(batch(encodeBatch([marked, marked])), ID), 'it is alone in its batch')
  const long = { ...marked, value: Buffer.alloc(2000) }
  t.notOk(isMarker(batch(encodeBatch([long])), ID), 'and short')
  const broken = markerBatch(ID, 1)
  broken[62] = 0x7f
  t.notOk(isMarker(batch(broken), ID), 'what cannot be read is none')
})
