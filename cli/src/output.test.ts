import { readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { parse as parseYaml } from 'yaml'
import { complete, completionScript } from './completion.js'
import { crc32c } from './crc32c.js'
import { EXIT, exitOfReply } from './errors.js'
import { document, names, objectOf, rowsOf, table } from './output.js'
import { buildProgram } from './program.js'
import { readable } from './run-read.js'
import { LineGroups } from './stdin.js'
import { safe, safeJson, safeYaml } from './text.js'
import { TOPICS } from './topics.js'
import { VERSION } from './version.js'

t.test('a table', async t => {
  const rows = rowsOf([
    'agent=a.x.ar address=a.x.ar:1',
    'agent=b.x.ar namespace=n.x.ar address=b.x.ar:2',
    'agent=c%20d',
  ])
  t.equal(
    table(rows),
    `AGENT   NAMESPACE  ADDRESS
a.x.ar  -          a.x.ar:1
b.x.ar  n.x.ar     b.x.ar:2
c d     -          -
`,
  )
  t.equal(table([]), '')
})

t.test('documents', async t => {
  t.equal(await document({ a: 1 }, 'json'), '{\n  "a": 1\n}\n')
  t.equal(await document([{ a: 1 }], 'yaml'), '- a: 1\n')
  t.same({ ...objectOf(['a=1', 'b=x%20y', 'no pair']) }, { a: '1', b: 'x y', text: ['no pair'] })
  t.equal(names(['a', 'b']), 'a\nb\n')
})

t.test('what others wrote cannot steer a terminal', async t => {
  t.equal(safe('a\x1b[2Jb\u202e\r\nc\u009b'), 'a\\x1b[2Jb\\u202e\\x0d\\x0ac\\x9b')
  t.equal(safe('a\u061c\u2028b'), 'a\\u061c\\u2028b')
  t.equal(safeJson('"\u202e"'), '"\\u202e"')
  const hostile = { ['k\u009b']: 'x\u0085\u2028\u2029\u202e', plain: ['a', 'y\u007f'] }
  t.match(safeJson(JSON.stringify(hostile)), /^[\x20-\x7e]*$/)
  t.same(JSON.parse(safeJson(JSON.stringify(hostile))), hostile, 'the same value')
  const yaml = await safeYaml(hostile)
  t.match(yaml, /^[\n\x20-\x7e]*$/)
  t.same(parseYaml(yaml), hostile)
  t.equal(await safeYaml({ a: 'b' }), 'a: b\n')
  const line = JSON.stringify({ time: 'T', partitionkey: 'k\x1b', data: '\x1b]0;x\x07' })
  t.equal(readable(line), 'T  k\\x1b  \\x1b]0;x\\x07\n')
  t.equal(readable('{"time":"T","data":{"a":1}}'), 'T  {"a":1}\n')
})

t.test('lines of standard input in groups', async t => {
  const all = async (chunks: (string | Buffer)[], most = 1000) => {
    const stream = new PassThrough()
    const input = new LineGroups(stream, most)
    for (const chunk of chunks) stream.write(chunk)
    stream.end()
    const groups: string[][] = []
    const signal = new AbortController().signal
    for (let g = await input.next(signal); g; g = await input.next(signal)) groups.push(g.map(b => b.toString()))
    return groups
  }
  t.same((await all(['a\nb\r\n', 'c'])).flat(), ['a', 'b', 'c'], 'CRLF, and a last line without its end')
  t.same((await all(['ab', 'c\n\nd\n'])).flat(), ['abc', '', 'd'], 'an empty line is a line')
  t.same((await all([])).flat(), [])
  const groups = await all(['1234567890\n'.repeat(10)], 160)
  t.ok(groups.length >= 4 && groups.every(g => g.length <= 2), 'no group is over what one WRITE may hold')
  const aborted = new AbortController()
  const waiting = new LineGroups(new PassThrough(), 10).next(aborted.signal)
  aborted.abort(new Error('called off'))
  await t.rejects(waiting, /called off/)
})

t.test('exit codes', async t => {
  const expected: [number, string | undefined, number][] = [
    [400, 'SYNTAX', EXIT.usage],
    [400, 'BADEVENT', EXIT.failed],
    [401, 'AUTHFAILED', EXIT.authentication],
    [403, 'DENIED', EXIT.authentication],
    [404, 'NOTFOUND', EXIT.notFound],
    [404, undefined, EXIT.notFound],
    [409, 'EXISTS', EXIT.conflict],
    [410, 'REVOKED', EXIT.notFound],
    [413, 'TOOLONG', EXIT.failed],
    [421, 'CLOSING', EXIT.temporary],
    [421, 'MOVED', EXIT.failed],
    [429, 'QUOTA', EXIT.temporary],
    [500, 'INTERNAL', EXIT.temporary],
    [501, 'NOTSUPPORTED', EXIT.failed],
    [503, 'UNAVAILABLE', EXIT.temporary],
    [504, 'TIMEOUT', EXIT.temporary],
  ]
  for (const [code, symbol, exit] of expected) t.equal(exitOfReply(code, symbol), exit, `${code} ${symbol}`)
  const topic = TOPICS.get('exit-codes')!.text()
  for (const code of Object.values(EXIT)) t.match(topic, new RegExp(`^ +${code}  `, 'm'))
})

t.test('completion', async t => {
  const program = buildProgram(async () => undefined)
  const at = (...words: string[]) => complete(program, words, ['fnaa-unix', 'fnaa-emiliano'])
  t.same(at('desc'), ['describe'])
  t.same(at('create', ''), ['flow', 'namespace'])
  t.same(at('create', 'flow', '--vis'), ['--visibility'])
  t.same(at('create', 'flow', '--visibility', 'p'), ['private', 'public'])
  t.same(at('get', 'flows', '-o', ''), ['json', 'name', 'table', 'yaml'])
  t.same(at('--agent', 'fnaa-u'), ['fnaa-unix'])
  t.same(at('create', 'flow', '--title', ''), [])
  t.notOk(at('').includes('notify'), 'what only agents may do is not offered')
  for (const shell of ['bash', 'zsh', 'fish']) t.match(completionScript(shell), /__complete/)
  t.throws(() => completionScript('csh'), { exit: EXIT.usage, message: /./ })
})

t.test('the version is that of the package', async t => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  t.equal(VERSION, version)
})

t.test('CRC-32C', async t => {
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
})
