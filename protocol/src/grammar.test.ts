import fc from 'fast-check'
import t from 'tap'
import { fails } from './fails.test.help.js'
import {
  type Command,
  findVerb,
  formatCommand,
  identifyCommand,
  isAgentForm,
  isFnapError,
  isHttpLine,
  type Option,
  parseCommand,
  VERBS,
  verbOf,
} from './index.js'
import { arbitraryCommand, ID, typed } from './samples.test.help.js'

const plain = (command: Command) => JSON.parse(JSON.stringify(command)) as Command
const sorted = (value: unknown): string =>
  JSON.stringify(value, (_, v) =>
    v && typeof v === 'object' && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
      : v,
  )

t.test('every form of every verb, as its usage shows it', async t => {
  for (const verb of VERBS) {
    t.ok(verb.needs && verb.summary, `${verb.id} is described`)
    for (const form of verb.forms) {
      const words = [verb.id.toLowerCase()]
      for (const w of form.words) words.push(w.kind === 'keyword' ? w.keyword : typed(w))
      const write = (options: readonly Option[]) => options.flatMap(o => [o.keyword, typed(o)].filter(w => w !== ''))
      const all = [...form.options.values()]
      const required = all.filter(o => o.required)
      const keys = new Set<string>()
      const distinct = all.filter(o => !keys.has(o.key) && keys.add(o.key))
      const lines = [
        [...words, ...write(required)],
        [...words, ...write(distinct)],
        [...words, ...write(distinct.reverse())],
      ]
      for (const option of all) lines.push([...words, ...write(required.filter(o => o !== option)), ...write([option])])
      for (const line of lines) {
        const command = parseCommand(line.join(' '))
        t.equal(command.id, verb.id)
        if (form.by === 'agent' && verb.id !== 'NOTIFY') t.ok(isAgentForm(command), form.usage)
        t.equal(parseCommand(formatCommand(command.id, command.args, command.options)).id, verb.id)
      }
      t.match(form.usage, new RegExp(`^${verb.id}( |$)`))
    }
  }
})

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

