import t from 'tap'
import { EXIT } from './errors.js'
import { fromWords, requestOf } from './line.js'
import { commandOfId } from './tree.js'

const line = (id: string, words: string[], given: Record<string, unknown> = {}) =>
  requestOf(commandOfId(id), words, given).line

t.test('positional words, with and without the keywords of the protocol', async t => {
  const lists: [string, string[], Record<string, unknown>, string][] = [
    ['GRANT', ['read', 'flow', 'a.x.ar', 'b.ar'], {}, 'GRANT read ON FLOW a.x.ar TO b.ar'],
    ['GRANT', ['read', 'on', 'flow', 'a.x.ar', 'to', 'b.ar'], {}, 'GRANT read ON FLOW a.x.ar TO b.ar'],
    ['GRANT', ['read', 'a.x.ar', 'b.ar'], {}, 'GRANT read ON FLOW a.x.ar TO b.ar'],
    ['GRANT', ['read'], { on: 'namespace/x.ar', to: '*@b.ar' }, 'GRANT read ON NAMESPACE x.ar TO *@b.ar'],
    ['REVOKE', ['read', 'a.x.ar'], { from: 'b.ar' }, 'REVOKE read ON FLOW a.x.ar FROM b.ar'],
    ['PUBLISH', ['a.x.ar', 'b.y.ar'], {}, 'PUBLISH a.x.ar TO b.y.ar'],
    ['COLLECT', ['a.x.ar', 'b.x.ar', 'c.x.ar'], {}, 'COLLECT a.x.ar b.x.ar TO c.x.ar'],
    ['COLLECT', ['a.x.ar', 'b.x.ar', 'TO', 'c.x.ar'], {}, 'COLLECT a.x.ar b.x.ar TO c.x.ar'],
    ['DISTRIBUTE', ['a.x.ar', 'b.x.ar', 'c.x.ar'], {}, 'DISTRIBUTE a.x.ar TO b.x.ar c.x.ar'],
    ['SIGNAL', ['a.x.ar', 'b.x.ar'], { rule: 'x' }, 'SIGNAL a.x.ar TO b.x.ar RULE "x"'],
    [
      'SIGNAL',
      ['a.x.ar', 'b.x.ar', 'to', 'c.x.ar', 'd.x.ar'],
      { rule: 'x' },
      'SIGNAL a.x.ar b.x.ar TO c.x.ar d.x.ar RULE "x"',
    ],
    [
      'SIGNAL',
      ['a.x.ar', 'b.x.ar'],
      { rule: 'x', to: ['c.x.ar,d.x.ar'] },
      'SIGNAL a.x.ar b.x.ar TO c.x.ar d.x.ar RULE "x"',
    ],
    ['READ FLOW', ['flow', 'a.x.ar'], {}, 'READ FLOW a.x.ar'],
    ['READ FLOW', ['flow://A.X.ar.'], {}, 'READ FLOW a.x.ar'],
    ['GET FLOWS', [], {}, 'GET FLOWS'],
    ['HELP', ['create', 'flow'], {}, 'HELP CREATE FLOW'],
  ]
  for (const [id, words, given, expected] of lists) t.equal(line(id, words, given), expected)
})

t.test('options as flags', async t => {
  const about = { title: 'A "title"', tags: 'a,b' }
  t.equal(
    line('CREATE FLOW', ['a.x.ar'], { visibility: 'public', 'retention-bytes': '1G', requests: 'yes', ...about }),
    'CREATE FLOW a.x.ar RETENTIONBYTES 1G VISIBILITY public REQUESTS yes TITLE "A \\"title\\"" TAGS "a,b"',
  )
  t.equal(line('CREATE NAMESPACE', ['x.ar'], { 'agent-host': 'fnaa.x.ar' }), 'CREATE NAMESPACE x.ar AGENT fnaa.x.ar')
  t.equal(line('GET FLOWS', ['x.ar'], { mine: true }), 'GET FLOWS x.ar MINE')
  t.equal(line('UPDATE FLOW', ['a.x.ar'], { title: '' }), 'UPDATE FLOW a.x.ar TITLE ""', 'an empty text clears')
  t.equal(line('GET GRANTS', [], { on: 'ns/x.ar' }), 'GET GRANTS ON NAMESPACE x.ar')
  t.equal(line('READ FLOW', ['a.x.ar'], { from: 'cursor:me', max: '2' }), 'READ FLOW a.x.ar FROM CURSOR me MAX 2')
})

t.test('text of a user never becomes an option', async t => {
  t.equal(
    line('SUBSCRIBE', ['a.x.ar'], { reason: 'x" LOCAL b.y.ar "' }),
    'SUBSCRIBE a.x.ar REASON "x\\" LOCAL b.y.ar \\""',
  )
  t.throws(() => line('SUBSCRIBE', ['a.x.ar'], { reason: 'a\r\nQUIT' }), { exit: EXIT.usage, message: /./ })
})

t.test('what is wrong is said before anything is sent', async t => {
  const bad: [string, string[], Record<string, unknown>, RegExp][] = [
    ['CREATE FLOW', [], {}, /<flow> is missing/],
    ['CREATE FLOW', ['a.x.ar', 'b.x.ar'], {}, /too many words/],
    ['CREATE FLOW', ['time'], {}, /<flow> is two or more labels/],
    ['CREATE FLOW', ['a.x.ar'], { retention: '3x' }, /--retention is a number from 1/],
    ['CREATE FLOW', ['a.x.ar'], { visibility: 'secret' }, /--visibility is one of public, listed, private/],
    ['GET FLOWS', ['x.ar'], { mine: true, shared: true }, /--shared does not go with/],
    ['SIGNAL', ['a.x.ar', 'b.x.ar', 'c.x.ar'], { rule: 'x' }, /say with `to`/],
    ['SIGNAL', ['a.x.ar', 'b.x.ar'], {}, /another set of arguments/],
    ['REPLICATE', ['a.x.ar', 'b.x.ar'], { from: 'cursor:x' }, /FROM CURSOR is for READ FLOW only/],
  ]
  for (const [id, words, given, message] of bad) t.throws(() => line(id, words, given), { exit: EXIT.usage, message })
})

t.test('where reading begins', async t => {
  const now = Date.parse('2026-01-02T00:00:00Z')
  t.same(fromWords('beginning', now), ['earliest'])
  t.same(fromWords('latest', now), ['latest'])
  t.same(fromWords('10m', now), ['2026-01-01T23:50:00.000Z'])
  t.same(fromWords('-1d', now), ['2026-01-01T00:00:00.000Z'])
  t.same(fromWords('cursor me', now), ['CURSOR', 'me'])
  t.same(fromWords('2026-01-01T00:00:00Z', now), ['2026-01-01T00:00:00Z'])
})
