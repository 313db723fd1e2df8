import fc from 'fast-check'
import t from 'tap'
import { fails } from './fails.test.helper.js'
import { type Command, formatCommand, isFnapError, parseCommand, VERBS } from './index.js'
import { arbitraryCommand, ID } from './samples.test.helper.js'

const plain = (command: Command) => JSON.parse(JSON.stringify(command)) as Command
const sorted = (value: unknown): string =>
  JSON.stringify(value, (_, v) =>
    v && typeof v === 'object' && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
      : v,
  )

t.test('what is written is what is read', async () => {
  for (const verb of VERBS) {
    for (const form of verb.forms) {
      fc.assert(
        fc.property(arbitraryCommand(form), ({ args, options }) => {
          let line: string
          try {
            line = formatCommand(verb.id, args, options)
          } catch (error) {
            // Rules over several values, and lines that are too long.
            if (isFnapError(error) && ['BADVALUE', 'LINETOOLONG'].includes(error.symbol)) return true
            throw error
          }
          const back = parseCommand(line)
          const flagless = JSON.parse(JSON.stringify(options)) as object
          return sorted(plain(back)) === sorted({ id: verb.id, args, options: flagless })
        }),
        { seed: 7, numRuns: 60 },
      )
    }
  }
})

t.test('no text adds an option', async t => {
  const evil = [
    'x" FOR bob@evil.ar',
    '" FOR bob@evil.ar REASON "',
    '\\" FOR bob@evil.ar',
    '\\',
    '"',
    '\\\\" ID',
    '',
    ' ',
    'FOR bob@evil.ar',
  ]
  for (const reason of evil) {
    const line = formatCommand('SUBSCRIBE', { flow: 'a.b' }, { id: ID, gen: 1, accept: ['fnap'], reason })
    const { options } = parseCommand(line)
    t.equal(options.reason, reason)
    t.equal(options.for, undefined)
  }
  for (const reason of ['a\r\nQUIT', 'a\nb', 'a\0', 'a\tb', 'a\x7f', 'a\x85', 'a\ud800']) {
    fails(t, () => formatCommand('SUBSCRIBE', { flow: 'a.b' }, { reason }), 'SYNTAX')
  }
  fails(t, () => formatCommand('CREATE FLOW', { flow: 'a.b\r\nQUIT' }), 'SYNTAX')
  t.throws(() => formatCommand('CREATE FLOW', { flow: 'a.b FOLLOW' }))
  t.throws(() => formatCommand('CREATE FLOW', {}), TypeError)
  t.throws(() => formatCommand('CREATE FLOW', { flow: 'a.b', constructor: 'x' }), TypeError)
  t.throws(() => formatCommand('CREATE FLOW', { flow: 'a.b' }, { nonsense: 1 }), TypeError)
  t.throws(() => formatCommand('CREATE FLOW', { flow: 'a.b' }, { about: { nonsense: 1 } }), TypeError)
  t.throws(() => formatCommand('constructor'), TypeError)
})

