import { authMutants, authSuite, collector } from '@fnaa/conformance'
import t from 'tap'
import { domainkey } from './index.js'

const good = () => domainkey()

// The test of the suite: it must notice every broken plugin.
for (const { name, breaks, plugin } of authMutants) {
  if (breaks !== null && !good().manifest.supports.mechanisms.includes(breaks)) continue
  t.test(`the suite notices: ${name}`, async t => {
    const { test, run } = collector()
    authSuite({ test, factory: () => plugin(good()), limit: 5000 })
    const { failed } = await run({ stopAtFirst: true })
    t.not(failed.length, 0, `caught by: ${failed[0]?.name ?? 'nothing'}`)
  })
}
