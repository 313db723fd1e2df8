import assert from 'node:assert/strict'
import type { DnsRecord } from '@fnaa/protocol'
import { call } from '../harness.js'
import { fails } from '../suite.js'
import { type DnsCase, one, ptr, sorted, srv, TTL, txt } from './tools.js'

/** Figure 10: register, update, unregister, resolve. */
export const writingCases: readonly DnsCase[] = [
  {
    name: 'what is applied is read, and only that',
    async run({ service, c, name, apply, absent }) {
      const owner = name('time.flows')
      const records = [ptr(owner, `_flow._tcp.${owner}`), srv(owner), txt(owner, 'broker-type=kafka topic=t', 'tls')]
      await apply({ owner, records })
      assert.deepEqual(sorted(await service.read(owner, c)), sorted(records))
      await absent(name('other.flows'))
    },
  },
  {
    name: 'a set is replaced whole, and an empty one removes the owner',
    async run({ service, c, name, apply, absent }) {
      const owner = name('time.flows')
      await apply({ owner, records: [srv(owner, 1), txt(owner, 'a')] })
      await apply({ owner, records: [srv(owner, 2)] })
      assert.deepEqual(await service.read(owner, c), [srv(owner, 2)])
      await apply({ owner, records: [] })
      await absent(owner)
      await apply({ owner, records: [] })
      await absent(owner)
    },
  },
  {
    name: 'a change of several owners is made at once',
    async run({ service, c, name, apply }) {
      const owners = ['a', 'b', 'c'].map(label => name(`${label}.flows`))
      await apply(...owners.map(owner => one(owner)))
      for (const owner of owners) assert.equal((await service.read(owner, c)).length, 1, owner)
      await apply(one(owners[0]!, 2), { owner: owners[1]!, records: [] })
      const ports = await Promise.all(owners.map(async o => (await service.read(o, c)).map(r => 'port' in r && r.port)))
      assert.deepEqual(ports, [[2], [], [61_000]])
    },
  },
  {
    name: 'a foreign owner is refused, and nothing of its change is made',
    async run({ service, c, name, apply, absent }) {
      const zone = service.zones[0]!
      const parent = zone.slice(zone.indexOf('.') + 1)
      for (const foreign of ['x.elsewhere.example', `x${zone}`, `not-${zone}`, parent]) {
        const good = name('good.flows')
        await fails('FNA_ERR_FOREIGN', () => apply(one(good), one(foreign)))
        await fails('FNA_ERR_FOREIGN', () => apply(one(foreign), one(good)))
        await absent(good)
        await fails('FNA_ERR_FOREIGN', () => service.read(foreign, c))
      }
    },
  },
  {
    name: 'a record that breaks a rule is refused, and nothing of its change is made',
    async run({ name, apply, absent }) {
      const good = name('good.flows')
      for (const [what, owner, record] of badRecords(name)) {
        await fails('FNA_ERR_INVALID', () => apply(one(good), { owner, records: [record] })).catch(e => {
          throw new Error(`${what}: ${(e as Error).message}`)
        })
        await absent(good)
      }
      const owner = name('mixed.flows')
      await fails('FNA_ERR_INVALID', () => apply({ owner, records: [srv(owner), txt(owner, 'x'.repeat(256))] }))
      await absent(owner)
    },
  },
  {
    name: 'an owner given twice in one change is refused',
    async run({ name, apply, absent }) {
      const owner = name('twice.flows')
      await fails('FNA_ERR_INVALID', () => apply(one(owner, 1), one(owner, 2)))
      await absent(owner)
    },
  },
  {
    name: 'a record that stands twice is there once',
    async run({ service, c, name, apply }) {
      const owner = name('double.flows')
      await apply({ owner, records: [srv(owner), srv(owner), txt(owner, 'a')] })
      assert.deepEqual(sorted(await service.read(owner, c)), sorted([srv(owner), txt(owner, 'a')]))
    },
  },
  {
    name: 'the generation changes with every change',
    async run({ name, apply }) {
      const seen: string[] = []
      for (let port = 1; port <= 5; port++) seen.push(await apply(one(name('gen.flows'), port)))
      assert.equal(new Set(seen).size, 5)
    },
  },
  {
    name: 'changes that come at once are all made, each of them whole',
    async run({ service, c, name, apply }) {
      const owners = Array.from({ length: 30 }, (_, i) => name(`f${i}.flows`))
      await Promise.all(owners.map((owner, i) => apply(one(owner, i + 1))))
      for (const [i, owner] of owners.entries()) assert.deepEqual(await service.read(owner, c), [srv(owner, i + 1)])
      const both = [name('x.flows'), name('y.flows')]
      await Promise.all(Array.from({ length: 10 }, (_, i) => apply(...both.map(owner => one(owner, i + 1)))))
      const [x, y] = await Promise.all(both.map(async o => (await service.read(o, c)).map(r => 'port' in r && r.port)))
      assert.equal(x?.length, 1)
      assert.deepEqual(x, y)
    },
  },
  {
    name: 'what is given and what is got are copies',
    async run({ service, c, name, apply }) {
      const owner = name('copy.flows')
      const records = [srv(owner, 1)]
      await apply({ owner, records })
      Object.assign(records[0]!, { port: 2 })
      records.length = 0
      assert.deepEqual(await service.read(owner, c), [srv(owner, 1)])
    },
  },
  {
    name: 'a call that was given up changes nothing',
    async run({ service, name, absent }) {
      const owner = name('late.flows')
      await assert.rejects(async () => service.apply([one(owner)], call(AbortSignal.abort())))
      await absent(owner)
    },
  },
  {
    name: 'key records are written where the plugin says so',
    needs: supports => supports.keys,
    async run({ service, c, name, apply }) {
      const owner = name('2026a._fnapkey')
      const record = txt(owner, `v=FNAP1; k=ed25519; p=${Buffer.alloc(32, 7).toString('base64')}`)
      await apply({ owner, records: [record] })
      assert.deepEqual(await service.read(owner, c), [record])
    },
  },
  {
    name: 'key records are refused where the plugin says that it may not write them',
    needs: supports => !supports.keys,
    async run({ name, apply, absent }) {
      const owner = name('2026a._fnapkey')
      const record = txt(owner, 'v=FNAP1; k=ed25519; p=')
      await assert.rejects(async () => apply({ owner, records: [record] }))
      await absent(owner)
    },
  },
  {
    name: 'a delegation stands in the zone that it names, and is taken back, also by another life',
    needs: supports => supports.delegates === true,
    async run(x) {
      const zone = x.service.zones[0]!
      const [child, host] = [x.name('child'), x.name('ns.child')]
      const ds = { keyTag: 7, algorithm: 13, digestType: 2, digest: 'ab'.repeat(32) }
      const records: DnsRecord[] = [
        { name: child, ttl: TTL, type: 'NS', target: host },
        { name: child, ttl: TTL, type: 'DS', ...ds },
      ]
      const glue: DnsRecord = { name: host, ttl: TTL, type: 'A', address: '192.0.2.8' }
      await x.apply({ owner: child, zone, records }, { owner: host, zone, records: [glue] })
      assert.deepEqual(sorted(await x.service.read(child, x.c)), sorted(records))
      assert.deepEqual(await x.service.read(host, x.c), [glue])
      await fails('FNA_ERR_FOREIGN', () => x.apply({ owner: child, zone: `other.${zone}`, records: [] }))
      await x.restart()
      await x.apply({ owner: child, zone, records: [] }, { owner: host, zone, records: [] })
      await x.absent(child)
      await x.absent(host)
    },
  },
  {
    name: 'after a restart everything stands as it did',
    async run(x) {
      const owner = x.name('kept.flows')
      const gone = x.name('gone.flows')
      await x.apply(one(owner, 1), one(gone))
      await x.apply(one(owner, 2), { owner: gone, records: [] })
      await x.restart()
      assert.deepEqual(await x.service.read(owner, x.c), [srv(owner, 2)])
      assert.equal((await x.ask(owner, 'SRV')).answers.length, 1)
      await x.absent(gone)
      await x.apply(one(owner, 3))
      await x.restart()
      assert.deepEqual(await x.service.read(owner, x.c), [srv(owner, 3)])
    },
  },
  {
    name: 'it is in good health until it is closed, and does nothing afterwards',
    async run({ service, c, name, stop }) {
      assert.equal((await service.health(c)).ok, true)
      await stop()
      await fails('FNA_ERR_CLOSED', () => service.apply([one(name('x.flows'))], c))
      await fails('FNA_ERR_CLOSED', () => service.read(name('x.flows'), c))
    },
  },
]

