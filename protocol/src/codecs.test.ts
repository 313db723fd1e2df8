import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import lz4Library from 'lz4-napi'
import snappyLibrary from 'snappy'
import t from 'tap'
import { forged, simple, withRecords } from './batches.test.helper.js'
import { fails } from './fails.test.helper.js'
import {
  BATCH_AT,
  batchOf,
  type Codec,
  checkBatch,
  codecOf,
  codecs,
  decodeBatch,
  encodeBatch,
  isCodecUnavailable,
  isFnapError,
  LIMITS,
} from './index.js'

const COMPRESSED = (['gzip', 'snappy', 'lz4', 'zstd'] as const).filter(c => codecs.has(c))
const ZEROS = Buffer.alloc(64 << 20)
const MARK = '82534e415050590000000001' + '00000001'

/** By the lz4 program: -BD -B4 --content-size, blocks that refer to those before them. */
const LINKED =
  'BCJNGExAEDoBAAAAAACwPgIAAPILZXZlbnQgMCBvZiBhIGxpbmtlZCBmcmFtZQoaAB8xGgAGHzIaAAYfMxoABh80GgAGHzUaAAYfNhoABh83GgAGHzgaAAYfORoABh8xBQEIDwYBBx8xBwEHHzEIAQcfMQkBBx8xCgEHHzELAQcfMQwBBx8xDQEHHzEOAQcfMg4BBx8yDgEHHzIOAQcfMg4BBx8yDgEHHzIOAQcfMg4BBx8yDgEHHzIOAQcfMg4BBx8zDgEHHzMOAQcfMw4BBx8zDgEHHzMOAQcfMw4BBx8zDgEHHzMOAQcfMw4BBx8zDgEHHzQOAQcfNA4BBx80DgEHHzQOAQcfNA4BBx80DgEHHzQOAQcfNA4BBx80DgEHHzQOAQcPDQEHDwwBBw8LAQcPCgEID7oEBg8IAQcPBwEHDwYBBw8FAQcPBAEHDzwF/////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////5xQNDUgb2ZIAAAAD/b/Aw9A+/////////////////////////////////////////////////////////////////////////////8cUHJhbWUKAAAAAC0ZoMI='

t.test('what is compressed expands to the same, here and apart', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...COMPRESSED),
      fc.uint8Array({ maxLength: 3000 }),
      fc.nat(40),
      async (name, one, n) => {
        const bytes = Buffer.concat(Array.from({ length: n }, () => one))
        const codec = codecOf(name)
        const compressed = codec.compress(bytes)
        const apart = await codec.expandApart!(compressed, bytes.length)
        return codec.expand(compressed, bytes.length).equals(bytes) && apart.equals(bytes)
      },
    ),
    { seed: 21, numRuns: 400 },
  )
  for (const name of COMPRESSED) {
    t.equal(
      codecOf(name).expand(codecOf(name).compress(ZEROS.subarray(0, 5_000_000)), 5_000_000).length,
      5_000_000,
      name,
    )
    const batch = encodeBatch(simple(100), { codec: name })
    t.equal(checkBatch(batch).codec, name)
    t.same(
      [...decodeBatch(batch, { bytes: 1 << 20 })].map(e => String(e.value)),
      simple(100).map(e => String(e.value)),
    )
  }
})

t.test('what other writers make of it', async t => {
  const text = Array.from({ length: 3000 }, (_, i) => `event ${i % 50} of a linked frame\n`).join('')
  t.equal(String(codecOf('lz4').expand(Buffer.from(LINKED, 'base64'), text.length)), text, 'linked blocks, and a size')
  const checked = lz4Library.compressFrameSync(Buffer.from(text), { contentChecksum: true, blockChecksums: true })
  t.equal(String(codecOf('lz4').expand(checked, text.length)), text, 'checksums')
  t.equal(String(codecOf('snappy').expand(snappyLibrary.compressSync(text), text.length)), text, 'raw snappy')
})

t.test('no more than the bound is made, and it is known before', async t => {
  const bombs: Record<string, Buffer> = {
    gzip: gzipSync(ZEROS),
    snappy: snappyLibrary.compressSync(ZEROS),
    'snappy that lies of its size': Buffer.from('ffffffff0f00', 'hex'),
    'snappy in blocks': Buffer.concat([Buffer.from(MARK, 'hex'), ...xerial(1 << 16, 300)]),
    lz4: lz4Library.compressFrameSync(ZEROS),
    ...(codecs.has('zstd') && { zstd: codecOf('zstd').compress(ZEROS) }),
  }
  for (const [what, bomb] of Object.entries(bombs)) {
    const codec = codecOf(what.split(' ')[0] as Codec)
    const before = process.memoryUsage()
    fails(t, () => codec.expand(bomb, LIMITS.expanded), 'BADEVENT', what)
    await t.rejects(codec.expandApart!(bomb, LIMITS.expanded), { message: /too many bytes/ }, what)
    const after = process.memoryUsage()
    t.ok(after.arrayBuffers - before.arrayBuffers < 40 << 20, `${what}: ${after.arrayBuffers - before.arrayBuffers}`)
  }
  for (const name of COMPRESSED) {
    const bits = { gzip: 1, snappy: 2, lz4: 3, zstd: 4 }[name]
    const batch = forged(withRecords(bombs[name]!, 1), b => b.writeUInt16BE(bits, BATCH_AT.attributes))
    fails(t, () => checkBatch(batch, { bytes: LIMITS.expanded }), 'BADEVENT', `a batch of ${name}`)
  }
  t.equal(
    codecOf('lz4').expand(codecOf('lz4').compress(ZEROS.subarray(0, 1000)), 1000).length,
    1000,
    'exactly the bound',
  )
  fails(t, () => codecOf('lz4').expand(codecOf('lz4').compress(ZEROS.subarray(0, 1001)), 1000), 'BADEVENT')
})

