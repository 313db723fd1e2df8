import fc from 'fast-check'
import t from 'tap'
import { fails } from './fails.test.helper.js'
import { isFnapError, isWellFormed, LineReader } from './index.js'

/** All lines of the chunks, and the symbol of the fault that ended them. */
function readAll(chunks: readonly Buffer[], limit = 4096): { lines: string[]; fault: string | null; rest: number } {
  const reader = new LineReader(limit)
  const lines: string[] = []
  try {
    for (const chunk of chunks) {
      reader.push(chunk)
      for (let line = reader.next(); line !== null; line = reader.next()) lines.push(line)
    }
  } catch (error) {
    if (!isFnapError(error)) throw error
    return { lines, fault: error.symbol, rest: reader.buffered }
  }
  return { lines, fault: null, rest: reader.buffered }
}
const all = (text: string, limit?: number) => readAll([Buffer.from(text, 'latin1')], limit)

t.test('lines end in CRLF', async t => {
  t.same(all('a\r\nb c\r\n\r\nd'), { lines: ['a', 'b c', ''], fault: null, rest: 1 })
  t.same(readAll([Buffer.from('ab\r'), Buffer.from('\nc\r\n')]).lines, ['ab', 'c'])
  t.same(readAll([Buffer.from('ab'), Buffer.from('\r'), Buffer.from('\n')]).lines, ['ab'])
})

t.test('nothing else ends a line, and no second command runs behind it', async t => {
  const endings = [
    '\n',
    '\r',
    '\0',
    '\n\r',
    '\r\r\n',
    '\n\n',
    '\0\r\n',
    '\r\0\n',
    '\n.\n',
    '\r.\r',
    '\r\n.\n',
    '\n.\r\n',
  ]
  endings.push(
    '\r.\r\n',
    '\r\n.\r.',
    '\0.\r\n',
    '.\n',
    '.\r',
    '\n\0',
    'x\ry\r\n',
    '\v\n',
    '\x85\n',
    '\r\n\n',
    '\r\n\r\r',
  )
  for (const ending of endings) {
    const bytes = `NOOP${ending}QUIT\r\n`
    const whole = all(bytes)
    t.equal(whole.fault, 'BADLINE', JSON.stringify(ending))
    t.notOk(
      whole.lines.some(line => line.includes('QUIT')),
      `${JSON.stringify(ending)} runs nothing behind it`,
    )
    t.equal(whole.rest, 0, 'nothing is kept')
    const single = readAll([...Buffer.from(bytes, 'latin1')].map(byte => Buffer.from([byte])))
    t.same(single, whole, `${JSON.stringify(ending)} byte by byte`)
  }
})

t.test('a fault holds', async t => {
  const reader = new LineReader()
  reader.push(Buffer.from('a\nb\r\n'))
  fails(t, () => reader.next(), 'BADLINE')
  reader.push(Buffer.from('c\r\n'))
  fails(t, () => reader.next(), 'BADLINE')
  t.equal(reader.buffered, 0)
})

t.test('the limit counts CRLF, and holds while reading', async t => {
  t.same(all(`${'x'.repeat(8)}\r\n`, 10).lines.length, 1)
  t.same(all(`${'x'.repeat(9)}\r\n`, 10).fault, 'LINETOOLONG')
  t.same(all('x'.repeat(8), 10), { lines: [], fault: null, rest: 8 })
  t.same(all('x'.repeat(9), 10).fault, 'LINETOOLONG', 'without CRLF')
  t.same(all(`${'x'.repeat(8)}\r`, 10), { lines: [], fault: null, rest: 9 })
  t.same(all(`a\r\n${'x'.repeat(5000)}`).lines, ['a'], 'lines before it are handed out')
  const reader = new LineReader(10)
  reader.push(Buffer.from(`short\r\n${'y'.repeat(40)}\r\n`))
  t.equal(reader.next(), 'short')
  reader.limit = 100
  t.equal(reader.next(), 'y'.repeat(40), 'the limit may change between lines')
})

t.test('ten megabytes without CRLF are not kept', async t => {
  const reader = new LineReader()
  const chunk = Buffer.alloc(65_536, 'x')
  fails(
    t,
    () => {
      for (let i = 0; i < 160; i++) {
        reader.push(chunk)
        reader.next()
      }
    },
    'LINETOOLONG',
  )
  t.equal(reader.buffered, 0)
})

t.test('rest gives what no line took, once', async t => {
  const reader = new LineReader()
  reader.push(Buffer.from('STARTTLS\r\nNOO'))
  t.equal(reader.next(), 'STARTTLS')
  t.equal(reader.buffered, 3)
  t.equal(reader.rest().toString(), 'NOO')
  t.equal(reader.rest().length, 0)
  t.equal(reader.buffered, 0)
  reader.push(Buffer.from('NO'))
  t.equal(reader.next(), null)
  reader.push(Buffer.from('OP\r\nX'))
  t.equal(reader.buffered, 7)
  t.equal(reader.next(), 'NOOP')
  t.equal(reader.rest().toString(), 'X')
})

t.test('UTF-8 is text, other bytes are lone surrogates', async t => {
  t.equal(all(Buffer.from('TITLE "niño €😀\ufffd"\r\n').toString('latin1')).lines[0], 'TITLE "niño €😀\ufffd"')
  for (const bytes of [
    'a\xff\r\n',
    '\xc0\xaf\r\n',
    '\xed\xa0\x80\r\n',
    'x\xe2\x82\r\n',
    '\xf5\x80\x80\x80\r\n',
    '\x80\r\n',
  ]) {
    const [line] = all(bytes).lines
    t.notOk(isWellFormed(line!), JSON.stringify(bytes))
  }
  t.equal(all('a\xffb\xc3\xa9\r\n').lines[0], 'a\udcffb\u00e9')
  t.ok(isWellFormed('é😀\ufffd'))
})

t.test('any cut into chunks gives the same lines and the same fault', async () => {
  const piece = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('NOOP', 'a', ' ', '"', 'é', '\r\n', '\r\n', '\r\n') },
    { weight: 1, arbitrary: fc.constantFrom('\r', '\n', '\0', '\xff', '.', 'x'.repeat(20)) },
  )
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 30 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 4, max: 40 }),
      (pieces, cuts, limit) => {
        const bytes = Buffer.from(pieces.join(''), 'latin1')
        const chunks: Buffer[] = []
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = cuts[i % cuts.length]!
          chunks.push(bytes.subarray(at, at + size))
          at += size
        }
        return JSON.stringify(readAll(chunks, limit)) === JSON.stringify(readAll([bytes], limit))
      },
    ),
    { seed: 1, numRuns: 3000 },
  )
})

t.test('many short lines in one chunk', async t => {
  const reader = new LineReader()
  reader.push(Buffer.from('NOOP\r\n'.repeat(100_000)))
  let count = 0
  while (reader.next() !== null) count++
  t.equal(count, 100_000)
})
