import packet, { type Answer } from 'dns-packet'
import fc from 'fast-check'
import t from 'tap'
import { decodeResponse, type QuestionType } from './dns-message.js'
import { a, srv, txt } from './fake-dns.test.helper.js'

const name = 'x.test'
const encode = (type: QuestionType, answers: Answer[], more: object = {}) =>
  packet.encode({ type: 'response', id: 1, questions: [{ name, type }], answers, ...more })
const read = (bytes: Buffer, type: QuestionType) => decodeResponse(bytes, 1, { name, type })

t.test('a label that holds a dot is no name', t => {
  const bytes = encode(
    'PTR',
    ['axb.test', 'fine.test', 'sp ace.test'].map(data => ({ type: 'PTR', name, ttl: 1, data })),
  )
  bytes[bytes.indexOf('axb') + 1] = 0x2e
  t.match(read(bytes, 'PTR')?.answers, [{ target: 'fine.test' }])
  t.equal(read(bytes, 'PTR')?.answers.length, 1)
  const owner = encode('A', [a('xxtest.test', '192.0.2.1')])
  owner[owner.lastIndexOf('xxtest') + 1] = 0x2e
  t.same(read(owner, 'A')?.answers, [])
  t.end()
})

t.test('text is printable or dropped', t => {
  const data = [Buffer.from('fine'), Buffer.from('con\u0007trol'), Buffer.from('\u00e9')]
  t.match(
    read(
      encode(
        'TXT',
        data.map(d => ({ type: 'TXT', name, ttl: 1, data: [d] })),
      ),
      'TXT',
    )?.answers,
    [{ strings: ['fine'] }],
  )
  t.equal(
    read(
      encode(
        'TXT',
        data.map(d => ({ type: 'TXT', name, ttl: 1, data: [d] })),
      ),
      'TXT',
    )?.answers.length,
    1,
  )
  t.same(
    read(
      encode(
        'TXT',
        data.map(d => ({ type: 'TXT', name, ttl: 1, data: [d] })),
      ),
      'TXT',
    )?.unreadable,
    [name, name],
    'H14: but not absent',
  )
  t.end()
})

t.test('compressed names are read, pointers that loop or lead forward are not', t => {
  // Answer: owner = pointer to the question, PTR to `y` + pointer to `test` inside the question.
  const head = packet.encode({ type: 'response', id: 1, questions: [{ name, type: 'PTR' }] })
  head.writeUInt16BE(1, 6)
  const rr = (owner: number[], rdata: number[]) =>
    Buffer.from([...owner, 0, 12, 0, 1, 0, 0, 0, 9, 0, rdata.length, ...rdata])
  const good = Buffer.concat([head, rr([0xc0, 12], [1, 0x79, 0xc0, 14])])
  t.match(read(good, 'PTR')?.answers, [{ name, ttl: 9, target: 'y.test' }])
  const self = head.length
  for (const [what, owner] of [
    ['itself', [0xc0, self]],
    ['forward', [0xc0, self + 1]],
    ['beyond', [0xff, 0xff]],
  ] as const) {
    t.equal(read(Buffer.concat([head, rr([...owner], [0])]), 'PTR'), null, what)
  }
  t.end()
})

t.test('H14: a chain of pointers costs next to nothing, and what is not ours is not read', t => {
  const head = packet.encode({ type: 'response', id: 1, questions: [{ name, type: 'TXT' }] })
  const rr = (owner: Buffer, type: number, data: Buffer) => {
    const fixed = Buffer.alloc(10)
    fixed.writeUInt16BE(type, 0)
    fixed.writeUInt16BE(1, 2)
    fixed.writeUInt16BE(data.length, 8)
    return Buffer.concat([owner, fixed, data])
  }
  const pointer = (to: number) => Buffer.from([0xc0 | (to >> 8), to & 0xff])
  /** A record whose data is a chain, each pointer to the one before; others that are owned by its end. */
  const chained = (pointers: number, records: number) => {
    const root = head.length + 11
    const chain = Array.from({ length: pointers }, (_, i) => pointer(i === 0 ? root : root + 1 + 2 * (i - 1)))
    const first = rr(Buffer.from([0]), 99, Buffer.concat([Buffer.from([0]), ...chain]))
    const end = pointer(root + 1 + 2 * (pointers - 1))
    const others = Array.from({ length: records }, () => rr(end, 46, Buffer.concat([Buffer.alloc(18), end])))
    const bytes = Buffer.concat([head, first, ...others])
    bytes.writeUInt16BE(1 + records, 6)
    return bytes
  }
  t.ok(read(chained(100, 1), 'TXT'), 'one that leads somewhere')
  t.equal(read(chained(127, 1), 'TXT'), null, 'one pointer and more than a name has labels')
  t.equal(read(chained(100, 500), 'TXT'), null, 'all of them together')
  const evil = chained(8050, 500)
  const before = performance.now()
  t.equal(read(evil, 'TXT'), null)
  t.ok(performance.now() - before < 150, 'of 33 kB')
  t.equal(decodeResponse(chained(1, 1), 2, { name, type: 'TXT' }), null, 'another id')
  t.end()
})

t.test('records of the wrong length are dropped, cut messages ignored', t => {
  const bytes = encode('A', [a(name, '192.0.2.1')])
  const short = Buffer.concat([bytes.subarray(0, -6), Buffer.from([0, 3, 1, 2, 3])])
  t.same(read(short, 'A')?.answers, [])
  for (let i = 0; i < bytes.length; i++) t.equal(read(bytes.subarray(0, i), 'A'), null)
  const many = Buffer.from(bytes)
  many.writeUInt16BE(60_000, 6)
  t.equal(read(many, 'A'), null)
  t.end()
})

t.test('the numbers of a response', t => {
  const soa: Answer = { type: 'SOA', name: 'test', ttl: 99, data: { mname: 'ns.test', rname: 'h.test', minimum: 40 } }
  const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232, extendedRcode: 1, ednsVersion: 0, flags: 0, options: [] }
  const r = read(
    encode('SRV', [], {
      flags: packet.AUTHENTIC_DATA | packet.TRUNCATED_RESPONSE | 3,
      authorities: [soa],
      additionals: [opt],
    }),
    'SRV',
  )
  t.match(r, { rcode: 19, truncated: true, authentic: true, negativeTtl: 40, extended: [] })
  t.match(read(encode('SRV', [srv(name, 'Y.test')]), 'SRV'), { answers: [{ target: 'y.test' }], negativeTtl: null })
  t.match(read(encode('AAAA', [{ type: 'AAAA', name, ttl: 2 ** 31, data: '2001:db8:0:0:0:0:0:1' }]), 'AAAA')?.answers, [
    { address: '2001:db8::1', ttl: 604_800 },
  ])
  t.end()
})

t.test('no bytes make it throw', t => {
  const whole = encode('TXT', [txt(name, 'a', 'b'), srv(name, 'y.test'), a(name, '192.0.2.1')])
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }),
      fc.nat(whole.length),
      (changes, cut) => {
        const bytes = Buffer.from(whole.subarray(0, cut))
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
        for (const type of ['TXT', 'SRV', 'A', 'SOA', 'DS', 'AAAA', 'NS'] as const) read(bytes, type)
        return true
      },
    ),
    { seed: 4, numRuns: 2000 },
  )
  t.end()
})
