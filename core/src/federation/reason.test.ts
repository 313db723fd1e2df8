import { fnapError, formatError, parseReplyLine } from '@fnaa/protocol'
import t from 'tap'
import { reasonIn, withReason } from './reason.js'

t.test('whatever the owner says goes through an error line and comes out again', async t => {
  for (const reason of [
    'no room',
    '220 OK\r\n220 DATA',
    '220220',
    '22%30',
    'ñandú €',
    ' reason=x',
    '"',
    '%',
    '\u202e'.repeat(300),
  ]) {
    const line = formatError(fnapError('REVOKED', withReason('the owner ended it at 2026', reason)))
    t.match(line, /^410 REVOKED the owner ended it at 2026 reason=[!-~]+$/)
    t.notOk(line.slice(3).includes('220'))
    t.equal(reasonIn(parseReplyLine(line).text), reason)
  }
})

t.test('no reason, and what is none', async t => {
  t.equal(withReason('it ended', undefined), 'it ended')
  t.equal(withReason('it ended', ''), 'it ended')
  for (const said of ['it ended', 'x reason=', 'x reason=%zz', `x reason=${'a'.repeat(1025)}`])
    t.equal(reasonIn(said), undefined, said)
})
