import { checkRecord } from '@fnaa/protocol'
import packet, { type Answer } from 'dns-packet'
import fc from 'fast-check'
import t from 'tap'
import { decodeResponse, encodeQuestion, type QuestionType } from './dns-message.js'
import { DnsReader } from './dns-reader.js'

// dns-packet checks nothing (no length of a label, none of a string): what we let through it has to be right, both ways.
// `npm run fuzz -- --cases N --seed S` runs more of them.
const numRuns = Math.ceil(Number(process.env['FNAAD_FUZZ_CASES'] ?? 10_000) / 2)
const seed = Number(process.env['FNAAD_SEED'] ?? Date.now() % 2 ** 31)
t.setTimeout(Math.max(120_000, numRuns))
t.comment(`seed ${seed}`)

let compared = 0
const NAME = 'time.flows.unix.test'
const ID = 7
const label = fc.stringMatching(/^[a-z0-9_-]{1,12}$/)
const host = fc.array(label, { minLength: 1, maxLength: 4 }).map(labels => labels.join('.'))
const owner = fc.oneof({ weight: 4, arbitrary: fc.constant(NAME) }, host)
const base = { ttl: 60, class: 'IN' as const }
const record: fc.Arbitrary<Answer> = fc.oneof(
  fc.tuple(owner, fc.ipV4()).map(([name, data]): Answer => ({ ...base, name, type: 'A', data })),
  fc.tuple(owner, fc.ipV6()).map(([name, data]): Answer => ({ ...base, name, type: 'AAAA', data })),
  fc.tuple(owner, host).map(([name, data]): Answer => ({ ...base, name, type: 'PTR', data })),
  fc.tuple(owner, host).map(([name, data]): Answer => ({ ...base, name, type: 'CNAME', data })),
  fc.tuple(owner, host).map(([name, data]): Answer => ({ ...base, name, type: 'NS', data })),
  fc.tuple(owner, host, fc.nat(65_535)).map(
    ([name, target, port]): Answer => ({
      ...base,
      name,
      type: 'SRV',
      data: { priority: 0, weight: 0, port, target },
    }),
  ),
  fc
    .tuple(owner, fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 3 }))
    .map(([name, data]): Answer => ({ ...base, name, type: 'TXT', data: data.map(d => Buffer.from(d)) })),
)
const type = fc.constantFrom<QuestionType>('A', 'AAAA', 'PTR', 'TXT', 'SRV', 'NS', 'DS', 'SOA', 'DNSKEY')
/** What may happen to a byte on its way: at a place, another value; pointers, lengths and zeros more often than others. */
const damage = fc.array(fc.tuple(fc.nat(600), fc.oneof(fc.constantFrom(0, 1, 12, 63, 64, 0xc0, 0xff), fc.nat(255))), {
  maxLength: 6,
})
const cut = fc.option(fc.nat(400), { freq: 4 })

const isSafe = (name: string) => name.split('.').every(l => /^[a-z0-9_-]{1,63}$/.test(l)) && name.length <= 253

t.test('a damaged answer is read safely or not at all', async t => {
  let read = 0
  fc.assert(
    fc.property(type, fc.array(record, { maxLength: 5 }), damage, cut, (type, answers, damage, cut) => {
      const whole = packet.encode({ type: 'response', id: ID, questions: [{ name: NAME, type }], answers })
      for (const [at, value] of damage) if (at < whole.length) whole[at] = value
      const bytes = whole.subarray(0, cut ?? whole.length)
      const response = decodeResponse(bytes, ID, { name: NAME, type })
      if (!response) return
      read++
      if (bytes.readUInt16BE(0) !== ID || (bytes.readUInt16BE(2) & 0x8000) === 0) throw new Error('no answer to this')
      for (const a of response.answers) {
        if (a.type !== type || !isSafe(a.name))
          throw new Error('a record that was not asked for, or a name that is none')
        if (a.ttl < 0 || a.ttl > 604_800) throw new Error('a time to live out of range')
        if (a.type === 'TXT') {
          if (!a.strings.every(s => /^[\x20-\x7e]{0,255}$/.test(s))) throw new Error('a string that is not printable')
        } else if (a.type !== 'SOA' && a.type !== 'DNSKEY') checkRecord(a)
      }
      for (const [name, { target }] of response.aliases)
        if (!isSafe(name) || !isSafe(target)) throw new Error('an alias that is no name')
      agree(bytes, type, response.answers)
    }),
    { seed, numRuns },
  )
  t.ok(read > numRuns / 20, `${read} of ${numRuns} were read all the same`)
  t.ok(compared > numRuns / 100, `${compared} were compared with dns-packet`)
})

/**
 * Where dns-packet reads the message as it was written, it reads the same: what differs would be two readers' two opinions. (It goes
 * on behind what it read of a record, not where the record ends, so of others it may read anything.)
 */
function agree(bytes: Buffer, type: QuestionType, ours: readonly object[]): void {
  if (type !== 'PTR' && type !== 'A') return
  let theirs: readonly string[]
  try {
    const m = packet.decode(bytes)
    if (!packet.encode(m as packet.Packet).equals(bytes)) return
    theirs = (m.answers ?? []).flatMap(a => (a.type === type && 'data' in a ? [String(a.data).toLowerCase()] : []))
  } catch {
    return
  }
  compared++
  for (const a of ours) {
    const said = 'target' in a ? a.target : 'address' in a ? a.address : ''
    if (!theirs.includes(String(said))) throw new Error(`we read ${said}, dns-packet ${theirs.join()}`)
  }
}
t.test('a name is asked for as it is, or refused', async t => {
  const any = fc.oneof(
    host,
    fc.string({ maxLength: 300 }),
    fc.array(fc.string({ maxLength: 80 }), { maxLength: 8 }).map(labels => labels.join('.')),
    fc
      .array(fc.constantFrom('a', '.', '-', '_', '\\', '\0', 'é', 'x'.repeat(64), '*'), { maxLength: 12 })
      .map(p => p.join('')),
  )
  let asked = 0
  fc.assert(
    fc.property(any, type, (name, type) => {
      let bytes: Buffer
      try {
        bytes = encodeQuestion(ID, { name, type })
      } catch (e) {
        if ((e as { code?: string }).code !== 'FNA_ERR_INVALID') throw e
        return
      }
      asked++
      const [question, more] = new DnsReader(bytes).message().questions
      if (question?.name !== name || more) throw new Error(`asked for ${question?.name}, meant ${name}`)
    }),
    { seed, numRuns },
  )
  t.ok(asked > numRuns / 10, `${asked} of ${numRuns} were names`)
})
