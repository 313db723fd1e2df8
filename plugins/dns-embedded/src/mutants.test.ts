import { collector, dnsMutants, dnsSuite } from '@fnaa/conformance'
import t from 'tap'
import { dnsEmbedded } from './index.js'

// The test of the suite: it must notice every broken plugin.
for (const { name, plugin } of dnsMutants) {
  t.test(`the suite notices: ${name}`, async t => {
    const { test, run } = collector()
    dnsSuite({ test, factory: () => plugin(dnsEmbedded({ listen: '127.0.0.1:0' })), limit: 5000 })
    const { failed } = await run({ stopAtFirst: true })
    t.not(failed.length, 0, `caught by: ${failed[0]?.name ?? 'nothing'}`)
  })
}