/** So many blocks of zeros. */
function* xerial(size: number, n: number): Generator<Buffer> {
  const block = snappyLibrary.compressSync(ZEROS.subarray(0, size))
  const length = Buffer.alloc(4)
  length.writeInt32BE(block.length)
  for (let i = 0; i < n; i++) yield Buffer.concat([length, block])
}

t.test('what is no such frame', async t => {
  const frame = codecOf('lz4').compress(Buffer.from('some bytes, some bytes, some bytes'))
  const changed = (at: number, byte: number) => {
    const copy = Buffer.from(frame)
    copy[at] = byte
    return copy
  }
  const bad: [Codec, string, Buffer][] = [
    ['lz4', 'nothing', Buffer.alloc(0)],
    ['lz4', 'cut off', frame.subarray(0, -1)],
    ['lz4', 'something behind it', Buffer.concat([frame, Buffer.from('x')])],
    ['lz4', 'two frames', Buffer.concat([frame, frame])],
    ['lz4', 'another magic', changed(0, 5)],
    ['lz4', 'another version', changed(4, 0xa0)],
    ['lz4', 'a dictionary', changed(4, frame[4]! | 1)],
    ['lz4', 'a reserved flag', changed(4, frame[4]! | 2)],
    ['lz4', 'blocks of no known size', changed(5, 0x10)],
    ['lz4', 'the checksum of its header', changed(6, frame[6]! ^ 1)],
    ['lz4', 'a size that lies', Buffer.from(Buffer.from(LINKED, 'base64')).fill(0x7f, 6, 7)],
    ['snappy', 'nothing', Buffer.alloc(0)],
    ['snappy', 'noise', Buffer.from('this is not compressed at all')],
    ['snappy', 'a block longer than there is', Buffer.from(`${MARK}0000ffff00`, 'hex')],
    ['snappy', 'a negative block', Buffer.from(`${MARK}ffffffff00`, 'hex')],
    ['snappy', 'a block of nothing', Buffer.from(`${MARK}0000000100`, 'hex')],
    ['snappy', 'half a length', Buffer.from(`${MARK}0000`, 'hex')],
    ['snappy', 'an endless length', Buffer.alloc(20, 0xff)],
    ['gzip', 'noise', Buffer.from('this is not compressed at all')],
  ]
  for (const [codec, what, bytes] of bad) {
    fails(t, () => codecOf(codec).expand(bytes, LIMITS.expanded), 'BADEVENT', `${codec}: ${what}`)
    await t.rejects(
      codecOf(codec).expandApart!(bytes, LIMITS.expanded),
      { message: /BADEVENT/ },
      `${codec}: ${what}, apart`,
    )
  }
})

t.test('damaged frames are refused or give no more than the bound', async () => {
  const seeds = COMPRESSED.map(name => [name, codecOf(name).compress(Buffer.from('some bytes, '.repeat(200)))] as const)
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      fc.nat(5000),
      ([name, frame], changes, limit) => {
        const broken = Buffer.from(frame)
        for (const [at, byte] of changes) broken[at % broken.length] = byte
        try {
          return codecOf(name).expand(broken, limit).length <= limit
        } catch (e) {
          return isFnapError(e)
        }
      },
    ),
    { seed: 22, numRuns: 5000 },
  )
})

t.test('a codec that is not here is named, and its batches may be passed on', async t => {
  const zstd = forged(encodeBatch(simple(3)), b => b.writeUInt16BE(4, BATCH_AT.attributes))
  const had = codecs.get('zstd')
  codecs.delete('zstd')
  t.teardown(() => had && codecs.set('zstd', had))
  fails(t, () => checkBatch(zstd), 'NOTSUPPORTED')
  try {
    checkBatch(zstd)
  } catch (error) {
    t.ok(isCodecUnavailable(error))
    t.match((error as Error).message, /the codec zstd is not available here: it needs Node.js 22.15 or later/)
  }
  t.notOk(isCodecUnavailable(new Error('x')))
  fails(t, () => encodeBatch(simple(1), { codec: 'zstd' }), 'NOTSUPPORTED')
  t.equal(batchOf({ shard: '0', last: '1', bytes: zstd }).raw!.codec, 'zstd')
  codecs.set('zstd', codecs.get('none')!)
  t.equal(checkBatch(zstd).count, 3, 'and one that is added is used')
  codecs.delete('zstd')
})