t.test('what the grammar refuses', async t => {
  const table: Record<string, string[]> = {
    UNKNOWNCOMMAND: [
      'constructor',
      '__proto__',
      'toString',
      'FROB',
      'CREATE FROB x',
      'GET / HTTP/1.1',
      '"NOOP"',
      'CREATE "FLOW" a.b',
      '"CREATE" FLOW a.b',
      'GET constructor',
      'AHRlc3QAdGVzdA==',
    ],
    SYNTAX: [
      '',
      '   ',
      ' NOOP',
      'CREATE',
      'create flow',
      'NOOP x',
      'NOOP\tx',
      'NOOP\t',
      'CREATE FLOW a.b FROB',
      'CREATE FLOW a.b TITLE',
      'CREATE FLOW a.b TITLE x TITLE y',
      'CREATE FLOW a.b "TITLE" x',
      'GET FLOWS MINE SHARED',
      'GET FLOWS MINE MINE',
      'READ FLOW a.b "FOLLOW"',
      'SUBSCRIBE a.b TITLE x',
      'CREATE FLOW a.b TITLE "x',
      'CREATE FLOW a.b TITLE "x"y',
      'CREATE FLOW a.b TITLE x"y',
      'CREATE FLOW a.b TITLE "x\\y"',
      'CREATE FLOW a.b TITLE "x\\"',
      'CREATE FLOW a.b TITLE ñ',
      'CREATE FLOW a.b TITLE "\x01"',
      'CREATE FLOW a.b TITLE "\udcff"',
      'PUBLISH a.b "TO" c.d',
      'GRANT read "ON" FLOW a.b TO x.y',
      'GRANT read ON "FLOW" a.b TO x.y',
      'GRANT read ON FROB a.b TO x.y',
      'REVOKE read ON FLOW a.b TO x.y',
      'GRANT read ON FLOW a.b FROM x.y',
      'COLLECT a.b c.d',
      'COLLECT TO a.b',
      'UPDATE SUBSCRIBER a.b x.y',
      'SIGNAL a.b TO c.d',
      `SUBSCRIBE a.b ID ${ID} GEN 1`,
      `SUBSCRIBE a.b GEN 1 ACCEPT fnap`,
      `SUBSCRIBE a.b LOCAL c.d ID ${ID} GEN 1 ACCEPT fnap`,
      `STOP SUBSCRIPTION ${ID} GEN`,
      `PAUSE SUBSCRIPTION ${ID} GEN 1`,
      'STARTTLS now',
      'READ FLOW',
      'ACCESS FLOW a.b',
      'WRITE FLOW a.b MAX 3',
      'UPDATE FLOW a.b BROKER x',
      'UPDATE FLOW a.b TOPIC x',
    ],
    BADNAME: [
      'CREATE FLOW a',
      'CREATE FLOW "a b.c"',
      'CREATE FLOW www.flows.unix.ar',
      `CREATE FLOW ${ID}.time.flows.unix.ar`,
      `CREATE NAMESPACE ${ID}.unix.ar`,
      'DESCRIBE FLOW a_b.c',
      'DESCRIBE FLOW "\u212a.b"',
      'GET FLOWS minee',
      'UNSUBSCRIBE x',
      'DESCRIBE PEER x',
      'COLLECT a.b "TO" c.d',
      `CREATE FLOW ${'a.'.repeat(104)}aa`,
    ],
    BADVALUE: [
      'CREATE FLOW a.b SHARDS 0',
      'CREATE FLOW a.b SHARDS -1',
      'CREATE FLOW a.b SHARDS 1.5',
      'CREATE FLOW a.b SHARDS 0x1',
      'CREATE FLOW a.b SHARDS 1e3',
      'CREATE FLOW a.b SHARDS 1000000000000000',
      'CREATE FLOW a.b RETENTION 7',
      'CREATE FLOW a.b RETENTION 0d',
      'CREATE FLOW a.b RETENTION 7w',
      'CREATE FLOW a.b RETENTION 99999999d',
      'CREATE FLOW a.b RETENTIONBYTES 1T',
      'CREATE FLOW a.b RETENTIONBYTES 999999999999999G',
      'CREATE FLOW a.b REQUESTS true',
      'CREATE FLOW a.b REQUESTS "yes"',
      'CREATE FLOW a.b VISIBILITY "public"',
      'CREATE FLOW a.b VISIBILITY secret',
      'CREATE FLOW a.b SCHEMA x',
      'CREATE FLOW a.b SCHEMA "javascript:a b"',
      'CREATE FLOW a.b TAGS a,,b',
      'CREATE FLOW a.b TAGS "a b"',
      `CREATE FLOW a.b TITLE "${'ñ'.repeat(513)}"`,
      'CREATE FLOW a.b BROKER ../x',
      'CREATE FLOW a.b TOPIC "a b"',
      'CREATE NAMESPACE a.b QUOTA flows=0',
      'CREATE NAMESPACE a.b QUOTA __proto__=1',
      'CREATE NAMESPACE a.b QUOTA flows=1,flows=2',
      'READ FLOW a.b FORMAT TEXT',
      'READ FLOW a.b FROM yesterday',
      'READ FLOW a.b FROM "latest"',
      'READ FLOW a.b FROM CURSOR a.b',
      'READ FLOW a.b FROM POSITION',
      'READ FLOW a.b FROM POSITION FORMAT JSON',
      'SUBSCRIBE a.b FROM CURSOR x',
      'SUBSCRIBE a.b FROM POSITION',
      'SUBSCRIBE a.b MODE Turbo',
      'GRANT read,fly ON FLOW a.b TO x.y',
      'GRANT write ON FLOW a.b TO *',
      'GRANT manage ON NAMESPACE a.b TO anonymous',
      'GRANT read ON FLOW a.b TO *.x.y',
      'GRANT read ON FLOW a.b TO x.y EXPIRES 2026-13-01T00:00:00Z',
      'GRANT read ON FLOW a.b TO x.y EXPIRES 2026-01-01T00:00:00',
      'GRANT read ON FLOW a.b TO x.y LIMIT bytes=1M,bytes=2M',
      'GRANT read ON FLOW a.b TO x.y LIMIT ""',
      `SUBSCRIBE a.b ID ${ID} GEN 1 ACCEPT fnap FOR *`,
      `SUBSCRIBE a.b ID ${ID} GEN 1 ACCEPT fnap FOR *@x.y`,
      `SUBSCRIBE a.b ID ${ID} GEN 1000000000000000 ACCEPT fnap`,
      `SUBSCRIBE a.b ID ${ID} GEN 1 ACCEPT ""`,
      'SUBSCRIBE a.b ID short GEN 1 ACCEPT fnap',
      'UPDATE PEER x.y TRUST no',
      'AUTHENTICATE PLAIN ===',
      'AUTHENTICATE PL*IN',
      'APPROVE x',
      'FNAPKEY -a x.y',
      'ACCESS FLOW a.b MANAGE',
    ],
  }
  for (const [symbol, lines] of Object.entries(table)) {
    for (const line of lines) fails(t, () => parseCommand(line), symbol as 'SYNTAX', line.slice(0, 80))
  }
})

