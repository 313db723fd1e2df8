import packet from 'dns-packet'
import fc from 'fast-check'
import t from 'tap'
import { Data } from './data.js'
import { encodeResponse, readQuery } from './message.js'
import { Responder } from './responder.js'

// What anybody may send to port 53. `npm run fuzz -- --cases N --seed S` runs more of it.
const numRuns = Number(process.env['FNAAD_FUZZ_CASES'] ?? 10_000)
const seed = Number(process.env['FNAAD_SEED'] ?? Date.now() % 2 ** 31)
t.setTimeout(Math.max(120_000, numRuns))
t.comment(`seed ${seed}`)

t.test('a damaged question is answered, refused or passed over', async t => {
  const data = new Data()
  data.set('time.unix.test', [{ name: 'time.unix.test', ttl: 60, type: 'PTR', target: '_flow._tcp.time.unix.test' }])
  const responder = new Responder({ zones: ['unix.test'], address: '127.0.0.1', data, generation: () => 1 })
  const name = fc.constantFrom(
    'time.unix.test',
    'unix.test',
    'x.unix.test',
    '_flow._tcp.time.unix.test',
    'elsewhere.example',
  )
  const type = fc.constantFrom('A', 'PTR', 'TXT', 'SRV', 'SOA', 'NS', 'ANY', 'AXFR')
  const damage = fc.array(fc.tuple(fc.nat(80), fc.oneof(fc.constantFrom(0, 1, 63, 64, 0xc0, 0xff), fc.nat(255))), {
    maxLength: 5,
  })
  const noise = fc.uint8Array({ maxLength: 40 }).map(b => Buffer.from(b))
  const question = fc.tuple(name, type, damage, fc.option(noise, { freq: 4 })).map(([name, type, damage, tail]) => {
    const bytes = packet.encode({
      type: 'query',
      id: 1,
      flags: packet.RECURSION_DESIRED,
      questions: [{ name, type: type as 'A' }],
    })
    for (const [at, value] of damage) if (at < bytes.length) bytes[at] = value
    return tail ? Buffer.concat([bytes, tail]) : bytes
  })
  let answered = 0
  fc.assert(
    fc.property(fc.oneof({ weight: 9, arbitrary: question }, noise), bytes => {
      const q = readQuery(bytes)
      if (!q || 'rcode' in q) return
      const zone = responder.zoneFor(q)
      if (!zone) return
      answered++
      const response = encodeResponse(q, responder.respond(q, zone), 512)
      if (response.length > 512) throw new Error('longer than was allowed')
      if (response.readUInt16BE(0) !== q.id || (response.readUInt16BE(2) & 0x8000) === 0)
        throw new Error('no answer to this')
      packet.decode(response)
    }),
    { seed, numRuns },
  )
  t.ok(answered > numRuns / 10, `${answered} of ${numRuns} were answered`)
})
