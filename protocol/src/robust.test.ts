import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import * as protocol from './index.js'

const {
  checkRecord,
  decodeBase64,
  decodeValue,
  eventToLine,
  formatError,
  formatTime,
  fnapError,
  isFnapError,
  isIPv6,
  isSelector,
  jsonDepth,
  lineToEvent,
  parseCapabilities,
  parseCommand,
  parseFnapRecord,
  parseInitiator,
  parseItem,
  parseKeyRecord,
  parseName,
  parseReplyLine,
  parseTime,
  parseWho,
  parseWords,
  tokenize,
} = protocol

const SIZE = 65_536
const fill = (unit: string, before = '', after = '') => before + unit.repeat(Math.ceil(SIZE / unit.length)) + after
const INPUTS = [
  fill('a'),
  fill('a.'),
  fill('a-', '', '!'),
  fill(' '),
  fill(' ', '220 OK', 'x'),
  fill('"'),
  fill('\\'),
  fill('%'),
  fill('%20'),
  fill('='),
  fill('=a'),
  fill(','),
  fill('a,'),
  fill(';', 'v=FNAP1'),
  fill(' ;', 'v=FNAP1;'),
  fill(' ', 'v=FNAP1', 'x'),
  fill('a=b;', 'v=FNAP1;'),
  fill('['),
  fill('{"a":'),
  fill('0'),
  fill('9', '2026-01-01T00:00:00.', 'Z'),
  fill('@'),
  fill('a@'),
  fill('*@'),
  fill('A ', 'CREATE FLOW '),
  fill('a.b ', 'SIGNAL '),
  fill('é'),
  fill('\udc80'),
  fill('a', 'AUTHENTICATE PLAIN ', '='),
  fill(':'),
  fill('220 OK', '{"a":"', '"}'),
  fill('--', 'a', 'b'),
  fill('\t'),
  fill('"a":"b",', '{', '}'),
  fill(' ', '{"sig"', ':"x"}'),
  fill('/', 'a/'),
  fill('a/', 'text/'),
  fill('; charset', 'text/plain'),
]
const PARSERS: Record<string, (text: string) => unknown> = {
  tokenize,
  parseCommand,
  parseCommandWithText: text => parseCommand(`CREATE FLOW a.b TITLE "${text}"`),
  parseReplyLine,
  parseReplyWithCode: text => parseReplyLine(`421 MOVED ${text}`),
  parseRetryAfter: text => parseReplyLine(`429 RATE ${text}`),
  parseName,
  parseWho,
  parseTime,
  parseItem,
  decodeValue,
  decodeBase64,
  parseWords: text => parseWords([text]),
  isSelector,
  isIPv6,
  jsonDepth,
  parseFnapRecord: text => parseFnapRecord([[text]], 'a.b'),
  parseKeyRecord: text => parseKeyRecord([[text]]),
  parseCapabilities: text => parseCapabilities(['version=FNAP/1', `auth=${text}`, `limits=${text}`]),
  parseInitiator: text => parseInitiator(Buffer.from(text)),
  lineToEvent: text => lineToEvent(text, { now: 0 }),
  eventToLine: text =>
    eventToLine(
      {
        key: Buffer.from(text),
        value: Buffer.from(text),
        headers: [
          ['content-type', Buffer.from(text)],
          ['ce_x', Buffer.from(text)],
        ],
        timestamp: 0,
      },
      { flow: 'a.b', cursor: '1' },
    ),
  checkRecord: text => checkRecord({ name: text, ttl: 1, type: 'TXT', strings: [text] }),
  checkText: text => checkRecord({ name: 'a.b', ttl: 1, type: 'TXT', strings: [text] }),
  formatError: text => formatError(fnapError('NOTFOUND', text)),
  formatTime: () => formatTime(0),
  maskLine: protocol.maskLine,
  isHttpLine: protocol.isHttpLine,
  identifyCommand: protocol.identifyCommand,
}

/** What is linear takes a few milliseconds, what is quadratic takes seconds: a bound that a busy machine does not reach. */
const MOST_MS = 400

t.test('64 kB of anything: no parser is quadratic', async t => {
  for (const [name, parse] of Object.entries(PARSERS)) {
    let worst = 0
    for (const input of INPUTS) {
      // The best of three: a busy machine is not a slow parser.
      let best = Number.POSITIVE_INFINITY
      for (let run = 0; run < 3 && best > MOST_MS; run++) {
        const start = performance.now()
        try {
          parse(input)
        } catch (error) {
          if (!isFnapError(error) && !(error instanceof TypeError)) throw error
        }
        best = Math.min(best, performance.now() - start)
      }
      worst = Math.max(worst, best)
    }
    t.ok(worst < MOST_MS, `${name} ${worst.toFixed(1)} ms`)
  }
})

t.test('no I/O, no clock, no randomness', async t => {
  const source = join(dirname(fileURLToPath(import.meta.url)), '..', 'src')
  const allowed = new Set(['node:buffer', 'node:crypto', 'node:zlib', '@node-rs/crc32'])
  for (const file of readdirSync(source).filter(name => name.endsWith('.ts') && !name.includes('.test.'))) {
    const text = readFileSync(join(source, file), 'utf8')
    for (const [, from] of text.matchAll(/from '([^']+)'/g))
      t.ok(
        from!.startsWith('./') || allowed.has(from!) || (file === 'native.ts' && from === 'node:module'),
        `${file}: ${from}`,
      )
    t.notMatch(text, /Date\.now|performance\.|Math\.random|randomBytes|setTimeout|new Date\(\)|process\./, file)
    t.ok(text.split('\n').length <= 301, `${file} is at most 300 lines`)
  }
})
