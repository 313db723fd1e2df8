import { spawnSync } from 'node:child_process'
import type { Config, DnsService } from '@fnaa/core'
import { Bind, bindUnavailable } from '@fnaa/services'
import t from 'tap'
import { folder, freePort, TestAgent } from './support/agents.js'
import { MINUTE, TurnableClock } from './support/clock.js'
import { Internet, PORT, unavailable } from './support/organisation.js'

const skip = bindUnavailable() ?? false
const { default: dnsBind } = (await import(`${'@fnaa/dns-bind'}`)) as typeof import('@fnaa/dns-bind')
const ZONE = 'unix.test'
const NS = `flows.${ZONE}`
const FLOW = `time.${NS}`

t.test('an agent whose address changes writes its own names anew, and the old ones go', { skip }, async t => {
  const bind = await Bind.start({ zones: [{ name: ZONE }] })
  t.teardown(() => bind.stop())
  const data = await folder(t)
  const clock = new TurnableClock()
  const dnsPort = await freePort()
  const [first, second] = [await freePort(), await freePort()]
  /** The same agent with another address. */
  const life = async (host: string, port: number, addresses: string[], zoneKey = true) => {
    const at = `${bind.host}:${bind.port}`
    const keys = {
      keyFile: bind.keyFile(ZONE, 'agent'),
      ...(zoneKey ? { zoneKeyFile: bind.keyFile(ZONE, 'zone') } : {}),
    }
    const change = (config: Config): Config => ({
      ...config,
      host,
      addresses,
      resolver: { servers: [at] },
      plugins: [
        ...config.plugins.filter(p => p && 'manifest' in p && p.manifest.kind !== 'dns'),
        dnsBind({ server: at, ...keys }),
      ],
    })
    const where = { domain: ZONE, data: `${data}/a`, port, dnsPort, ca: `${data}/ca`, neighbours: {} }
    const agent = await new TestAgent(where, { clock, change }).start()
    t.teardown(() => agent.close())
    return agent
  }
  const said = (type: string, name: string) => bind.dig('+short', type, name).trim().split('\n').sort().join(' ')
  /** All that leads to the agent. */
  const leads = () => [`_fnap._tcp.${ZONE}`, `_fnap._tcp.${NS}`, FLOW].map(name => said('SRV', name))
  const settled = async (look: () => boolean, what: string) => {
    for (const end = Date.now() + 30_000; !look(); ) {
      if (Date.now() > end) throw new Error(`not in 30 s: ${what}`)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }

  const a = await life(`fnaa.${ZONE}`, first, ['192.0.2.1', '192.0.2.2', '2001:db8::1'])
  await (await a.login(t)).ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  t.same(leads(), Array(3).fill(`0 0 ${first} fnaa.${ZONE}.`))
  t.equal(said('A', `fnaa.${ZONE}`), '192.0.2.1 192.0.2.2')
  t.equal(said('SRV', `_flow._tcp.${FLOW}`), `30 30 ${first} fnaa.${ZONE}.`)
  await a.close()

  await t.test('addresses and port', async t => {
    const b = await life(`fnaa.${ZONE}`, second, ['192.0.2.9'])
    t.equal(said('A', `fnaa.${ZONE}`), '192.0.2.9')
    t.equal(said('AAAA', `fnaa.${ZONE}`), '')
    t.equal(said('SRV', `fnaa.${ZONE}`), `0 0 ${second} fnaa.${ZONE}.`)
    await settled(() => leads().every(l => l === `0 0 ${second} fnaa.${ZONE}.`), 'its namespaces and flows')
    await settled(() => said('SRV', `_flow._tcp.${FLOW}`) === `30 30 ${second} fnaa.${ZONE}.`, 'its flows')
    await b.close()
  })

  await t.test('its name: the old one goes when nobody remembers it', async t => {
    const b = await life(`other.${ZONE}`, second, ['192.0.2.9'])
    await settled(() => leads().every(l => l === `0 0 ${second} other.${ZONE}.`), 'all that leads to it')
    t.equal(said('A', `other.${ZONE}`), '192.0.2.9')
    t.equal(said('A', `fnaa.${ZONE}`), '192.0.2.9', 'caches lead there for a while')
    clock.turn(9 * MINUTE)
    await b.close()
    const again = await life(`other.${ZONE}`, second, ['192.0.2.9'])
    t.equal(said('A', `fnaa.${ZONE}`), '192.0.2.9', 'not yet')
    clock.turn(2 * MINUTE)
    await settled(() => said('A', `fnaa.${ZONE}`) === '', 'the old name has gone')
    t.equal(said('SRV', `fnaa.${ZONE}`), '')
    t.equal(said('A', `other.${ZONE}`), '192.0.2.9')
    await again.close()
  })

  await t.test('without the key of the zone they are the operator’s, and the agent works', async t => {
    const b = await life(`other.${ZONE}`, first, ['192.0.2.5'], false)
    t.equal(said('A', `other.${ZONE}`), '192.0.2.9', 'left as it was')
    await settled(() => said('SRV', FLOW) === `0 0 ${first} other.${ZONE}.`, 'flows are its own to write')
    const dns = b.kernel.loaded.find(l => l.plugin.manifest.kind === 'dns')!.service as DnsService
    t.ok((await dns.health({ signal: AbortSignal.timeout(5000) })).ok)
    await (await b.login(t)).ok('NOOP')
  })
})

t.test('addresses of the machine are told as they are at each moment', { skip: unavailable }, async t => {
  const internet = await Internet.start(t)
  const extra = { listen: [`tls://0.0.0.0:${PORT}`], addresses: 'interfaces' }
  const a = await internet.found(ZONE, { zoneKey: true, extra })
  const said = () => a.bind.dig('+short', 'A', `fnaa.${ZONE}`).trim().split('\n').sort().join(' ')
  const settled = async (what: string) => {
    for (const end = Date.now() + 60_000; said() !== what; ) {
      if (Date.now() > end) throw new Error(`not in a minute: ${what}, but ${said()}`)
      await new Promise(resolve => setTimeout(resolve, 200))
    }
    t.pass(what)
  }
  const ip = (...words: string[]) => {
    const [program = '', ...rest] = [...a.host.within, 'ip', 'address', ...words, 'dev', 'eth0']
    t.equal(spawnSync(program, rest).status, 0)
  }
  t.equal(said(), a.host.address)
  ip('add', '10.53.0.77/24')
  await settled(`${a.host.address} 10.53.0.77`)
  ip('del', '10.53.0.77/24')
  await settled(a.host.address)
})
