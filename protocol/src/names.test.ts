import fc from 'fast-check'
import t from 'tap'
import { fails } from './fails.test.helper.js'
import {
  isId,
  isName,
  isWithin,
  mintId,
  parseEndpointName,
  parseName,
  parseNewName,
  parseUser,
  parseWho,
  splitLabels,
  suffixes,
  whoMatches,
} from './index.js'

const ID = 'abcdefghijklmnopqrstuvwx23'

t.test('the flow URIs of the thesis', async t => {
  const fixtures: [string, string][] = [
    ['arrivals.flow.airport.com', 'arrivals.flow.airport.com'],
    ['airline.arrivals.flow.airport.com', 'airline.arrivals.flow.airport.com'],
    ['flow://entrances.building.company.com', 'entrances.building.company.com'],
    ['flow://exits.building.company.com', 'exits.building.company.com'],
    ['flow://temperature.house.mydomain.com', 'temperature.house.mydomain.com'],
    ['flow://pressure.room1.office.mydomain.com', 'pressure.room1.office.mydomain.com'],
    ['flow://notifications.calendar.people.syndeno.com', 'notifications.calendar.people.syndeno.com'],
    ['flow://flowName.flowCategory.myNameSpace.domain.tld', 'flowname.flowcategory.mynamespace.domain.tld'],
    ['flow://created.invoice.finance.syndeno.com', 'created.invoice.finance.syndeno.com'],
    ['time.flows.unix.ar', 'time.flows.unix.ar'],
    ['ksdj898.time.flows.unix.ar', 'ksdj898.time.flows.unix.ar'],
    ['FLOW://TIME.Flows.Unix.AR.', 'time.flows.unix.ar'],
    ['emiliano.ar-time.flows.unix.ar', 'emiliano.ar-time.flows.unix.ar'],
  ]
  for (const [typed, name] of fixtures) t.equal(parseName(typed), name, typed)
  t.same(suffixes('pressure.room1.office.mydomain.com'), [
    'room1.office.mydomain.com',
    'office.mydomain.com',
    'mydomain.com',
  ])
  const bad = [
    'stream:myeventflow',
    'flow://created.invoice.finance.syndeno.com:',
    'http://a.b',
    'flow:a.b',
    'flow://',
    'a',
    '',
  ]
  bad.push('a..b', '.a.b', 'a.b..', '-a.b', 'a-.b', 'a_b.c', '_fnap.a.b', '*.a.b', 'a b.c', 'a.b/c', 'a.b\0', 'a.b\r\n')
  bad.push(
    'ａ.b',
    'é.b',
    '\u212a.b',
    'flow://flow://a.b',
    `${'a'.repeat(64)}.b`,
    '127.0.0.1',
    'a.1',
    '../x',
    'a/+/b',
    '$SYS.#',
  )
  for (const text of bad) fails(t, () => parseName(text), 'BADNAME', JSON.stringify(text))
})

t.test('length of names', async t => {
  const label = 'a'.repeat(63)
  const long = `${label}.${label}.${label}.${'a'.repeat(61)}`
  t.equal(long.length, 253)
  t.ok(isName(long))
  t.equal(parseName(`flow://${long}.`), long)
  t.notOk(isName(`${long}a`))
  fails(t, () => parseName(`${long}a`), 'BADNAME')
  t.notOk(isName('A.b'), 'canonical is lower case')
  t.same(splitLabels('a.b.c'), ['a', 'b', 'c'])
})

t.test('names for CREATE', async t => {
  t.equal(parseNewName('Time.flows.unix.ar'), 'time.flows.unix.ar')
  const label = 'a'.repeat(63)
  const long = `${label}.${label}.${label}.${'a'.repeat(16)}`
  t.equal(long.length, 208)
  t.equal(parseNewName(long), long)
  fails(t, () => parseNewName(`${long}a`), 'BADNAME')
  for (const first of [ID, 'a'.repeat(26), 'WWW', 'ns', 'mta-sts', 'wpad', '_fnap', '*']) {
    fails(t, () => parseNewName(`${first}.flows.unix.ar`), 'BADNAME', first)
  }
  t.ok(parseNewName(`${'a'.repeat(25)}1.flows.unix.ar`), '1 is not of base32')
  t.ok(`_queue._flow._tcp.${ID}.${long}`.length <= 253, 'everything fits before it')
})

