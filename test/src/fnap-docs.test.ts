import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:tls'
import { CHANNEL_BINDING } from '@fnaa/client'
import {
  ANNOUNCED_LIMITS,
  CLIENT,
  ERRORS,
  findVerb,
  formatCapabilities,
  LIMITS,
  type Machine,
  parseCapabilities,
  SERVER,
  transcript,
  VERBS,
} from '@fnaa/protocol'
import t from 'tap'
import { HANDLERS } from '../../core/dist/commands/index.js'
import { pair, single } from './support/agents.js'
import { commandRules, FnapDocs } from './support/fnap-docs.js'
import { Raw } from './support/raw.js'
import { Replay } from './support/replay.js'

const docs = await FnapDocs.read()
const sorted = (list: readonly string[]) => [...list].sort()

t.test(
  'every command stands in the table of verbs with its state, its needs and its sentence, and no other',
  async t => {
    const rows = docs.table('command', 'login', 'needs', 'what it does')
    t.strictSame(
      rows,
      VERBS.map(v => [v.id, v.when, v.needs, v.summary]),
    )
  },
)

t.test('every usage line stands in a section, once, and no other', async t => {
  const lines = docs.blocks('usage').flat()
  t.strictSame(sorted(lines), sorted(VERBS.flatMap(v => v.usage)))
  t.strictSame(
    new Set(lines.map(line => findVerb(line.split(' '))?.verb.id)),
    new Set(VERBS.map(v => v.id)),
    'each one parses to a verb, and every verb has one',
  )
})

t.test('the grammar of the commands is that of the code', async t => {
  const [block] = docs.blocks('abnf-commands')
  t.strictSame(block, commandRules())
  const core = ['SP', 'CRLF', 'DQUOTE', 'ALPHA', 'DIGIT', 'HEXDIG', 'VCHAR']
  const rules = [...docs.blocks('abnf').flat(), ...block!].map(line =>
    line.replaceAll(/"[^"]*"|;.*$|<[^>]*>|%x[\dA-F-]+/g, ''),
  )
  const defined = new Set([...core, ...rules.flatMap(line => /^([a-z][a-z0-9-]*) +=/.exec(line)?.[1] ?? [])])
  const used = new Set(rules.flatMap(line => [...line.matchAll(/[A-Za-z][A-Za-z0-9-]*/g)].map(m => m[0])))
  t.strictSame(
    [...used].filter(rule => !defined.has(rule)),
    [],
    'every rule that is used is defined',
  )
})

t.test('every error: code, symbol, temporary, closes', async t => {
  const rows = docs.table('code', 'symbol', 'temporary', 'closes', 'meaning')
  const yes = (flag: boolean) => (flag ? 'yes' : 'no')
  t.strictSame(
    rows.map(row => row.slice(0, 4)),
    Object.entries(ERRORS).map(([symbol, k]) => [String(k.code), symbol, yes(k.temporary), yes(k.closes)]),
  )
  for (const row of rows) t.ok(row[4], `${row[1]} is explained`)
})

t.test('the limits, and those that CAPABILITIES announces', async t => {
  t.strictSame(
    docs.table('limit', 'value', 'of what').map(([name, value]) => [name, value]),
    Object.entries(LIMITS).map(([name, value]) => [name, String(value)]),
  )
  const announced = Object.entries(ANNOUNCED_LIMITS).map(([key, n]) => `${key}:${n}`)
  t.ok(docs.text.includes(`\`${announced.join(',')}\``))
})

/** Each cell as the document writes it. */
function cellsOf(machine: Machine<string, string, string>, states: readonly string[], stimulus: string): string[] {
  return states.map(state => {
    const step = machine[state]?.[stimulus]
    return step ? `${step.next} / ${step.effect.join(', ') || '-'}` : ''
  })
}

t.test('the two state tables, cell by cell', async t => {
  for (const [name, machine] of Object.entries({ SERVER, CLIENT }) as [string, Machine<string, string, string>][]) {
    const states = Object.keys(machine)
    const rows = docs.table('stimulus', ...states, 'from', 'what it is')
    for (const row of rows) {
      t.strictSame(row.slice(1, -2), cellsOf(machine, states, row[0]!), `${name} ${row[0]}`)
      t.match(row.at(-2)!, /^(?:figure 19|beside it)$/)
    }
    const stimuli = new Set(states.flatMap(state => Object.keys(machine[state]!)))
    t.strictSame(sorted(rows.map(row => row[0]!)), sorted([...stimuli]), `${name}: every stimulus, once`)
  }
})

