import t from 'tap'
import { Receiver } from './receiver.js'

const framed = (body: string) => {
  const bytes = Buffer.from(body)
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

t.test('answers are cut whole, however they arrive', async t => {
  const all = Buffer.concat([framed('first'), framed('second answer'), framed('third')])
  for (const size of [1, 3, 7, all.length]) {
    const got: string[] = []
    const receiver = new Receiver(
      () => 100,
      answer => got.push(answer.toString()),
    )
    for (let at = 0; at < all.length; at += size) receiver.push(all.subarray(at, at + size))
    t.same(got, ['first', 'second answer', 'third'], `${size} bytes at a time`)
  }
})

t.test('each lies in memory of its own', async t => {
  const got: Buffer[] = []
  new Receiver(
    () => 100,
    a => got.push(a),
  ).push(Buffer.concat([framed('abcdef'), framed('g'.repeat(50))]))
  t.same(
    got.map(a => a.buffer.byteLength),
    [6, 50],
  )
})

t.test('a length that cannot be is refused before memory is asked for', async t => {
  for (const head of [
    [0x7f, 0xff, 0xff, 0xff],
    [0xff, 0xff, 0xff, 0xff],
    [0, 0, 0, 3],
    [0x15, 0x03, 0x01, 0x00],
  ])
    t.throws(
      () =>
        new Receiver(
          () => 1000,
          () => {},
        ).push(Buffer.from(head)),
      { message: /is this a Kafka listener/ },
    )
})

t.test('what is read straight into an answer is cut the same', async t => {
  const bodies = ['short', 'x'.repeat(20_000), '', 'y'.repeat(100_000), 'end'].map(b => `head${b}`)
  const all = Buffer.concat(bodies.map(framed))
  for (const most of [1, 5000, 70_000]) {
    const got: string[] = []
    const receiver = new Receiver(
      () => 200_000,
      answer => got.push(answer.toString()),
    )
    for (let at = 0; at < all.length; ) {
      const room = receiver.room()
      const n = all.copy(room, 0, at, at + Math.min(most, room.length))
      receiver.filled(n)
      at += n
    }
    t.same(got, bodies, `at most ${most} bytes at a time`)
  }
})