t.test('ids', async t => {
  t.equal(mintId(new Uint8Array(16)), 'a'.repeat(26))
  t.equal(mintId(new Uint8Array(16).fill(255)), `${'7'.repeat(25)}4`)
  t.equal(mintId(Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')), 'aaaqeayeaudaocajbifqydiob4')
  t.throws(() => mintId(new Uint8Array(15)), RangeError)
  const seen = new Set<string>()
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), bytes => {
      const id = mintId(bytes)
      seen.add(`${id}/${Buffer.from(bytes).toString('hex')}`)
      return isId(id)
    }),
    { seed: 5, numRuns: 500 },
  )
  t.equal(
    new Set([...seen].map(x => x.split('/')[0])).size,
    new Set([...seen].map(x => x.split('/')[1])).size,
    'injective',
  )
  for (const bad of [
    '',
    'a'.repeat(25),
    'a'.repeat(27),
    `${'a'.repeat(25)}0`,
    `${'a'.repeat(25)}A`,
    `${'a'.repeat(25)}\n`,
  ]) {
    t.notOk(isId(bad), JSON.stringify(bad))
  }
})

t.test('endpoint names', async t => {
  t.same(parseEndpointName(`${ID}.time.flows.unix.ar`), { id: ID, flow: 'time.flows.unix.ar' })
  for (const other of ['time.flows.unix.ar', ID, `${ID}.`, `${ID}.x`, `x${ID}.a.b`, `${ID}..a.b`, `${ID}.A.b`]) {
    t.equal(parseEndpointName(other), null, other)
  }
})

t.test('who', async t => {
  const good: [string, string][] = [
    ['Alice@Emiliano.TEST', 'alice@emiliano.test'],
    ['a.b_c+d-e@x.y.', 'a.b_c+d-e@x.y'],
    ['*@Emiliano.test', '*@emiliano.test'],
    ['emiliano.test', 'emiliano.test'],
    ['ANONYMOUS', 'anonymous'],
    ['*', '*'],
  ]
  for (const [text, who] of good) t.equal(parseWho(text), who)
  const bad = [
    '',
    '@x.y',
    'a@',
    'a@b',
    'a@@x.y',
    'a@x.y@z.w',
    '**',
    '*@*',
    '*@x',
    'a*@x.y',
    'x',
    'a b@x.y',
    'a"@x.y',
    '*.x.y',
    'ª@x.y',
  ]
  bad.push(
    `${'a'.repeat(65)}@x.y`,
    'alice@flow://x.y',
    'flow://x.y',
    'a@x.y\r\n',
    '\u0130@x.y',
    '\u212a@x.y',
    'k@\u212a.y',
  )
  for (const text of bad) fails(t, () => parseWho(text), 'BADVALUE', JSON.stringify(text))
  fails(t, () => parseUser('*@x.y'), 'BADVALUE')
  fails(t, () => parseUser('x.y'), 'BADVALUE')
  t.equal(parseUser(`${'A'.repeat(64)}@x.y`), `${'a'.repeat(64)}@x.y`)
})

t.test('whom a pattern includes', async t => {
  const yes: [string, string][] = [
    ['alice@x.y', 'alice@x.y'],
    ['*@x.y', 'alice@x.y'],
    ['x.y', 'x.y'],
    ['*', 'alice@x.y'],
    ['*', 'x.y'],
    ['*', 'anonymous'],
    ['anonymous', 'anonymous'],
  ]
  for (const [pattern, who] of yes) t.ok(whoMatches(pattern, who), `${pattern} ${who}`)
  const no: [string, string][] = [
    ['alice@x.y', 'bob@x.y'],
    ['alice@x.y', 'alice@sub.x.y'],
    ['*@x.y', 'alice@sub.x.y'],
    ['*@x.y', 'x.y'],
    ['*@x.y', 'anonymous'],
    ['x.y', 'alice@x.y'],
    ['x.y', 'sub.x.y'],
    ['x.y', 'y'],
    ['anonymous', 'alice@x.y'],
    ['*@y', 'alice@x.y'],
  ]
  for (const [pattern, who] of no) t.notOk(whoMatches(pattern, who), `${pattern} ${who}`)
})

t.test('the walk for _fnap', async t => {
  t.same(suffixes('time.flows.unix.ar'), ['flows.unix.ar', 'unix.ar'])
  t.same(suffixes('flows.unix.ar', { self: true }), ['flows.unix.ar', 'unix.ar'])
  t.same(suffixes('unix.ar'), [])
  t.same(
    suffixes('a.b.c.d.e.f.g.h.i.j').map(s => splitLabels(s).length),
    [8, 7, 6, 5, 4, 3, 2],
  )
  t.ok(isWithin('a.b.c', 'b.c') && isWithin('b.c', 'b.c'))
  t.notOk(isWithin('ab.c', 'b.c'))
})
