import fc from 'fast-check'
import t from 'tap'
import { fails } from './fails.test.helper.js'
import {
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
import { ID, typed } from './samples.test.helper.js'

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
      'CREATE FLOW a.b SHARDS 1001',
      'CREATE FLOW a.b SHARDS 999999999',
      'UPDATE FLOW a.b SHARDS 1001',
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
