import t from 'tap'
import { Reader, Writer } from './bytes.js'

const joined = (w: Writer) => Buffer.concat(w.pieces())

for (const flexible of [false, true]) {
  t.test(`what is written is read, ${flexible ? 'compact' : 'plain'}`, async t => {
    const w = new Writer(flexible)
    w.int8(-1).int16(-2).int32(-3).int64(-4n).boolean(true).uvarint(300)
    w.string('größe')
      .string(null)
      .string('')
      .bytes(Buffer.from([1, 2]))
      .bytes(null)
    w.array([7, 8], n => w.int32(n)).end()
    const bytes = joined(w)
    t.equal(w.length, bytes.length)
    const r = new Reader(bytes)
    r.flexible = flexible
    t.same([r.int8(), r.int16(), r.int32(), r.int64(), r.boolean(), r.uvarint()], [-1, -2, -3, -4n, true, 300])
    t.same([r.string(), r.string(), r.string()], ['größe', null, ''])
    t.same([r.bytes(), r.bytes()], [Buffer.from([1, 2]), null])
    t.same(
      r.array(() => r.int32()),
      [7, 8],
    )
    r.end()
    t.equal(r.left, 0)
  })
}

t.test('records are written beside, in their place, and not copied', async t => {
  const records = Buffer.from('records')
  const w = new Writer()
  w.int8(1)
    .records([records.subarray(0, 3), records.subarray(3)])
    .int8(2)
  t.same(joined(w), Buffer.concat([Buffer.from([1, 0, 0, 0, 7]), records, Buffer.from([2])]))
  t.ok(w.pieces().some(p => p.buffer === records.buffer && p.byteOffset === records.byteOffset))
  t.equal(w.length, 13)
})

t.test('what a broker sends is not trusted', async t => {
  const long = Buffer.from([0x7f, 0xff, 0xff, 0xff])
  t.throws(() => new Reader(long).bytes(), { message: /INVALID_RESPONSE/ })
  t.throws(() => new Reader(long).array(() => 0), { message: /counts more than there is/ })
  t.throws(() => new Reader(Buffer.alloc(3)).int32(), { message: /ends too early/ })
  t.throws(() => new Reader(Buffer.alloc(9, 0xff)).uvarint(), { message: /too long/ })
  t.throws(() => new Reader(Buffer.alloc(8, 0x7f)).long(), { message: /out of range/ })
  const r = new Reader(Buffer.from([1, 5, 3, 0, 0, 0, 9]))
  r.flexible = true
  r.end()
  t.equal(r.int8(), 9, 'tagged fields of versions to come are passed over')
})
