import fc from 'fast-check'
import t from 'tap'
import { fails } from './fails.test.helper.js'
import {
  decodeBase64,
  decodeValue,
  encodeValue,
  formatItem,
  formatLines,
  formatPair,
  formatReply,
  jsonLine,
  parseItem,
  parseReplyLine,
  stuffDot,
  unstuffDot,
} from './index.js'

const text = fc.string({ unit: 'grapheme', maxLength: 40 })

t.test('values are percent-encoded', async t => {
  t.equal(encodeValue('a b%c\r\n\x7f'), 'a%20b%25c%0D%0A%7F')
  t.equal(encodeValue('ñ€'), '%C3%B1%E2%82%AC')
  t.equal(encodeValue('kf1.unix.ar:9092,kf2=x'), 'kf1.unix.ar:9092,kf2=x')
  t.equal(encodeValue('220 OK'), '220%20OK')
  fc.assert(
    fc.property(text, value => {
      const encoded = encodeValue(value)
      return /^[\x21-\x7e]*$/.test(encoded) && decodeValue(encoded) === value
    }),
    { seed: 2, numRuns: 2000 },
  )
  for (const bad of ['%', '%2', '%zz', 'a%f', '%FF', '%C3', '%+1']) fails(t, () => decodeValue(bad), 'SYNTAX', bad)
})

t.test('an item is pairs on one line', async t => {
  t.equal(
    formatItem([
      ['flow', 'time.flows.unix.ar'],
      ['shards', 3],
      ['requests', false],
      ['title', undefined],
      ['x', ''],
    ]),
    'flow=time.flows.unix.ar shards=3 requests=no',
  )
  t.same(
    formatLines([
      ['type', 'kafka'],
      ['topic', 'a b'],
    ]),
    ['type=kafka', 'topic=a%20b'],
  )
  t.equal(formatPair('retention-bytes', undefined), null)
  t.throws(() => formatPair('OK', 'x'), TypeError)
  t.throws(() => formatPair('a b', 'x'), TypeError)
  t.same(
    [...parseItem('a=1 b=x%20y  c=')],
    [
      ['a', '1'],
      ['b', 'x y'],
      ['c', ''],
    ],
  )
  t.same([...parseItem('__proto__=x constructor=y')].length, 2)
  fails(t, () => parseItem('nonsense'), 'SYNTAX')
  fc.assert(
    fc.property(
      fc.array(
        text.filter(v => v !== ''),
        { maxLength: 5 },
      ),
      values => {
        const line = formatItem(values.map((value, i): [string, string] => [`k${i}`, value]))
        return !line.includes('220 OK') && JSON.stringify([...parseItem(line).values()]) === JSON.stringify(values)
      },
    ),
    { seed: 3, numRuns: 1000 },
  )
})

t.test('JSON lines never hold 220 OK, and say the same', async t => {
  t.equal(jsonLine({ a: '220 OK', '220 OK': ['x220 OKx'] }), '{"a":"220\\u0020OK","220\\u0020OK":["x220\\u0020OKx"]}')
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom('220 OK', '\\220 OK', '\\u0220 OK', '"220 OK', ''), (value, evil) => {
      const all = { value, evil, [evil]: evil }
      const line = jsonLine(all)
      return (
        !line.includes('220 OK') && !/[\r\n]/.test(line) && JSON.stringify(JSON.parse(line)) === JSON.stringify(all)
      )
    }),
    { seed: 4, numRuns: 1000 },
  )
  t.equal(jsonLine(undefined), 'null')
})

t.test('replies', async t => {
  t.equal(formatReply(220, 'OK'), '220 OK')
  t.equal(formatReply(220), '220')
  t.throws(() => formatReply(220, 'OK\r\n500 x'), TypeError)
  t.throws(() => formatReply(99, 'x'), TypeError)
  const table: [string, object][] = [
    ['220 fnaa.unix.ar FNAA', { kind: 'greeting', text: 'fnaa.unix.ar' }],
    ['220 OK', { kind: 'ok', text: '' }],
    ['220 OK ', { kind: 'ok', text: '' }],
    ['220 OK time.flows.unix.ar', { kind: 'ok', text: 'time.flows.unix.ar' }],
    ['220 DATA', { kind: 'data' }],
    ['220 DATA ', { kind: 'data' }],
    ['220 STREAM', { kind: 'stream' }],
    ['220 Bye', { kind: 'bye' }],
    ['220 Authenticated', { kind: 'authenticated', text: '' }],
    ['220 Authenticated dj0x', { kind: 'authenticated', text: 'dj0x' }],
    ['220 PENDING 7f3k the owner has been asked', { kind: 'pending', id: '7f3k', text: 'the owner has been asked' }],
    ['220 PENDING 7f3k', { kind: 'pending', id: '7f3k', text: '' }],
    ['220 whatever', { kind: 'ok', text: 'whatever' }],
    ['334 YQ==', { kind: 'challenge', text: 'YQ==' }],
    ['334', { kind: 'challenge', text: '' }],
    ['354 events, a single dot ends', { kind: 'send' }],
    ['404 Unknown command', { kind: 'error', code: 404, symbol: undefined, text: 'Unknown command', temporary: false }],
    ['404 NOTFOUND nothing', { kind: 'error', symbol: 'NOTFOUND', text: 'nothing', temporary: false }],
    ['409 BUSY', { kind: 'error', symbol: 'BUSY', text: '', temporary: true }],
    ['503 NEWSYMBOL x', { kind: 'error', symbol: 'NEWSYMBOL', temporary: true }],
    ['421 CLOSING x', { kind: 'error', symbol: 'CLOSING', temporary: true }],
    [
      '421 MOVED fnaa2.unix.ar:61000',
      { symbol: 'MOVED', address: { host: 'fnaa2.unix.ar', port: 61000 }, temporary: false },
    ],
    ['421 MOVED evil:0', { symbol: 'MOVED', address: undefined }],
    ['421 MOVED a b:1', { symbol: 'MOVED', address: undefined }],
    ['429 RATE 30 slow down', { symbol: 'RATE', retryAfter: 30, temporary: true }],
    ['429 RATE 99999 slow down', { retryAfter: 900 }],
    ['429 RATE slow down', { retryAfter: undefined }],
  ]
  for (const [line, expected] of table) {
    const reply = parseReplyLine(line)
    for (const [key, value] of Object.entries(expected))
      t.same(reply[key as keyof typeof reply], value, `${line}: ${key}`)
  }
  for (const line of ['', '22', '2200 OK', '220-OK', 'OK', 'abc def', '620 x', ' 220 OK', '٢٢٠ OK']) {
    fails(t, () => parseReplyLine(line), 'REMOTE', JSON.stringify(line))
  }
})

t.test('strict base64', async t => {
  t.same(decodeBase64('AHRlc3QAdGVzdA==').toString('latin1'), '\0test\0test')
  t.equal(decodeBase64('=').length, 0)
  t.equal(decodeBase64('').length, 0)
  for (const bad of [
    'AHRlc3QAdGVzdA',
    'AHRlc3QAdGVzdA=',
    'AHRlc3QAdGVzdB==',
    'a b=',
    'YQ==YQ==',
    'YQ==\n',
    'YW_-',
    '*',
  ]) {
    fails(t, () => decodeBase64(bad), 'SYNTAX', bad)
  }
})

t.test('dots', async t => {
  for (const line of ['', '.', '..', '.x', 'x.', 'x']) t.equal(unstuffDot(stuffDot(line)), line, line)
  t.equal(unstuffDot('.'), null)
})
