import fc from 'fast-check'
import t from 'tap'
import { fails } from './fails.test.helper.js'
import {
  checkBatch,
  decodeBatch,
  encodeBatch,
  eventToLine,
  type FlowEvent,
  jsonDepth,
  lineToEvent,
  STRUCTURED,
} from './index.js'

const NOW = 1_700_000_000_000
const AT = { flow: 'time.flows.unix.ar', cursor: '17', shard: '0' }
const read = (event: FlowEvent) => JSON.parse(eventToLine(event, AT)) as Record<string, unknown>
const write = (line: string, key?: string) => lineToEvent(line, { now: NOW, key })
const FULL = { specversion: '1.0', id: '1', source: '/s', type: 't', time: '2026-01-01T00:00:00Z' }
const added = {
  specversion: '1.0',
  id: '0:17',
  source: 'flow://time.flows.unix.ar',
  type: 'fnap.event',
  time: '2023-11-14T22:13:20Z',
}
const header = (event: FlowEvent, name: string) => event.headers.find(([key]) => key === name)?.[1].toString()
const record = (
  value: string | Uint8Array | null,
  headers: Record<string, string> = {},
  key: string | null = null,
): FlowEvent => ({
  key: key === null ? null : Buffer.from(key, 'latin1'),
  value: typeof value === 'string' ? Buffer.from(value) : value,
  headers: Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)]),
  timestamp: NOW,
})

t.test('text, JSON and CloudEvents', async t => {
  t.same(read(write('hello')), { ...added, datacontenttype: 'text/plain', data: 'hello' })
  t.same(read(write('')), { ...added, datacontenttype: 'text/plain', data: '' })
  t.same(read(write('5')), { ...added, datacontenttype: 'text/plain', data: '5' }, 'a number is text')
  t.same(read(write('"x"')), { ...added, datacontenttype: 'text/plain', data: '"x"' }, 'a string is text')
  t.same(read(write('{not json')), { ...added, datacontenttype: 'text/plain', data: '{not json' })
  t.same(read(write(' {"a":[1]} ')), { ...added, datacontenttype: 'application/json', data: { a: [1] } })
  t.same(read(write('[]', 'k 1')), { ...added, datacontenttype: 'application/json', data: [], partitionkey: 'k 1' })
  const line = JSON.stringify({ ...FULL, data: { a: 1 }, ext: 5, flag: true, partitionkey: 'own' })
  const event = write(line, 'given')
  t.equal(event.value!.toString(), line, 'carried byte for byte')
  t.equal(header(event, 'content-type'), STRUCTURED)
  t.equal(event.key!.toString(), 'own', 'its own key goes before KEY')
  t.equal(event.timestamp, NOW)
  t.equal(eventToLine(event, AT), line, 'and comes back so')
})

t.test('what is missing is added, and nothing else changes', async t => {
  const { time: _, ...timeless } = FULL
  t.same(read(write(JSON.stringify(timeless))), { ...timeless, time: added.time })
  t.same(read(write(JSON.stringify({ ...FULL, time: null, x: null }))), { ...FULL, time: added.time }, 'null is absent')
  t.same(read(write(JSON.stringify(FULL), 'k')), { ...FULL, partitionkey: 'k' })
  const big = `{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"n":12345678901234567890,"m":1.10}}`
  t.match(eventToLine(write(big), AT), /"data":\{"n":12345678901234567890,"m":1\.10\}\}$/, 'digits stay')
  t.match(eventToLine(write('{"n":12345678901234567890}'), AT), /"data":\{"n":12345678901234567890\}/)
})

t.test('what is no CloudEvent though it says so', async t => {
  const bad: object[] = [
    { ...FULL, specversion: '0.3' },
    { ...FULL, specversion: 1 },
    { ...FULL, specversion: null },
    { specversion: '1.0' },
    { ...FULL, id: '' },
    { ...FULL, id: 5 },
    { ...FULL, id: null },
    { ...FULL, source: undefined },
    { ...FULL, type: '' },
    { ...FULL, type: {} },
    { ...FULL, time: 'yesterday' },
    { ...FULL, time: 5 },
    { ...FULL, datacontenttype: 'x' },
    { ...FULL, subject: '' },
    { ...FULL, Upper: 'x' },
    { ...FULL, 'a-b': 'x' },
    { ...FULL, ext: 1.5 },
    { ...FULL, ext: 2 ** 31 },
    { ...FULL, ext: [] },
    { ...FULL, ext: 'a\u0001b' },
    { ...FULL, ext: '\ud800' },
    { ...FULL, data: 1, data_base64: 'YQ==' },
    { ...FULL, data_base64: '!' },
    { ...FULL, data_base64: '=' },
    { ...FULL, data_base64: 5 },
  ]
  for (const event of bad) fails(t, () => write(JSON.stringify(event)), 'BADEVENT', JSON.stringify(event).slice(-40))
  fails(t, () => write('{"specversion":"1.0","__proto__":{"id":"1","source":"s","type":"t"}}'), 'BADEVENT')
  fails(t, () => write('x\udcff'), 'BADEVENT', 'not UTF-8')
  fails(t, () => write(`${'{"a":'.repeat(40)}1${'}'.repeat(40)}`), 'BADEVENT', 'too deep')
  fails(t, () => write('x'.repeat(1_048_577)), 'TOOLONG')
  fails(t, () => write('ñ'.repeat(524_289)), 'TOOLONG')
  fails(t, () => write('x'.repeat(1_048_576), 'k'), 'TOOLONG')
  t.ok(write('x'.repeat(1_048_576)))
  for (const ok of [
    { ...FULL, data: null },
    { ...FULL, data_base64: '' },
    { ...FULL, ext: -(2 ** 31), x: '', data: 'x' },
  ])
    t.ok(write(JSON.stringify(ok)))
  t.equal(jsonDepth('{"a":"[[[[{{{{\\"[["}'), 1)
  t.equal(jsonDepth('[[],[[{}]]]'), 4)
})

