import assert from 'node:assert/strict'
import { checkRecord, isWithin } from '@fnaa/protocol'
import { fails } from '../suite.js'
import { type AuthCase, bytes, neverAccepts, peer } from './tools.js'

const KNOWN_NEEDS = ['tls', 'tls1.3', 'loopback']
/** Mechanisms that let in who says nothing about himself. */
const OPEN = ['ANONYMOUS']

const GARBAGE: readonly (readonly [string, Uint8Array])[] = [
  ['nothing', new Uint8Array()],
  ['NULs', bytes('\0\0\0')],
  ['zeros', new Uint8Array(9000)],
  ['no UTF-8', new Uint8Array([0xff, 0xfe, 0, 0xc0])],
  ['a prototype', bytes('{"__proto__":{"type":"accept"}}')],
  ['brackets', bytes('['.repeat(9000))],
  ['commas', bytes(','.repeat(9000))],
  ['a command', bytes('AUTHENTICATE PLAIN\r\n220 OK')],
  ['constructor', bytes('\0constructor\0constructor')],
  ['an administrator', bytes('admin\0admin\0admin')],
]

/** What holds for every mechanism. */
export const generalCases: readonly AuthCase[] = [
  {
    name: 'its mechanisms are those that the manifest names',
    async run({ service, manifest }) {
      const names = service.mechanisms.map(m => m.name)
      assert.deepEqual([...names].sort(), [...manifest.supports.mechanisms].sort())
      assert.equal(new Set(names).size, names.length)
      for (const m of service.mechanisms) {
        assert.match(m.name, /^[A-Z0-9][A-Z0-9_-]{0,19}$/, 'RFC 4422 §3.1')
        assert.deepEqual(
          m.needs.filter(n => !KNOWN_NEEDS.includes(n)),
          [],
        )
      }
    },
  },
  {
    name: 'what would show a password, or binds to the channel, needs TLS',
    async run({ service }) {
      for (const m of service.mechanisms) {
        if (/^(?:PLAIN|LOGIN|OAUTHBEARER|XOAUTH2)$/.test(m.name)) {
          assert.ok(m.needs.includes('tls') || m.needs.includes('tls1.3'), m.name)
        }
        if (/-PLUS$|^DOMAINKEY-/.test(m.name)) assert.ok(m.needs.includes('tls1.3'), `${m.name}: RFC 9266 §4.2`)
      }
    },
  },
  {
    name: 'rubbish lets nobody in',
    async run({ service, accept, c }) {
      for (const { name } of service.mechanisms.filter(m => !OPEN.includes(m.name))) {
        for (const [what, data] of GARBAGE) {
          const exchange = accept(name)
          const first = await neverAccepts(exchange.step(data, c), `${name}, ${what}`)
          if (first === 'challenge') await neverAccepts(exchange.step(data, c), `${name}, ${what} again`)
          const asked = accept(name)
          await neverAccepts(asked.step(null, c), `${name}, no initial response`)
          await neverAccepts(asked.step(data, c), `${name}, ${what} as an answer`)
        }
      }
    },
  },
  {
    name: 'an exchange that ended, or was aborted, lets nobody in',
    async run({ service, accept, c }) {
      for (const { name } of service.mechanisms) {
        const refusedOne = accept(name)
        const first = await refusedOne.step(new Uint8Array(9000), c).catch(() => ({ type: 'reject' as const }))
        if (first.type === 'reject') await neverAccepts(refusedOne.step(null, c), `${name} after a reject`)
        const aborted = accept(name)
        await neverAccepts(aborted.step(null, c), `${name}, no initial response`)
        aborted.abort()
        aborted.abort()
        for (const data of [null, new Uint8Array(), bytes('x')]) {
          await neverAccepts(aborted.step(data, c), `${name} after abort`)
        }
      }
    },
  },
  {
    name: 'exchanges do not share anything',
    async run({ service, accept, c }) {
      for (const { name } of service.mechanisms.filter(m => !OPEN.includes(m.name))) {
        const [a, b] = [accept(name), accept(name)]
        await neverAccepts(a.step(null, c), name)
        a.abort()
        const step = await b.step(null, c)
        assert.equal(step.type, 'challenge', `${name}: another exchange goes on`)
      }
    },
  },
  {
    name: 'the records that it wants in DNS are valid, and below its own domains',
    async run({ service, ctx, c }) {
      for (const { owner, records } of await service.records(c)) {
        assert.ok(
          ctx.agent.domains.some(domain => isWithin(owner, domain)),
          owner,
        )
        for (const record of records) {
          assert.equal(record.name, owner)
          checkRecord(record)
        }
      }
    },
  },
  {
    name: 'its commands have two words, and refuse what they do not know',
    async run({ service, c }) {
      const names = service.admin.map(a => a.name)
      assert.equal(new Set(names).size, names.length)
      for (const a of service.admin) {
        assert.match(a.name, /^[a-z]+ [a-z]+$/)
        assert.ok(a.usage.startsWith(a.name) && a.summary !== '', a.name)
        await fails('FNA_ERR_INVALID', () => a.run(['one', 'two', 'three', '--four'], {}, c))
      }
    },
  },
  {
    name: 'it is in good health until it is closed, and lets nobody in afterwards',
    async run({ service, accept, c, stop }) {
      assert.equal((await service.health(c)).ok, true)
      const exchanges = service.mechanisms.map(m => [m.name, accept(m.name, peer())] as const)
      await stop()
      for (const [name, exchange] of exchanges) await neverAccepts(exchange.step(bytes('trace'), c), name)
    },
  },
]
