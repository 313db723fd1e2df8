import fc from 'fast-check'
import t from 'tap'
import { fails } from './fails.test.helper.js'
import { encodeBatch, encodeDataHead, encodeFrame, type Frame, FrameReader, isFnapError, LIMITS } from './index.js'

const batch = encodeBatch([{ key: null, value: Buffer.from('x'), headers: [], timestamp: 1 }])
const SAMPLES: Frame[] = [
  { type: 'D', shard: '0', cursor: '17', batch },
  { type: 'D', shard: '', cursor: '', batch: Buffer.alloc(0) },
  { type: 'A', shard: '0', cursor: 'c'.repeat(64) },
  { type: 'W', bytes: 0 },
  { type: 'W', bytes: 0xffffffff },
  { type: 'P', position: { epoch: 'e1', shards: { '0': '17', '1': '3' } } },
  { type: 'H', epoch: 'e1', lag: { events: 5, ms: 1200 } },
  { type: 'H', epoch: 'e1', lag: { events: 0 } },
  { type: 'G', gap: { shard: '0', from: '1', to: '9', reason: 'retention' } },
  { type: 'X' },
  { type: 'E', code: 220, text: 'OK' },
  { type: 'E', code: 410, symbol: 'REVOKED', text: 'the owner has revoked it' },
]
const show = (frame: Frame) =>
  JSON.stringify(frame, (_, v) => (v?.type === 'Buffer' ? Buffer.from(v.data).toString('hex') : v))

function readAll(chunks: readonly Buffer[], limit?: number): { frames: string[]; fault: string | null; rest: string } {
  const reader = new FrameReader(limit)
  const frames: string[] = []
  try {
    for (const chunk of chunks) {
      reader.push(chunk)
      for (let frame = reader.next(); frame !== null; frame = reader.next()) frames.push(show(frame))
    }
  } catch (error) {
    if (!isFnapError(error)) throw error
    return { frames, fault: error.symbol, rest: '' }
  }
  return { frames, fault: null, rest: reader.rest().toString('hex') }
}
const raw = (type: string, payload: Buffer | string): Buffer => {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), Buffer.from(payload as string, 'latin1')])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length, body])
}

t.test('every type, there and back', async t => {
  for (const frame of SAMPLES) {
    const bytes = encodeFrame(frame)
    t.equal(bytes.readUInt32BE(0), bytes.length - 4)
    t.equal(String.fromCharCode(bytes[4]!), frame.type)
    t.same(readAll([bytes]), { frames: [show(frame)], fault: null, rest: '' })
  }
  const head = encodeDataHead('0', '17', batch.length)
  t.same(Buffer.concat([head, batch]), encodeFrame(SAMPLES[0]!))
  t.same(encodeFrame({ type: 'A', shard: 's', cursor: 'cc' }), Buffer.from('\0\0\0\x06A\x01s\x02cc', 'latin1'))
})

t.test('a batch that came in one chunk is not copied', async t => {
  const chunk = Buffer.concat([encodeFrame(SAMPLES[0]!), Buffer.from('left')])
  const reader = new FrameReader()
  reader.push(chunk)
  const frame = reader.next()
  t.ok(frame?.type === 'D' && frame.batch.buffer === chunk.buffer)
  t.equal(reader.buffered, 4)
  t.equal(reader.rest().toString(), 'left')
  t.equal(reader.buffered, 0)
})

t.test('any cut into chunks gives the same frames', async () => {
  const bytes = Buffer.concat([...SAMPLES.map(f => encodeFrame(f)), Buffer.from('ab')])
  const whole = JSON.stringify(readAll([bytes]))
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 40 }), cuts => {
      const chunks: Buffer[] = []
      for (let at = 0, i = 0; at < bytes.length; i++) {
        chunks.push(bytes.subarray(at, at + cuts[i % cuts.length]!))
        at += cuts[i % cuts.length]!
      }
      return JSON.stringify(readAll(chunks)) === whole
    }),
    { seed: 21, numRuns: 500 },
  )
})

t.test('a length is checked before its frame is waited for', async t => {
  const reader = new FrameReader()
  reader.push(Buffer.from('ffffffff', 'hex'))
  fails(t, () => reader.next(), 'TOOLONG')
  reader.push(encodeFrame({ type: 'X' }))
  fails(t, () => reader.next(), 'TOOLONG', 'the fault holds')
  t.equal(reader.buffered, 0)
  t.equal(readAll([raw('X', '')], 1).fault, null)
  t.equal(readAll([raw('W', '\0\0\0\0')], 4).fault, 'TOOLONG')
  const longest = Buffer.alloc(4)
  longest.writeUInt32BE(LIMITS.frame)
  t.equal(readAll([longest]).fault, null)
  longest.writeUInt32BE(LIMITS.frame + 1)
  t.equal(readAll([longest]).fault, 'TOOLONG')
  fails(t, () => encodeDataHead('0', '1', LIMITS.frame), 'TOOLONG')
})

