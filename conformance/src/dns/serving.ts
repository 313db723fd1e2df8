import assert from 'node:assert/strict'
import { isName } from '@fnaa/protocol'
import { dataOf } from './ask.js'
import { type DnsCase, one, ptr, srv, TTL, txt } from './tools.js'

/** What others see who ask the plugin's server. */
export const servingCases: readonly DnsCase[] = [
  {
    name: 'it names its zones and its server',
    async run({ service }) {
      assert.ok(service.zones.length > 0 && service.zones.every(isName), service.zones.join())
      assert.ok(service.server.port > 0 && service.server.host !== '')
    },
  },
  {
    name: 'the server answers what was applied, with authority',
    async run({ name, apply, ask }) {
      const owner = name('time.flows')
      const under = name('_queue._flow._tcp.time.flows')
      const words = ['broker-type=kafka', 'x'.repeat(255)]
      await apply(
        { owner, records: [ptr(owner, `_flow._tcp.${owner}`), srv(owner, 4000)] },
        { owner: under, records: [txt(under, ...words)] },
      )
      const said = await ask(owner, 'SRV')
      assert.deepEqual(said, {
        rcode: 'NOERROR',
        authoritative: true,
        answers: [{ ttl: TTL, data: dataOf.srv(0, 0, 4000, 'fnaa.unix.test') }],
      })
      assert.deepEqual(
        (await ask(owner, 'PTR')).answers.map(a => a.data),
        [dataOf.name(`_flow._tcp.${owner}`)],
      )
      assert.deepEqual(
        (await ask(under, 'TXT')).answers.map(a => a.data),
        [dataOf.txt(...words)],
      )
    },
  },
  {
    name: 'a change is seen as soon as it is made',
    async run({ name, apply, ask }) {
      const owner = name('now.flows')
      assert.equal((await ask(owner, 'SRV')).rcode, 'NXDOMAIN')
      for (let port = 1; port <= 20; port++) {
        await apply(one(owner, port))
        assert.deepEqual(
          (await ask(owner, 'SRV')).answers.map(a => a.data),
          [dataOf.srv(0, 0, port, 'fnaa.unix.test')],
        )
      }
      await apply({ owner, records: [] })
      assert.equal((await ask(owner, 'SRV')).rcode, 'NXDOMAIN')
    },
  },
  {
    name: 'an absent name and an absent type are told apart, between names too',
    async run({ name, apply, ask }) {
      const owner = name('_flow._tcp.time.flows')
      await apply(one(owner))
      const rcode = async (n: string) => {
        const { rcode, authoritative, answers } = await ask(n, 'TXT')
        return [rcode, authoritative, answers.length]
      }
      assert.deepEqual(await rcode(owner), ['NOERROR', true, 0], 'another type')
      for (const between of ['_tcp.time.flows', 'time.flows', 'flows']) {
        assert.deepEqual(await rcode(name(between)), ['NOERROR', true, 0], `${between}: there are names below it`)
      }
      assert.deepEqual(await rcode(name('x._flow._tcp.time.flows')), ['NXDOMAIN', true, 0], 'below')
      assert.deepEqual(await rcode(name('other.flows')), ['NXDOMAIN', true, 0], 'beside')
      await apply({ owner, records: [] })
      assert.deepEqual(await rcode(name('time.flows')), ['NXDOMAIN', true, 0], 'nothing is left between')
    },
  },
  {
    name: 'upper case asks for the same',
    async run({ name, apply, ask }) {
      const owner = name('time.flows')
      await apply(one(owner))
      assert.equal((await ask(owner.toUpperCase(), 'SRV')).answers.length, 1)
    },
  },
  {
    name: 'a large set is answered whole',
    async run({ name, apply, ask }) {
      const owner = name('large.flows')
      await apply({
        owner,
        records: Array.from({ length: 60 }, (_, i) => srv(owner, i + 1, `host-with-a-long-name-${i}.unix.test`)),
      })
      assert.equal((await ask(owner, 'SRV')).answers.length, 60)
    },
  },
  {
    name: 'of other zones it says nothing of its own',
    async run({ ask }) {
      assert.equal((await ask('x.elsewhere.example', 'SRV')).authoritative, false)
    },
  },
]