t.test('events of other producers', async t => {
  t.same(
    read(
      record(
        '{"a":1}',
        {
          ce_specversion: '1.0',
          ce_id: '9',
          ce_source: '/x',
          ce_type: 'y',
          ce_time: '2020-01-01T00:00:00Z',
          ce_myext: 'z',
          'content-type': 'application/json; charset=utf-8',
        },
        'k',
      ),
    ),
    {
      specversion: '1.0',
      id: '9',
      source: '/x',
      type: 'y',
      time: '2020-01-01T00:00:00Z',
      myext: 'z',
      datacontenttype: 'application/json; charset=utf-8',
      data: { a: 1 },
      partitionkey: 'k',
    },
    'binary mode',
  )
  t.same(
    read(
      record(`{\n\t"specversion" : "1.0",\r\n "id":"1","source":"s","type":"t","time":"2026-01-01T00:00:00Z" }\n`, {
        'Content-Type': 'application/cloudevents+json',
      }),
    ),
    { ...FULL, source: 's' },
    'structured, over several lines',
  )
  t.same(read(record('{broken', { 'content-type': STRUCTURED })).data_base64, Buffer.from('{broken').toString('base64'))
  t.same(read(record('{"a":1}')), { ...added, datacontenttype: 'application/json', data: { a: 1 } })
  t.same(read(record('plain ñ')), { ...added, datacontenttype: 'text/plain', data: 'plain ñ' })
  t.same(read(record(Buffer.from([0, 1, 255]))), {
    ...added,
    datacontenttype: 'application/octet-stream',
    data_base64: 'AAH/',
  })
  t.same(read(record(Buffer.from([0xff]), { 'content-type': 'text/plain' })).data_base64, '/w==')
  t.same(read(record('x', { 'content-type': 'text/plain; charset=iso-8859-1' })).data_base64, 'eA==')
  t.same(read(record('x', { 'content-type': 'application/avro' })), {
    ...added,
    datacontenttype: 'application/avro',
    data_base64: 'eA==',
  })
  t.same(read(record('<a/>', { 'content-type': 'application/xml' })).data, '<a/>')
  t.same(read(record('"x"', { 'content-type': 'application/vnd.x+json' })).data, 'x')
  t.same(
    read(record('{oops', { 'content-type': 'application/json' })).data_base64,
    Buffer.from('{oops').toString('base64'),
  )
  t.same(read(record(null)), added, 'a tombstone has no data')
  t.same(read(record('x', {}, '\xff\xfe')).partitionkeybase64, '//4=')
  t.same(
    read(
      record(
        'x',
        {
          traceparent: '00-ab',
          id: 'evil',
          type: 'evil',
          data: 'evil',
          'x-y': '1',
          ce_bad_name: 'x',
          ce_data: 'evil',
          ce_partitionkey: 'p',
        },
        'k',
      ),
    ),
    { ...added, traceparent: '00-ab', partitionkey: 'p', datacontenttype: 'text/plain', data: 'x' },
  )
  const { time: _, ...timeless } = added
  t.same(read({ ...record('x'), timestamp: -1 }), { ...timeless, datacontenttype: 'text/plain', data: 'x' })
  t.same(read({ ...record('x'), timestamp: 9e15 }), { ...timeless, datacontenttype: 'text/plain', data: 'x' })
  t.same(JSON.parse(eventToLine(record('x'), { flow: 'a.b', cursor: '5' })).id, '5')
})

t.test('a binary key survives being read and written', async t => {
  const line = eventToLine(record('x', {}, '\xff\xfe'), AT)
  t.same(write(line).key, Buffer.from([0xff, 0xfe]))
  t.equal(eventToLine(write(line), AT), line)
})