t.test('what a frame must not be', async t => {
  const table: [string, Buffer][] = [
    ['empty', Buffer.alloc(4)],
    ['unknown type', raw('Z', '')],
    ['lower case', raw('x', '')],
    ['NUL', raw('\0', '')],
    ['D without shard', raw('D', '')],
    ['D with a shard that overruns', raw('D', '\x05ab')],
    ['D without cursor', raw('D', '\x01a')],
    ['D with a cursor that overruns', raw('D', '\x01a\x05b')],
    ['D with a long cursor', raw('D', `\x01a\x41${'b'.repeat(65)}`)],
    ['D with a line in its shard', raw('D', '\x02\r\n\x01b')],
    ['D with a blank in its shard', raw('D', '\x01 \x01b')],
    ['A with something behind it', raw('A', '\x01a\x01bc')],
    ['W short', raw('W', '\0\0\0')],
    ['W long', raw('W', '\0\0\0\0\0')],
    ['X with payload', raw('X', 'x')],
    ...['', '[]', 'null', '1', '"x"', '{', '{}', '{"epoch":1}', '\xff'].flatMap((json): [string, Buffer][] =>
      ['P', 'H', 'G', 'E'].map(type => [`${type} ${json}`, raw(type, json)]),
    ),
    ['P with shards as array', raw('P', '{"epoch":"e","shards":[]}')],
    ['P with a number as cursor', raw('P', '{"epoch":"e","shards":{"0":1}}')],
    ['P with a long cursor', raw('P', `{"epoch":"e","shards":{"0":"${'x'.repeat(65)}"}}`)],
    ['H without lag', raw('H', '{"epoch":"e","lag":null}')],
    ['H with negative lag', raw('H', '{"epoch":"e","lag":{"events":-1}}')],
    ['G with an unknown reason', raw('G', '{"shard":"0","from":"1","to":"2","reason":"constructor"}')],
    ['E with a code out of range', raw('E', '{"code":9,"text":"x"}')],
    ['E with a symbol that is none', raw('E', '{"code":400,"symbol":{},"text":"x"}')],
    ['JSON that is too long', raw('E', `{"code":400,"text":"${'x'.repeat(70_000)}"}`)],
  ]
  for (const [what, bytes] of table) t.match(readAll([bytes]), { frames: [], fault: 'BADLINE' }, what)
  t.throws(() => encodeFrame({ type: 'A', shard: 'x'.repeat(65), cursor: '' }), RangeError)
  t.throws(() => encodeFrame({ type: 'W', bytes: -1 }), RangeError)
  fails(t, () => encodeFrame({ type: 'E', code: 400, text: 'x'.repeat(70_000) }), 'TOOLONG')
})

t.test('known fields are copied, and nothing reaches a prototype', async t => {
  const reader = new FrameReader()
  reader.push(raw('P', '{"epoch":"e","shards":{"__proto__":"1","constructor":"2"},"__proto__":{"x":1},"y":1}'))
  const frame = reader.next()
  t.ok(frame?.type === 'P')
  if (frame?.type !== 'P') return
  t.same(Object.keys(frame.position), ['epoch', 'shards'])
  t.equal(Object.getPrototypeOf(frame.position.shards), null)
  t.same(Object.entries(frame.position.shards), [
    ['__proto__', '1'],
    ['constructor', '2'],
  ])
  t.equal(({} as { x?: number }).x, undefined)
})

t.test('noise never crashes', async () => {
  const type = fc.constantFrom('D', 'A', 'W', 'P', 'H', 'G', 'X', 'E', 'Z')
  const json = fc.oneof(fc.json({ maxDepth: 3 }), fc.string({ unit: 'binary', maxLength: 60 }))
  const frame = fc.tuple(type, json).map(([t, text]) => raw(t, text))
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          frame,
          fc.uint8Array({ maxLength: 20 }).map(b => Buffer.from(b)),
        ),
        { maxLength: 6 },
      ),
      pieces => {
        readAll(pieces)
        return true
      },
    ),
    { seed: 22, numRuns: 3000 },
  )
})