/** Records that no encoder must ever see: each breaks one rule. */
function badRecords(name: (labels: string) => string): [what: string, owner: string, record: DnsRecord][] {
  const owner = name('bad.flows')
  const own = (what: string, record: object): [string, string, DnsRecord] => [
    what,
    owner,
    { name: owner, ttl: TTL, ...record } as DnsRecord,
  ]
  const at = (what: string, bad: string): [string, string, DnsRecord] => [what, bad, srv(bad)]
  const text = (what: string, ...strings: string[]) => own(what, { type: 'TXT', strings })
  const service = { type: 'SRV', priority: 0, weight: 0, port: 1, target: 'fnaa.unix.test' }
  return [
    at('a label of 64 characters', name('a'.repeat(64))),
    at('a name of more than 253 characters', name(`${'a.'.repeat(125)}a`)),
    at('an empty label', name('a..b')),
    at('a wildcard', name('*.flows')),
    at('upper case', name('Bad.flows')),
    at('an escape', name('a\\.b')),
    at('a blank', name('a b')),
    ['another owner in the record', owner, srv(name('other.flows'))],
    text('a string of 256 bytes', 'x'.repeat(256)),
    text('a string that hides others behind its length', `${'d'.repeat(256)}\u0010v=flow1;admin=1;`),
    text('a control', 'a\u0007b'),
    text('a line break', 'a\nb'),
    text('a quote', 'a"b'),
    text('no ASCII', 'é'),
    text('no string at all'),
    own('an address in disguise', { type: 'A', address: '127.1' }),
    own('a port that is none', { ...service, port: 65_536 }),
    own('a weight that is none', { ...service, weight: -1 }),
    own('a target with a blank', { ...service, target: 'a b.test' }),
    own('a target with a long label', { ...service, target: `${'a'.repeat(64)}.test` }),
    own('a TTL below zero', { ...service, ttl: -1 }),
    own('a TTL that is no integer', { ...service, ttl: 1.5 }),
    own('a type that nobody asked for', { type: 'CNAME', target: 'x.test' }),
    own('an alien type', { type: '__proto__' }),
  ]
}