t.test('errors never quote the client', async t => {
  for (const line of [
    'hunter2',
    'CREATE FLOW hunter2',
    'CREATE FLOW a.b hunter2 x',
    'AUTHENTICATE "hunter2 x"',
    'CREATE FLOW a.b SHARDS hunter2',
  ]) {
    try {
      parseCommand(line)
      t.fail('refused')
    } catch (error) {
      t.notMatch((error as Error).message, /hunter2/i)
    }
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

t.test('a verb is known without its arguments', async t => {
  const table: [string, string | undefined][] = [
    ['CREATE FLOW "', 'CREATE FLOW'],
    ['get  processor   types x', 'GET PROCESSOR TYPES'],
    ['get processor', 'GET PROCESSORS'],
    ['desc fl', 'DESCRIBE FLOW'],
    ['noop', 'NOOP'],
    ['', undefined],
    [' NOOP', undefined],
    ['CREATE', undefined],
    ['"NOOP"', undefined],
    ['constructor', undefined],
    [`NOOP${'x'.repeat(100)}`, undefined],
  ]
  for (const [line, id] of table) t.equal(identifyCommand(line)?.id, id, line)
  t.equal(verbOf('constructor'), undefined)
  t.equal(findVerb([]), null)
})

t.test('nothing reaches a prototype', async t => {
  for (const line of ['GET FLOWS', 'CREATE FLOW a.b TITLE x', 'CREATE NAMESPACE a.b QUOTA flows=1']) {
    const { args, options } = parseCommand(line)
    t.equal(Object.getPrototypeOf(args), null)
    t.equal(Object.getPrototypeOf(options), null)
    for (const value of Object.values(options)) t.equal(Object.getPrototypeOf(value), null)
  }
})

t.test('any line is a command or a FnapError', async () => {
  const word = fc.oneof(
    fc.constantFrom(
      ...VERBS.flatMap(v => v.id.split(' ')),
      'TO',
      'ON',
      'FROM',
      'ID',
      'GEN',
      'a.b',
      '"',
      '\\',
      ' ',
      ID,
      'x.y',
      '1',
      'read',
    ),
    fc.string({ unit: 'binary', maxLength: 6 }),
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), words => {
      try {
        parseCommand(words.join(' '))
      } catch (error) {
        return isFnapError(error) && !error.sentence.includes('220')
      }
      return true
    }),
    { seed: 8, numRuns: 5000 },
  )
})

t.test('an HTTP request is known by its first line', async t => {
  for (const line of ['GET / HTTP/1.1', 'POST /x HTTP/1.0  ', 'a HTTP/', 'HTTP/1.1', 'get / http/1.1'])
    t.ok(isHttpLine(line), line)
  for (const line of ['', ' ', 'GET FLOWS', 'WRITE HTTP/ x', 'xHTTP/1.1', 'CREATE FLOW a.b TITLE "HTTP/"'])
    t.notOk(isHttpLine(line), line)
})