t.test('what DOMAINKEY-ED25519 signs is what the document says, byte for byte', async t => {
  const fields = {
    n: 'emiliano.test',
    s: '2026a',
    t: 'unix.test',
    rs: '2025z',
    cn: Buffer.alloc(24, 1),
    sn: Buffer.alloc(24, 2),
    capabilities: Buffer.from('version=FNAP/1\r\nstarttls=no\r\n'),
    exporter: Buffer.alloc(32, 3),
  }
  const [first, second] = docs.blocks('text').find(lines => lines[1]?.startsWith('LP(n)'))!
  for (const role of ['initiator', 'responder'] as const) {
    const [, prefix] = /^"([^"]+)" role %x00$/.exec(first!)!
    const values: Readonly<Record<string, string | Uint8Array>> = {
      ...fields,
      'SHA-256(capabilities)': createHash('sha256').update(fields.capabilities).digest(),
      '"tls-exporter"': 'tls-exporter',
    }
    const parts = [...second!.matchAll(/LP\(((?:[^()]|\([^)]*\))+)\)/g)].map(([, name]) => {
      const bytes = Buffer.from(values[name!] as string)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return Buffer.concat([length, bytes])
    })
    t.equal(parts.length, 9)
    t.strictSame(transcript(role, fields), Buffer.concat([Buffer.from(`${prefix}${role}\0`), ...parts]), role)
  }
  t.ok(docs.text.includes(`${CHANNEL_BINDING.length} bytes, label "${CHANNEL_BINDING.label}"`))
})

t.test('an agent: HELP, CAPABILITIES, and a handler or 501 for each verb', async t => {
  const a = await single(t)
  const owner = await a.login(t)
  t.strictSame(
    (await owner.ok('HELP')).lines,
    VERBS.flatMap(v => v.usage),
  )
  for (const verb of VERBS) {
    t.strictSame((await owner.ok(`HELP ${verb.id}`)).lines, [...verb.usage, verb.summary], verb.id)
  }
  t.match(await owner.say('HELP NONSENSE'), { code: 404, symbol: 'UNKNOWNCOMMAND' })

  const documented = docs.table('line', 'meaning').map(([key]) => key!)
  const said = await owner.ok('CAPABILITIES')
  t.strictSame(
    said.lines.map(line => line.slice(0, line.indexOf('='))),
    documented,
    'every line of CAPABILITIES, in order',
  )
  t.strictSame(formatCapabilities(parseCapabilities(said.lines)), said.lines, 'and it reads back')

  const missing = ['COLLECT', 'SIGNAL']
  t.strictSame(
    VERBS.map(v => v.id).filter(id => !HANDLERS.has(id)),
    missing,
    'what no handler does',
  )
  const rest = docs.text.slice(docs.text.indexOf('## 14. Not built yet'))
  for (const id of missing) t.ok(rest.includes(`\`${id}\``), `${id} stands under what is not built`)
  await owner.ok('CREATE FLOW a.flows.unix.test')
  for (const line of [
    'COLLECT a.flows.unix.test TO b.flows.unix.test',
    'SIGNAL a.flows.unix.test TO b.flows.unix.test RULE x',
    'SUBSCRIBE a.flows.unix.test LOCAL b.flows.unix.test FILTER x',
    'PUBLISH a.flows.unix.test TO b.flows.unix.test FILTER x',
    'REPLICATE a.flows.unix.test b.flows.unix.test FILTER x',
    'ACCESS FLOW a.flows.unix.test READ',
    'SUBSCRIBE a.flows.unix.test LOCAL b.flows.unix.test MODE copy',
  ]) {
    t.match(await owner.say(line), { code: 501, symbol: 'NOTSUPPORTED' }, line)
  }
})

t.test('the dialogues happen as printed', async t => {
  const blocks = docs.blocks('fnap')
  t.equal(blocks.length, 2)
  for (const lines of blocks) {
    const { a, b } = await pair(t)
    const agent = lines.some(line => line.includes('DOMAINKEY-ED25519 <base64>'))
    if (agent) await (await a.login(t)).ok('CREATE FLOW time.flows.unix.test VISIBILITY public')
    const raw = await Raw.open(t, a.port)
    const replay = new Replay(raw, {
      secure: async () => {
        raw.socket.removeAllListeners('data')
        const tls = connect({
          socket: raw.socket,
          servername: 'unix.test',
          rejectUnauthorized: false,
          ALPNProtocols: ['fnap/1'],
          minVersion: 'TLSv1.3',
        })
        await once(tls, 'secureConnect')
        return tls
      },
      initiate: peer =>
        b.kernel.mechanisms.get('DOMAINKEY-ED25519')!.initiate!(peer as never, {
          self: 'emiliano.test',
          target: 'unix.test',
        }),
    })
    for (const { printed, happened } of await replay.run(lines)) t.equal(happened, printed, printed)
    t.ok(replay.raw.closed || (await replay.raw.rest()) === '', 'nothing comes behind it')
  }
})
