import t from 'tap'
import {
  ERRORS,
  errorKind,
  FnapError,
  fnapError,
  formatError,
  isFnapError,
  moved,
  parseReplyLine,
  slowDown,
} from './index.js'

// Written down by hand: code, temporary (^), closes (*).
const TABLE = `400 SYNTAX BADVALUE BADNAME BADEVENT CANCELLED *BADLINE
401 AUTHREQUIRED AUTHFAILED
403 DENIED TLSREQUIRED
404 UNKNOWNCOMMAND UNKNOWNMECHANISM NOTFOUND
409 EXISTS CONFLICT STALE BUSY^ AMBIGUOUS NOTEMPTY BADSTATE LOOP
410 REVOKED GONE
413 *LINETOOLONG TOOLONG
421 *CLOSING^ MOVED
429 QUOTA^ RATE^
500 INTERNAL^
501 NOTSUPPORTED
502 REMOTE^
503 UNAVAILABLE^
504 TIMEOUT^`

t.test('every symbol, its code and its flags', async t => {
  const seen = new Set<string>()
  for (const line of TABLE.split('\n')) {
    const [code, ...words] = line.split(' ')
    for (const word of words) {
      const symbol = word.replace(/[*^]/g, '')
      seen.add(symbol)
      t.match(
        errorKind(symbol),
        { code: Number(code), temporary: word.includes('^'), closes: word.includes('*') },
        symbol,
      )
    }
  }
  t.same(Object.keys(ERRORS).sort(), [...seen].sort())
  for (const kind of Object.values(ERRORS)) t.notMatch(kind.sentence, /220|[^\x20-\x7e]/)
  t.equal(errorKind('constructor'), undefined)
})

t.test('a FnapError of another copy of the package is one', async t => {
  const error = fnapError('STALE', '7')
  t.ok(error instanceof FnapError)
  t.ok(isFnapError(error))
  const foreign = Object.assign(new Error('x'), { symbol: 'NOTFOUND', sentence: 'gone' })
  Object.defineProperty(foreign, Symbol.for('fnap.error'), { value: true })
  t.ok(isFnapError(foreign))
  t.equal(formatError(foreign), '404 NOTFOUND gone')
  for (const other of [new Error('x'), null, undefined, 'x', {}, { symbol: 'SYNTAX' }]) t.notOk(isFnapError(other))
})

t.test('an error on the wire', async t => {
  t.equal(formatError(fnapError('STALE', '7')), '409 STALE 7')
  t.equal(formatError(new Error('password hunter2')), '500 INTERNAL something went wrong in the agent')
  t.equal(formatError(fnapError('NOTFOUND', 'x', { secret: 1 })), '404 NOTFOUND x')
  t.equal(formatError(moved('fnaa2.unix.ar', 61000)), '421 MOVED fnaa2.unix.ar:61000')
  t.equal(formatError(moved('n220.unix.ar', 61220)), '421 MOVED n220.unix.ar:61220', 'the address is as it is')
  for (const sentence of ['flow 220.unix.ar', 'a\r\n220 OK', 'a\nb', 'a\0']) {
    t.equal(formatError(fnapError('CONFLICT', sentence)), `409 CONFLICT ${ERRORS.CONFLICT.sentence}`)
  }
})

t.test('429 says how long to wait, and never 220', async t => {
  for (let seconds = -5; seconds <= 1000; seconds++) {
    const line = formatError(slowDown('RATE', seconds))
    t.notMatch(line, /220/)
    const { retryAfter } = parseReplyLine(line)
    t.ok(retryAfter! >= 1 && retryAfter! <= 900 && retryAfter! >= Math.min(seconds, 900), `${seconds}`)
  }
  t.match(parseReplyLine(formatError(slowDown('QUOTA', 1.2))), { retryAfter: 2, symbol: 'QUOTA', temporary: true })
  t.equal(parseReplyLine(formatError(slowDown('QUOTA', Number.NaN))).retryAfter, 900)
})
