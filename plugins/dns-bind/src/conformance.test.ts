import { dnsSuite } from '@fnaa/conformance'
import { Bind, bindUnavailable } from '@fnaa/services'
import t from 'tap'
import { dnsBind } from './index.js'

const ZONES = 60
const zones = Array.from({ length: ZONES }, (_, i) => `z${i}.test`)

for (const transport of ['tcp', 'udp'] as const) {
  t.test(`over ${transport}`, { skip: bindUnavailable() ?? false }, async t => {
    const bind = await Bind.start({
      zones: zones.map(name => ({ name, signed: false, agentTypes: 'PTR SRV TXT A AAAA' })),
    })
    t.teardown(() => bind.stop())
    let next = 0
    dnsSuite({
      test: (name, fn) => t.test(name, fn),
      factory: () => {
        const zone = zones[next++]!
        const server = `${bind.host}:${bind.port}`
        const keys = { keyFile: bind.keyFile(zone, 'agent'), zoneKeyFile: bind.keyFile(zone, 'zone') }
        return dnsBind({ server, zones: [zone], ...keys, transport })
      },
    })
  })
}