t.test('values are typed and in canonical form', async t => {
  const table: [string, object, object?][] = [
    [
      'create flow FLOW://Time.Flows.Unix.AR. shards 3 retention 7d retentionbytes 10G requests no',
      { flow: 'time.flows.unix.ar' },
      { shards: 3, retention: 604_800_000, retentionBytes: 10_737_418_240, requests: false },
    ],
    [
      'CREATE FLOW a.b TITLE "" TAGS "" TOPIC My_topic ONDELETE Retain',
      { flow: 'a.b' },
      { about: { title: '', tags: [] }, topic: 'My_topic', onDelete: 'retain' },
    ],
    ['DESC fl Time.flows.unix.ar', { flow: 'time.flows.unix.ar' }, {}],
    ['get ns', {}, {}],
    [
      'GET NAMESPACE unix.ar MAX 10 AFTER "x y" FORMAT json',
      { parent: 'unix.ar' },
      { max: 10, after: 'x y', format: 'json' },
    ],
    ['GET FLOWS MINE', {}, { scope: 'mine' }],
    [
      'GET FLOWS flows.unix.ar subscribed FOR Alice@x.y',
      { namespace: 'flows.unix.ar' },
      { scope: 'subscribed', for: 'alice@x.y' },
    ],
    [
      'READ FLOW a.b FROM CURSOR Mine MAX 5 FOLLOW',
      { flow: 'a.b' },
      { from: { at: 'cursor', label: 'mine' }, max: 5, follow: true },
    ],
    [
      'READ FLOW a.b FROM POSITION FORMAT BATCH CODECS none,GZIP EPOCH 3',
      { flow: 'a.b' },
      { from: { at: 'position' }, format: 'batch', codecs: ['none', 'gzip'], epoch: 3 },
    ],
    ['READ FLOW a.b FROM 1970-01-01T01:00:00.001+01:00', { flow: 'a.b' }, { from: { at: 'time', time: 1 } }],
    ['WRITE FLOW a.b KEY ""', { flow: 'a.b' }, { key: '' }],
    ['ACCESS FLOW a.b read AS Laptop ROTATE', { flow: 'a.b', right: 'read' }, { as: 'laptop', rotate: true }],
    [`UNSUBSCRIBE ${ID.toUpperCase()}`, { target: ID }, {}],
    ['UNSUBSCRIBE A.b.', { target: 'a.b' }, {}],
    [`UNSUBSCRIBE a.b GEN 999999999999999 ID ${ID}`, { flow: 'a.b' }, { id: ID, gen: 999_999_999_999_999 }],
    [`STOP SUBSCRIPTION ${ID} GEN 2`, { id: ID }, { gen: 2 }],
    ['PUBLISH a.b TO c.d MODE fnap', { local: 'a.b', flow: 'c.d' }, { mode: 'fnap' }],
    [`PUBLISH c.d ACCEPT fnap ID ${ID} GEN 1`, { flow: 'c.d' }, { accept: ['fnap'], id: ID, gen: 1 }],
    [
      'GRANT subscribe,READ,read ON flow a.b TO *@x.y LIMIT none',
      { rights: ['read', 'subscribe'], on: { kind: 'Flow', name: 'a.b' }, who: '*@x.y' },
      { limit: 'none' },
    ],
    [
      'REVOKE manage ON NAMESPACE a.b FROM *',
      { rights: ['manage'], on: { kind: 'Namespace', name: 'a.b' }, who: '*' },
      {},
    ],
    ['GET GRANTS ON FLOW a.b', {}, { on: { kind: 'Flow', name: 'a.b' } }],
    ['UPDATE SUBSCRIBER a.b x.y LIMIT bytes=1K', { flow: 'a.b', who: 'x.y' }, { limit: { bytesPerSecond: 1024 } }],
    [
      'UPDATE PEER x.y QUOTA subscriptions=5 TRUST YES BLOCKED no',
      { domain: 'x.y' },
      { quota: { subscriptions: 5 }, trust: true, blocked: false },
    ],
    ['REPLICATE a.b c.d', { sources: ['a.b'], sinks: ['c.d'] }, {}],
    ['COLLECT a.b c.d TO e.f FROM earliest', { sources: ['a.b', 'c.d'], sinks: ['e.f'] }, { from: { at: 'earliest' } }],
    ['DISTRIBUTE a.b TO c.d e.f FILTER "x"', { sources: ['a.b'], sinks: ['c.d', 'e.f'] }, { filter: 'x' }],
    [
      'SIGNAL a.b c.d TO e.f g.h RULE "TO x" FILTER FROM',
      { sources: ['a.b', 'c.d'], sinks: ['e.f', 'g.h'] },
      { rule: 'TO x', filter: 'FROM' },
    ],
    [`UPDATE PROCESSOR ${ID} TO a.b c.d RULE x`, { id: ID }, { to: ['a.b', 'c.d'], rule: 'x' }],
    ['AUTHENTICATE plain =', { mechanism: 'PLAIN', initial: '=' }, {}],
    ['help', {}, {}],
    ['help create flow', { verb: 'CREATE FLOW' }, {}],
    ['SUBSCRIBE a.b REASON ID LOCAL c.d', { flow: 'a.b' }, { reason: 'ID', local: 'c.d' }],
    ['NOOP    ', {}, {}],
    ['GET   PROCESSOR   TYPES', {}, {}],
  ]
  for (const [line, args, options] of table) {
    const command = plain(parseCommand(line))
    t.equal(sorted([command.args, command.options]), sorted([args, options ?? {}]), line)
  }
})

t.test('length of lines', async t => {
  const fit = `CREATE FLOW a.b ${'TITLE x'.padEnd(4096 - 2 - 16, ' ')}`
  t.equal(fit.length, 4094)
  t.equal(parseCommand(fit).id, 'CREATE FLOW')
  fails(t, () => parseCommand(`${fit} `), 'LINETOOLONG')
  const auth = 'AUTHENTICATE PLAIN '
  t.equal(parseCommand(auth + 'A'.repeat(12_288 - 2 - auth.length)).id, 'AUTHENTICATE')
  fails(t, () => parseCommand(auth + 'A'.repeat(12_288 - 1 - auth.length)), 'LINETOOLONG')
  fails(t, () => parseCommand(`CREATE FLOW a.b TITLE "${'€'.repeat(1400)}"`), 'LINETOOLONG')
  fails(
    t,
    () => formatCommand('SIGNAL', { sources: Array(450).fill('aaaa.bbbb'), sinks: ['c.d'] }, { rule: 'x' }),
    'LINETOOLONG',
  )
})

t.test('nothing reaches a prototype', async t => {
  for (const line of ['GET FLOWS', 'CREATE FLOW a.b TITLE x', 'CREATE NAMESPACE a.b QUOTA flows=1']) {
    const { args, options } = parseCommand(line)
    t.equal(Object.getPrototypeOf(args), null)
    t.equal(Object.getPrototypeOf(options), null)
    for (const value of Object.values(options)) t.equal(Object.getPrototypeOf(value), null)
  }
})