t.test('READ gives back what WRITE took', async () => {
  const ext = fc.oneof(
    fc.string({ unit: fc.constantFrom('a', '2', ' ', 'ñ', '"', '220 OK'), maxLength: 8 }),
    fc.boolean(),
    fc.integer(),
  )
  const cloudEvent = fc
    .record(
      {
        specversion: fc.constant('1.0'),
        id: fc.constantFrom('1', 'a b', '220 OK', '😀'),
        source: fc.constantFrom('/s', 'flow://a.b', '220 OK'),
        type: fc.constantFrom('t', 'com.x.y'),
        time: fc.constantFrom('2026-01-01T00:00:00Z', '1985-04-12T23:20:50.52+01:00'),
        subject: fc.constantFrom('s', '220 OK'),
        datacontenttype: fc.constantFrom('application/json', 'text/plain'),
        exta: ext,
        extb: ext,
        data: fc.jsonValue({ maxDepth: 4 }),
      },
      { requiredKeys: ['specversion', 'id', 'source', 'type', 'time'] },
    )
    .map(e => Object.fromEntries(Object.entries(e).filter(([, v]) => v !== null)))
  const through = (event: FlowEvent): FlowEvent => {
    const batch = encodeBatch([event])
    checkBatch(batch)
    return [...decodeBatch(batch, { bytes: 1_000_000 })][0]!
  }
  fc.assert(
    fc.property(cloudEvent, fc.constantFrom(0, 2), (event, indent) => {
      const text = JSON.stringify(event, null, indent).replaceAll('\n', ' ')
      const line = eventToLine(through(write(text)), AT)
      return (
        !line.includes('220 OK') && !/[\r\n]/.test(line) && JSON.stringify(JSON.parse(line)) === JSON.stringify(event)
      )
    }),
    { seed: 31, numRuns: 1000 },
  )
  const text = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    fc.constantFrom('220 OK', '.', '{"a":"220 OK"}'),
    fc.json({ maxDepth: 3 }),
  )
  fc.assert(
    fc.property(text, fc.option(fc.constantFrom('k', '', '220 OK')), (line, key) => {
      if (/[\r\n\0]/.test(line) || line.includes('specversion')) return true
      const first = eventToLine(through(write(line, key ?? undefined)), AT)
      const event = JSON.parse(first)
      const data = event.datacontenttype === 'application/json' ? JSON.stringify(event.data) : event.data
      const expected = event.datacontenttype === 'application/json' ? JSON.stringify(JSON.parse(line)) : line
      // What READ gave can be written somewhere else, and is then read the same.
      const again = eventToLine(through(write(first)), { flow: 'x.y', cursor: '99' })
      return (
        data === expected && !first.includes('220 OK') && JSON.stringify(JSON.parse(again)) === JSON.stringify(event)
      )
    }),
    { seed: 32, numRuns: 1500 },
  )
})

t.test('any record is one line of JSON', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.constantFrom('{"a":1}', '{"specversion":"1.0"}', '220 OK', '').map(s => Buffer.from(s)),
  )
  const name = fc.constantFrom(
    'content-type',
    'ce_id',
    'ce_specversion',
    'ce_x',
    'x',
    '__proto__',
    'ce_constructor',
    'datacontenttype',
  )
  const headers = fc.array(
    fc.tuple(
      name,
      fc.oneof(
        bytes,
        fc.constantFrom(STRUCTURED, 'application/json', 'text/plain').map(s => Buffer.from(s)),
      ),
    ),
    { maxLength: 4 },
  )
  fc.assert(
    fc.property(
      fc.record({ key: fc.option(bytes), value: fc.option(bytes), headers, timestamp: fc.constantFrom(-1, 0, NOW) }),
      event => {
        const line = eventToLine(event, AT)
        const parsed = JSON.parse(line) as { specversion: unknown }
        return !/[\r\n]/.test(line) && !line.includes('220 OK') && parsed.specversion === '1.0'
      },
    ),
    { seed: 33, numRuns: 3000 },
  )
})

t.test('JSON that nests too deep is read as base64, and harms no event behind it', async t => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
  const types = {
    'application/json': deep,
    'application/cloudevents+json': `{"specversion":"1.0","id":null,"data":${deep}}`,
  }
  for (const [type, text] of Object.entries(types)) {
    const headers: FlowEvent['headers'] = [['content-type', Buffer.from(type)]]
    const event: FlowEvent = { key: null, value: Buffer.from(text), headers, timestamp: 0 }
    const line = JSON.parse(eventToLine(event, { flow: 'a.b.test', cursor: '1' }))
    t.equal(Buffer.from(line.data_base64, 'base64').toString(), text, type)
  }
})
